"""A histogram of absolute values whose bins only ever merge in pairs.

A bin is ``2**exponent`` wide. When a value comes that lies beyond the last bin, neighbours are
merged until it fits, which is exact; so the result depends on what was counted, and neither on
its order nor on how it was divided into batches.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BINS", "Histogram"]

_BITS = 13
BINS = 2**_BITS
"""At least half of them, minus one, lie below the largest value."""

_NARROWEST = -120
"""Exponent of the narrowest bin; its inverse is still a float32."""


class Histogram:
    """Counts of ``|x|`` in `BINS` bins.

    Attributes:
        exponent: a bin is ``2**exponent`` wide.
        counts: ``int64 [BINS]``.
    """

    def __init__(self, exponent: int = _NARROWEST, counts: NDArray[np.int64] | None = None) -> None:
        self.exponent = exponent
        self.counts = np.zeros(BINS, np.int64) if counts is None else counts

    def add(self, values: NDArray[Any], largest: float) -> None:
        """Count float32 values of any shape.

        Args:
            values: finite, with ``|x| <= largest``.
            largest: of this and all values before; only powers of two between them matter.
        """
        self._cover(largest)
        bins = (np.abs(values) * np.float32(2.0**-self.exponent)).astype(np.int64)
        self.counts += np.bincount(bins.ravel(), minlength=BINS)

    @property
    def edges(self) -> NDArray[np.float64]:
        """Where the bins begin and the last one ends, ``[BINS + 1]``."""
        return np.arange(BINS + 1) * 2.0**self.exponent

    @property
    def digest(self) -> str:
        """SHA-256 of the width and the counts."""
        return hashlib.sha256(np.append(self.counts, self.exponent).astype("<i8").tobytes()).hexdigest()

    def _cover(self, largest: float) -> None:
        # frexp: largest < 2**power, the power being the least one.
        exponent = math.frexp(largest)[1] - _BITS
        steps = min(exponent - self.exponent, _BITS)
        if largest > 0 and steps > 0:
            merged = self.counts.reshape(-1, 2**steps).sum(axis=1)
            self.counts = np.concatenate([merged, np.zeros(BINS - merged.size, np.int64)])
            self.exponent = exponent
