"""Packing: videos are decoded once, and their clips written as `edgevid.calibration.shards` describes."""

from __future__ import annotations

import contextlib
import hashlib
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgevid import __version__
from edgevid.bundle import sha256
from edgevid.calibration.data import Data, Sample
from edgevid.calibration.inference import Progress
from edgevid.calibration.shards import INDEX, Index, Pack, PackedVideo, Shard, hash_of, is_pack, open_pack
from edgevid.disk import write_text
from edgevid.errors import ConfigError, VideoError

__all__ = ["SHARD_BYTES", "pack"]

SHARD_BYTES = 256_000_000
"""What a shard holds at most, unless one video is larger."""


def pack(
    data: Data,
    folder: Path,
    *,
    shard_bytes: int = SHARD_BYTES,
    progress: Progress | None = None,
) -> Pack:
    """Write the clips of ``data`` to ``folder``; what an interrupted run finished is kept and taken up.

    The shards lie in ``FOLDER.partial`` until the last one is written.

    Args:
        data: as `edgevid.calibration.data.find_videos` gives it.
        folder: must not exist, or be empty.
        shard_bytes: what a shard holds at most, unless one video is larger.
        progress: called after every video.

    Raises:
        ConfigError: something is in the folder, or it cannot be written.
        VideoError: no video could be read, or they give clips of different shapes.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError("there is something already", where=folder, fix="give another -o, or remove it")
    draft = folder.with_name(f"{folder.name}.partial")
    try:
        draft.mkdir(parents=True, exist_ok=True)
        writer = _Writer.resume(draft, data, shard_bytes)
        total = len(data.labels)
        with closing(data.read(writer.items)) as reading:
            for sample in reading:
                writer.add(sample)
                if progress:
                    progress("packing", writer.items, total)
        index = writer.finish()
        if folder.exists():
            folder.rmdir()
        draft.rename(folder)
    except OSError as error:
        raise ConfigError(
            f"the clips cannot be written: {error.strerror or error}",
            where=error.filename or folder,
            fix="free some space, or give -o in a folder that you may write to",
        ) from error
    finally:
        # Not empty where something is to be taken up; gone where all went well.
        with contextlib.suppress(OSError):
            draft.rmdir()
    return Pack(folder, index)


@dataclass
class _Writer:
    """Clips not yet in a shard, and what is known of those that are."""

    folder: Path
    data: Data
    shard_bytes: int
    items: int = 0
    shards: list[Shard] = field(default_factory=list)
    videos: list[PackedVideo] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    pending: list[NDArray[np.uint8]] = field(default_factory=list)
    pending_bytes: int = 0
    shape: tuple[int, ...] = ()

    @classmethod
    def resume(cls, folder: Path, data: Data, shard_bytes: int) -> _Writer:
        """Take up what an earlier run left of the same data; else remove it and begin."""
        writer = cls(folder, data, shard_bytes)
        index = open_pack(folder).index if is_pack(folder) else None
        if index is None or index.source_sha256 != data.sha256:
            for left in (folder / INDEX, *folder.glob("shard-*.npy")):
                left.unlink(missing_ok=True)
            return writer
        writer.items, writer.shape = index.items, index.shape
        writer.shards, writer.videos = list(index.shards), list(index.videos)
        writer.skipped = dict(index.skipped)
        return writer

    def add(self, sample: Sample) -> None:
        if isinstance(sample.clips, VideoError):
            self.skipped[sample.name] = str(sample.clips)
        else:
            self._add_clips(sample, sample.clips)
        self.items += 1

    def _add_clips(self, sample: Sample, clips: NDArray[np.uint8]) -> None:
        self.shape = self.shape or clips.shape[1:]
        if clips.shape[1:] != self.shape or clips.dtype != np.uint8:
            raise VideoError(
                f"clips of {clips.dtype}{list(clips.shape[1:])} among uint8{list(self.shape)}",
                where=sample.name,
                fix="pack clips of one sampling",
            )
        if self.pending and self.pending_bytes + clips.nbytes > self.shard_bytes:
            self.flush()
        first = self.videos[-1].first + self.videos[-1].views if self.videos else 0
        digest = hashlib.sha256(np.ascontiguousarray(clips).data).hexdigest()
        self.pending.append(clips)
        self.pending_bytes += clips.nbytes
        self.videos.append(
            PackedVideo(name=sample.name, label=sample.label, first=first, views=len(clips), sha256=digest)
        )

    def flush(self) -> Index:
        """Write what is pending as a shard, and the index of all so far."""
        if self.pending:
            name, count = f"shard-{len(self.shards):05d}.npy", sum(map(len, self.pending))
            # Filled in place: a copy of all would double the memory.
            mapped = np.lib.format.open_memmap(self.folder / name, "w+", np.uint8, (count, *self.shape))
            np.concatenate(self.pending, out=mapped)
            mapped.flush()
            self.pending, self.pending_bytes = [], 0
            self.shards.append(Shard(file=name, clips=count, sha256=sha256(self.folder / name)))
        index = Index(
            edgevid=__version__,
            source=self.data.source,
            source_sha256=self.data.sha256,
            items=self.items,
            sampling=self.data.sampling,
            shape=self.shape,
            clips_sha256=hash_of(self.videos),
            shards=tuple(self.shards),
            videos=tuple(self.videos),
            skipped=self.skipped,
        )
        write_text(self.folder / INDEX, index.model_dump_json(indent=1) + "\n")
        return index

    def finish(self) -> Index:
        if not self.videos:
            reason = next(iter(self.skipped.values()), "there is none")
            raise VideoError(f"no video could be read: {reason}", where=self.data.source, fix="mend the list")
        return self.flush()
