"""Clips packed for devices that cannot decode videos.

::

    FOLDER/
      index.json         where the clips come from, their labels, hashes, and what they show
      shard-00000.npy    uint8 RGB [clips, T, H, W, 3], or flow [clips, T, H, W, 2k], at most 256 MB
      shard-00001.npy

Pixels are as they come from the crop: normalization and the order of colours belong to the
network. The clips are numbered through the shards; a video's views are neighbours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgevid.bundle import sha256
from edgevid.calibration.data import Sample
from edgevid.contract import Sampling
from edgevid.errors import VideoError
from edgevid.manifest import SamplingRecord

__all__ = ["INDEX", "Index", "Pack", "PackedVideo", "Shard", "hash_of", "is_pack", "open_pack"]

INDEX = "index.json"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shard(_Model):
    """One file of clips."""

    file: str = Field(pattern=r"^shard-\d+\.npy$")
    clips: int = Field(ge=1)
    sha256: str


class PackedVideo(_Model):
    """One video: ``views`` clips from clip ``first`` on, counted through all shards.

    Attributes:
        name: path of the video.
        label: number of its class.
        sha256: of its pixels.
    """

    name: str
    label: int | None
    first: int = Field(ge=0)
    views: int = Field(ge=1)
    sha256: str


class Index(_Model):
    """What ``index.json`` holds.

    Attributes:
        source: where the videos were found.
        source_sha256: of the list, sizes and dates of the files, and the sampling.
        items: how many videos of the list were looked at, skipped ones included.
        sampling: of the clips.
        shape: of one clip.
        clips_sha256: of the hashes of all videos' pixels, one after the other; logits that were
            computed elsewhere name it.
        skipped: names of videos that could not be read, and why.
    """

    schema_version: Literal[1] = 1
    edgevid: str
    source: str
    source_sha256: str
    items: int = Field(ge=0)
    sampling: SamplingRecord
    shape: tuple[int, ...] = Field(min_length=4, max_length=4)
    dtype: Literal["uint8"] = "uint8"
    clips_sha256: str
    shards: tuple[Shard, ...]
    videos: tuple[PackedVideo, ...] = Field(min_length=1)
    skipped: dict[str, str] = {}

    @model_validator(mode="after")
    def _consistent(self) -> Index:
        first = 0
        for video in self.videos:
            if video.first != first:
                raise ValueError(f"{video.name} begins at clip {video.first} instead of {first}")
            first += video.views
        if first != self.clips:
            raise ValueError(f"{first} clips of videos, {self.clips} in shards")
        if self.clips_sha256 != hash_of(self.videos):
            raise ValueError("clips_sha256 is not the hash of the videos' hashes")
        return self

    @property
    def clips(self) -> int:
        """How many, in all shards."""
        return sum(shard.clips for shard in self.shards)


@dataclass(frozen=True)
class Pack:
    """A folder of packed clips, as `edgevid.calibration.data.Data`."""

    folder: Path
    index: Index

    @property
    def source(self) -> str:
        """The folder."""
        return str(self.folder)

    @property
    def sampling(self) -> Sampling:
        """As the clips were packed."""
        return self.index.sampling

    @property
    def sha256(self) -> str:
        """Of the pixels and labels."""
        labels = ",".join(str(video.label) for video in self.index.videos)
        return hashlib.sha256(f"{self.index.clips_sha256} {labels}".encode()).hexdigest()

    @property
    def labels(self) -> Sequence[int | None]:
        """Of every video."""
        return [video.label for video in self.index.videos]

    def read(self, start: int = 0) -> Generator[Sample, None, None]:
        """The clips of every video from number ``start`` on; each shard is checked when it is reached.

        Raises:
            VideoError: a shard is missing or damaged.
        """
        shards, begin, end = iter(self.index.shards), 0, 0
        clips: NDArray[np.uint8] | None = None
        for number, video in enumerate(self.index.videos):
            while video.first >= end:
                shard = next(shards)
                begin, end, clips = end, end + shard.clips, None
            if number < start:
                continue
            if clips is None:
                clips = self._load(shard)
            yield Sample(video.name, video.label, clips[video.first - begin :][: video.views])

    def _load(self, shard: Shard) -> NDArray[np.uint8]:
        path = self.folder / shard.file
        try:
            changed = sha256(path) != shard.sha256
            clips: NDArray[np.uint8] = np.zeros(0, np.uint8)
            if not changed:
                clips = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise VideoError(f"a shard cannot be read: {error}", where=path, fix=_PACK_AGAIN) from error
        if changed:
            raise VideoError(
                "a shard cannot be read: it has changed since it was packed", where=path, fix=_PACK_AGAIN
            )
        if clips.shape != (shard.clips, *self.index.shape) or clips.dtype != np.uint8:
            raise VideoError(
                f"a shard cannot be read: it holds {clips.dtype}{list(clips.shape)}",
                where=path,
                fix=_PACK_AGAIN,
            )
        return clips


_PACK_AGAIN = "copy the folder again, or pack again"


def is_pack(place: Path) -> bool:
    """Is it a folder that `edgevid.calibration.pack` wrote?"""
    return (place / INDEX).is_file()


def open_pack(folder: Path) -> Pack:
    """Read the index; the shards are checked when their clips are read.

    Raises:
        VideoError: the index is missing or damaged; the message names the key.
    """
    path = folder / INDEX
    try:
        return Pack(folder, Index.model_validate_json(path.read_bytes()))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "whole"
        what = f"the index of packed clips is damaged: {place}: {first['msg']}"
        raise VideoError(what, where=path, fix=_PACK_AGAIN) from error
    except OSError as error:
        raise VideoError(
            f"the index of packed clips cannot be read: {error.strerror or error}",
            where=path,
            fix="give the folder that `edgevid pack` wrote",
        ) from error


def hash_of(videos: Sequence[PackedVideo]) -> str:
    """The hash of the hashes of all videos' pixels, one after the other."""
    return hashlib.sha256("".join(video.sha256 for video in videos).encode()).hexdigest()
