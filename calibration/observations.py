"""What calibration has seen so far; it can be written down and taken up again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevid.calibration.histogram import Histogram
from edgevid.calibration.observed_graph import Extremes
from edgevid.calibration.table import ClipRecord
from edgevid.disk import write_text

__all__ = ["Observations"]

_Floats = NDArray[np.float64]


@dataclass
class Observations:
    """Extremes and histograms over all clips; its size does not depend on how many there are.

    Attributes:
        low, high, low_peak: over all clips, ``[points]``; see `Extremes`.
        low_sum, high_sum: of the clips' own extremes, in their order.
        histograms: one a point, or none.
        clips: those that were looked at.
        skipped: names of videos that could not be read, and why.
        seen: how many videos of the list are done with, skipped ones included.
    """

    low: _Floats
    high: _Floats
    low_peak: _Floats
    low_sum: _Floats
    high_sum: _Floats
    histograms: list[Histogram]
    clips: list[ClipRecord] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    seen: int = 0

    @classmethod
    def of(cls, points: int, *, histograms: bool) -> Observations:
        """Nothing seen."""
        least, most = np.full(points, np.inf), np.full(points, -np.inf)
        zeros = np.zeros(points)
        counted = [Histogram() for _ in range(points if histograms else 0)]
        return cls(least, most, least.copy(), zeros, zeros.copy(), counted)

    def add(self, found: Extremes, samples: Sequence[NDArray[np.float32]], clips: int) -> None:
        """Count the first ``clips`` clips of a batch."""
        for low, high, low_peak in zip(found.low[:clips], found.high, found.low_peak, strict=False):
            self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)
            self.low_peak = np.minimum(self.low_peak, low_peak)
            self.low_sum, self.high_sum = self.low_sum + low, self.high_sum + high
        for histogram, values, largest in zip(self.histograms, samples, self.largest, strict=bool(samples)):
            histogram.add(values, float(largest))

    @property
    def largest(self) -> _Floats:
        """Largest magnitude of every point."""
        return np.maximum(np.abs(self.low), np.abs(self.high))

    def save(self, path: Path, key: str) -> None:
        """Write all of it; ``key`` says what it belongs to.

        Raises:
            ConfigError: it cannot be written.
        """
        record: dict[str, Any] = {name: getattr(self, name).tolist() for name in _ARRAYS}
        record |= {"seen": self.seen, "skipped": self.skipped}
        record["clips"] = [clip.model_dump() for clip in self.clips]
        record["histograms"] = [[each.exponent, each.counts.tolist()] for each in self.histograms]
        text = json.dumps(record)
        write_text(path, f"{_digest(key, text.encode())}\n{text}")

    @classmethod
    def load(cls, path: Path, key: str) -> Observations | None:
        """What `save` wrote, or None if nothing whole of that key is there."""
        try:
            digest, _, text = path.read_bytes().partition(b"\n")
        except OSError:
            return None
        if digest != _digest(key, text).encode():
            return None
        record = json.loads(text)
        return cls(
            **{name: np.array(record[name], np.float64) for name in _ARRAYS},
            histograms=[Histogram(each, np.array(counts)) for each, counts in record["histograms"]],
            clips=[ClipRecord.model_validate(clip) for clip in record["clips"]],
            skipped=record["skipped"],
            seen=record["seen"],
        )


def _digest(key: str, text: bytes) -> str:
    return hashlib.sha256(key.encode() + text).hexdigest()


_ARRAYS = ("low", "high", "low_peak", "low_sum", "high_sum")
