"""Generated clips as data for `edgevid.calibration`, drawn while the networks look at others."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from edgevid.calibration.data import Sample
from edgevid.contract import Sampling
from edgevid.demo.evaluate import LENGTH, segment_centres
from edgevid.video.synthetic import MOTIONS, make_clips

__all__ = ["Generated"]

_BLOCK = 64
"""Clips that are drawn ahead; so many and those before them are in memory."""


@dataclass(frozen=True)
class Generated:
    """Clips ``0`` to ``count - 1`` of a seed, as `edgevid.calibration.data.Data`.

    Attributes:
        split: a name in `edgevid.video.synthetic.SPLITS`.
        count: of clips.
        seed: of them.
        segments: frames a clip, the centres of equal parts of a scene.
        size: pixels of the frames' side.
    """

    split: str
    count: int
    seed: int
    segments: int = 8
    size: int = 48

    @property
    def source(self) -> str:
        """What is drawn."""
        return f"generated clips, {self.split}, seed {self.seed}"

    @property
    def sampling(self) -> Sampling:
        """One clip and one crop."""
        return Sampling(segments=self.segments, resize=self.size, crop=self.size)

    @property
    def sha256(self) -> str:
        """Of what decides every pixel."""
        return hashlib.sha256(repr(astuple(self)).encode()).hexdigest()

    @property
    def labels(self) -> Sequence[int | None]:
        """Classes take turns."""
        return [number % len(MOTIONS) for number in range(self.count)]

    def read(self, start: int = 0) -> Generator[Sample, None, None]:
        """Every clip from number ``start`` on; the next ones are drawn meanwhile.

        Raises:
            ConfigError: an unknown split, or a number out of its range.
        """
        with ThreadPoolExecutor(1) as painter:
            coming = painter.submit(self._draw, start)
            for first in range(start, self.count, _BLOCK):
                clips, labels = coming.result()
                if first + _BLOCK < self.count:
                    coming = painter.submit(self._draw, first + _BLOCK)
                for number, (clip, label) in enumerate(zip(clips, labels.tolist(), strict=True), first):
                    yield Sample(f"{self.split} {self.seed} {number}", label, clip[None])

    def _draw(self, first: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        frames = segment_centres(LENGTH, self.segments)
        count = min(_BLOCK, self.count - first)
        return make_clips(
            self.split, count, self.seed, length=LENGTH, size=self.size, frames=frames, first=first
        )
