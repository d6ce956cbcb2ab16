"""Logits on disk as they come, so that an interrupted comparison goes on where it stopped.

One line of JSON a video: its name, label and hash, and the logits of every network in base64, or why there
are none. The first line says what the rest belongs to. A line that was cut off is forgotten.
"""

from __future__ import annotations

import base64
import fcntl
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from edgevid.errors import ConfigError

__all__ = ["Answered", "Journal", "Skipped"]


@dataclass(frozen=True)
class Answered:
    """A video and what each network says.

    Attributes:
        logits: float32 ``[networks, views, classes]``.
        sha256: of the pixels that were looked at.
        frames: of the video, ``None`` where nothing tells.
    """

    name: str
    label: int | None
    logits: NDArray[np.float32]
    sha256: str
    frames: int | None = None


@dataclass(frozen=True)
class Skipped:
    """A video that could not be read: the error, and the kind of reason."""

    name: str
    error: str
    reason: str


@dataclass
class Journal:
    """What became of each video so far, in order.

    Attributes:
        entries: one a video.
        resumed: how many of them an earlier run left.
        replaced: something was there that belongs to another comparison, and is gone.
    """

    entries: list[Answered | Skipped] = field(default_factory=list)
    resumed: int = 0
    replaced: bool = False
    path: Path | None = None
    _file: io.BufferedRandom | None = None

    @classmethod
    def open(cls, path: Path | None, header: Mapping[str, Any]) -> Journal:
        """Take up ``path`` if its first line is ``header``, else begin it anew; ``None`` keeps all in memory.

        Raises:
            ConfigError: the file cannot be written, or another process writes it.
        """
        journal = cls(path=path)
        if path is None:
            return journal
        try:
            path.touch()
            journal._file = path.open("r+b")
            fcntl.flock(journal._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            journal._take_up(json.dumps(header, sort_keys=True))
        except BlockingIOError as error:
            raise ConfigError(
                "another comparison writes the same results",
                where=path,
                fix="wait for it, or give another -o",
            ) from error
        except OSError as error:
            raise _unwritable(path, error) from error
        return journal

    def append(self, entry: Answered | Skipped) -> None:
        """Keep one more; it is in the file when this returns.

        Raises:
            ConfigError: the disk is full.
        """
        self.entries.append(entry)
        self._write(json.dumps(_record(entry)))

    def close(self) -> None:
        """Release the file, which stays."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def remove(self) -> None:
        """Delete the file: the results are elsewhere."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _take_up(self, header: str) -> None:
        assert self._file is not None
        head, _, rest = self._file.read().partition(b"\n")
        if head != header.encode():
            self.replaced = bool(head)
            self._file.seek(0)
            self._file.truncate()
            self._write(header)
            return
        kept = len(head) + 1
        for line in rest.splitlines(keepends=True):
            entry = _entry(line)
            if entry is None or not line.endswith(b"\n"):
                break
            self.entries.append(entry)
            kept += len(line)
        self.resumed = len(self.entries)
        self._file.seek(kept)
        self._file.truncate()

    def _write(self, line: str) -> None:
        if self._file is None or self.path is None:
            return
        try:
            self._file.write(line.encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise _unwritable(self.path, error) from error


def _record(entry: Answered | Skipped) -> dict[str, Any]:
    if isinstance(entry, Skipped):
        return {"name": entry.name, "error": entry.error, "reason": entry.reason}
    text = base64.b64encode(entry.logits.astype("<f4").tobytes()).decode()
    shape = entry.logits.shape
    return {
        "name": entry.name,
        "label": entry.label,
        "sha256": entry.sha256,
        "frames": entry.frames,
        "shape": shape,
        "logits": text,
    }


def _entry(line: bytes) -> Answered | Skipped | None:
    """What a line says; ``None`` for one that was cut off."""
    try:
        found = json.loads(line)
        if "error" in found:
            return Skipped(found["name"], found["error"], found["reason"])
        logits = np.frombuffer(base64.b64decode(found["logits"]), "<f4").reshape(found["shape"])
        told = (found[key] for key in ("sha256", "frames"))
        return Answered(found["name"], found["label"], logits.astype(np.float32), *told)
    except (ValueError, KeyError, TypeError):
        return None


def _unwritable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"intermediate results cannot be written: {error.strerror or error}",
        where=path,
        fix="free some space, or give -o in a folder that you may write to; what is there is taken up again",
    )
