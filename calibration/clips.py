"""Which clips a network is calibrated with, and in which order."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgevid.calibration.data import Data, Sample, Videos
from edgevid.contract import Flow, Sampling
from edgevid.errors import ConfigError

__all__ = ["Arrays", "choose", "spread", "without"]

_SEED = 20190827


@dataclass(frozen=True)
class Arrays:
    """Clips in memory, as `edgevid.calibration.data.Data`.

    Attributes:
        pixels: ``uint8`` RGB ``[N, T, H, W, 3]``, or flow ``[N, T, H, W, 2k]``.
        classes: labels of the clips; none are known if not given.
        source: what the clips are called, with their number.

    Raises:
        ConfigError: other pixels, or another number of labels.
    """

    pixels: NDArray[np.uint8]
    classes: Sequence[int] | None = None
    source: str = "clips"

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if len(shape) != 5 or not (shape[-1] == 3 or _is_flow(shape)) or self.pixels.dtype != np.uint8:
            raise ConfigError(
                f"the clips are {self.pixels.dtype}{list(shape)}",
                where=self.source,
                fix="give uint8 RGB frames [N, T, H, W, 3], or fields of flow [N, T, H, W, 2k]",
            )
        if self.classes is not None and len(self.classes) != len(self.pixels):
            raise ConfigError(f"{len(self.classes)} labels for {len(self.pixels)} clips", where=self.source)

    @property
    def sampling(self) -> Sampling:
        """As far as the shape says it."""
        _, segments, _, width, channels = self.pixels.shape
        flow = Flow(channels // 2) if _is_flow(self.pixels.shape) else None
        return Sampling(segments=segments, crop=width, resize=width, flow=flow)

    @property
    def sha256(self) -> str:
        """Of the shape, the pixels and the labels."""
        digest = hashlib.sha256(repr((self.pixels.shape, list(self.labels))).encode())
        for clip in self.pixels:
            digest.update(clip.tobytes())
        return digest.hexdigest()

    @property
    def labels(self) -> Sequence[int | None]:
        """Of every clip."""
        return [None] * len(self.pixels) if self.classes is None else [int(label) for label in self.classes]

    def read(self, start: int = 0) -> Generator[Sample, None, None]:
        """Every clip from number ``start`` on."""
        labels = self.labels
        for number in range(start, len(self.pixels)):
            yield Sample(f"{self.source}[{number}]", labels[number], self.pixels[number : number + 1])


@dataclass(frozen=True)
class _Part:
    """Some of the clips of ``data``: those of these numbers, which ascend."""

    data: Data
    numbers: tuple[int, ...]

    @property
    def source(self) -> str:
        return self.data.source

    @property
    def sampling(self) -> Sampling:
        return self.data.sampling

    @property
    def sha256(self) -> str:
        return hashlib.sha256(repr((self.data.sha256, self.numbers)).encode()).hexdigest()

    @property
    def labels(self) -> Sequence[int | None]:
        labels = self.data.labels
        return [labels[number] for number in self.numbers]

    def read(self, start: int = 0) -> Generator[Sample, None, None]:
        wanted = self.numbers[start:]
        if not wanted:
            return
        chosen = frozenset(wanted)
        with closing(self.data.read(wanted[0])) as reading:
            for number, sample in zip(range(wanted[0], wanted[-1] + 1), reading, strict=False):
                if number in chosen:
                    yield sample


def _is_flow(shape: Sequence[int]) -> bool:
    return shape[-1] > 0 and shape[-1] % 2 == 0


def choose(data: Data, count: int | None = None) -> Data:
    """``data`` with ``count`` clips spread over the classes, or all of it.

    Of videos only the order changes: the first ``count`` that can be read are meant, and one clip
    of one crop of each.
    """
    if isinstance(data, Videos):
        one = replace(data, sampling=replace(data.sampling, clips=1, crops=1))
        if count is None or count >= len(data.items):
            return one
        wrong = tuple(item for item in data.items if item.error is not None)
        right = [item for item in data.items if item.error is None]
        order = spread([item.label for item in right])
        return replace(one, items=(*wrong, *(right[number] for number in order)))
    if count is None or count >= len(data.labels):
        return data
    return _Part(data, tuple(sorted(spread(data.labels)[:count])))


def without(data: Data, count: int) -> Data:
    """What `choose` leaves of ``data``: clips that nothing which was fitted to the others has seen."""
    if isinstance(data, Videos):
        right = [item for item in data.items if item.error is None]
        order = spread([item.label for item in right])[count:]
        one = replace(data.sampling, clips=1, crops=1)
        return replace(data, sampling=one, items=tuple(right[number] for number in order))
    return _Part(data, tuple(sorted(spread(data.labels)[count:])))


def spread(labels: Sequence[int | None]) -> list[int]:
    """All numbers below ``len(labels)``, so that every beginning is of as many classes as can be.

    Classes take turns; within a class the order is a fixed shuffle, since neighbours in a list
    are often parts of one recording.
    """
    random = np.random.Generator(np.random.PCG64(_SEED))
    classes: dict[int, list[int]] = {}
    for number, label in enumerate(labels):
        classes.setdefault(-1 if label is None else label, []).append(number)
    shuffled = [random.permutation(classes[label]).tolist() for label in sorted(classes)]
    turns = range(max(map(len, shuffled), default=0))
    return [members[turn] for turn in turns for members in shuffled if turn < len(members)]
