"""The videos that networks are compared on, one after the other, as clips of a fixed shape."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgevid.contract import Sampling
from edgevid.errors import ConfigError, VideoError
from edgevid.recognition import find_items
from edgevid.video.datasets import Item
from edgevid.video.prefetch import PATIENCE_SECONDS, read_ahead

__all__ = ["Data", "Sample", "Videos", "check_labels", "find_videos", "shares_of"]


@dataclass(frozen=True)
class Sample:
    """One video.

    Attributes:
        name: its path.
        label: number of its class from 0, ``None`` where nothing tells.
        clips: ``uint8`` RGB or flow ``[views, T, H, W, C]``, or why there are none. Of `Videos.shares` one
            after the other.
        frames: of the video, ``None`` where nothing tells.
    """

    name: str
    label: int | None
    clips: NDArray[np.uint8] | VideoError
    frames: int | None = None


class Data(Protocol):
    """Videos in an order that never changes, so that reading them can go on where it stopped."""

    @property
    def source(self) -> str:
        """Where they are."""

    @property
    def sampling(self) -> Sampling:
        """Which frames and which part of them the clips show."""

    @property
    def sha256(self) -> str:
        """Another one when the videos, their labels or their order are others."""

    @property
    def labels(self) -> Sequence[int | None]:
        """Of every video, those that cannot be read included."""

    def read(self, start: int = 0) -> Generator[Sample, None, None]:
        """Every video from number ``start`` on; one that cannot be read does not stop the rest."""


@dataclass(frozen=True)
class Videos:
    """Videos on disk, decoded ahead of whoever looks at them.

    Attributes:
        source: where they were found.
        items: from `edgevid.recognition.find_items`.
        sampling: of the clips.
        workers: threads that decode, by default one for two processors.
        patience: seconds of decoding after which a video is given up.
        shares: beginnings of each video that are seen, above 0 and ascending to 1, the whole of it; empty
            for the whole alone.
    """

    source: str
    items: tuple[Item, ...]
    sampling: Sampling
    workers: int | None = None
    patience: float = PATIENCE_SECONDS
    shares: tuple[float, ...] = ()

    @cached_property
    def sha256(self) -> str:
        """Of paths, sizes and dates, labels, sampling and shares; the videos themselves are not read."""
        sampling = asdict(self.sampling)
        if self.sampling.flow is None:
            del sampling["flow"]  # results from before there was flow are still taken up
        facts: list[object] = [sampling]
        facts += [[[*_stamp(item), item.label, item.frames] for item in self.items], *self.shares]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    @property
    def labels(self) -> Sequence[int | None]:
        """Of every video."""
        return [item.label for item in self.items]

    def read(self, start: int = 0) -> Generator[Sample, None, None]:
        """Decode and crop every video from number ``start`` on.

        Raises:
            ConfigError: a sampling that no video can satisfy.
        """
        items = self.items[start:]
        shares = self.shares or (1.0,)
        reading = read_ahead(
            items, self.sampling, workers=self.workers, patience=self.patience, shares=shares
        )
        with closing(reading):
            for read in reading:
                name, outcome = _printable(str(read.item.path)), read.outcome
                if isinstance(outcome, VideoError):
                    yield Sample(name, read.item.label, outcome)
                else:
                    yield Sample(name, read.item.label, outcome.pixels, outcome.frames)


def find_videos(
    place: Path,
    sampling: Sampling,
    *,
    labels: Sequence[str] | None = None,
    frame_template: str | None = None,
    workers: int | None = None,
    patience: float = PATIENCE_SECONDS,
    shares: tuple[float, ...] = (),
) -> Videos:
    """A list, a folder of classes or videos, or a video.

    Args:
        place: on disk.
        sampling: of the clips.
        labels: the network's class names; folders of classes must then be named after them.
        frame_template: names of the frames, where videos are folders of frames.
        workers: threads that decode, by default one for two processors.
        patience: seconds of decoding after which a video is given up.
        shares: of `Videos`.

    Raises:
        VideoError: there is no video at all.
        ConfigError: the frame template does not number files.
    """
    items = tuple(find_items([place], frame_template=frame_template, labels=labels))
    if all(item.error for item in items):
        nothing = VideoError("there is no video", where=place, fix="give a list, or a folder of videos")
        first = next((item.error for item in items if item.error), nothing)
        raise first
    return Videos(str(place), items, sampling, workers, patience, shares)


def shares_of(data: Data) -> tuple[float, ...]:
    """`Videos.shares`; other data show whole videos."""
    return data.shares if isinstance(data, Videos) else ()


def check_labels(data: Data, classes: int) -> None:
    """Raise `ConfigError` if a label is not below the number of classes of a network."""
    for number, label in enumerate(data.labels):
        if label is not None and not 0 <= label < classes:
            raise ConfigError(
                f"video {number + 1} has label {label}, but the network has {classes} classes, "
                f"0 to {classes - 1}",
                where=data.source,
                fix="take the list that belongs to this network",
            )


def _stamp(item: Item) -> tuple[str, int, int]:
    """What tells a file from its later versions without reading it."""
    try:
        found = item.path.stat()
    except (OSError, ValueError):
        return str(item.path), 0, 0
    return str(item.path), found.st_size, found.st_mtime_ns


def _printable(name: str) -> str:
    """File names may hold bytes that are no UTF-8, which no JSON file can."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
