"""Methods that choose the bound of ``|x|`` beyond which values are clipped.

A wide bound clips nothing and makes coarse steps, a narrow one the reverse. ``minmax`` and
``average`` need extremes only; the others weigh a histogram, and all of them are written for
127 steps on either side of zero, the coarsest that any target makes of a table.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edgevid.calibration.histogram import Histogram

__all__ = ["entropy_bound", "mse_bound", "percentile_bound"]

_Floats = NDArray[np.float64]

BINS = 2048
"""Of the histograms that ``entropy`` and ``mse`` look at, from 0 to the largest value: TensorRT's number."""

_LEVELS = 128
_STEP = 8
"""Bounds are tried every so many bins, which is half a step of an 8-bit number."""


def percentile_bound(histogram: Histogram, largest: float, percentile: float) -> float:
    """The value that ``percentile`` % of all ``|x|``, zeros included, do not exceed.

    Where as many lie in the lowest bin, as of a tensor that is nearly always zero, it is
    ``largest``: that bin as a bound would clip everything else.
    """
    below = _cumulative(histogram)
    index = int(np.searchsorted(below, below[-1] * percentile / 100))
    return min(float(histogram.edges[index]), largest) if index > 1 else largest


def entropy_bound(histogram: Histogram, largest: float) -> float:
    """The bound with the least Kullback-Leibler divergence of the quantized from the clipped values.

    As TensorRT's calibrator does it (S. Migacz, "8-bit Inference with TensorRT", GTC 2017): what
    is clipped counts in the last bin of the reference, and bins that are empty stay empty.
    """
    counts = _rebinned(histogram, largest)
    # Zeros are exact under every bound; as many as a ReLU makes, they would hide all else.
    counts[0] = counts[1]
    divergences = {kept: _divergence(counts, kept) for kept in _candidates()}
    return _best(divergences, largest)


def mse_bound(histogram: Histogram, largest: float) -> float:
    """The bound with the least mean squared error of the quantized values."""
    counts = _rebinned(histogram, largest)
    centres = (np.arange(BINS) + 0.5) * (largest / BINS)
    errors = {}
    for kept in _candidates():
        step = largest * kept / BINS / (_LEVELS - 1)
        quantized = np.minimum(np.rint(centres / step), _LEVELS - 1) * step
        errors[kept] = float(counts @ (centres - quantized) ** 2)
    return _best(errors, largest)


def _candidates() -> Iterator[int]:
    return iter(range(_LEVELS, BINS + 1, _STEP))


def _best(costs: dict[int, float], largest: float) -> float:
    """The cheapest bound, the widest of equal ones; ``largest`` where none is possible."""
    cost, kept = min((cost, -kept) for kept, cost in costs.items())
    return largest * -kept / BINS if cost < np.inf else largest


def _cumulative(histogram: Histogram) -> _Floats:
    """How many values lie below each edge."""
    return np.concatenate([[0.0], np.cumsum(histogram.counts, dtype=np.float64)])


def _rebinned(histogram: Histogram, largest: float) -> _Floats:
    """Counts in `BINS` bins from 0 to ``largest``, values spread evenly inside the finer bins."""
    below = np.interp(np.linspace(0, largest, BINS + 1), histogram.edges, _cumulative(histogram))
    below[-1] = histogram.counts.sum()
    counts = np.diff(below)
    # Not all values are sampled; the largest is known to be there.
    counts[-1] = max(counts[-1], 1)
    return counts


def _divergence(counts: _Floats, kept: int) -> float:
    inside, outside = counts[:kept], counts[kept:].sum()
    if outside > inside.sum():
        # Of few values all would be clipped into one bin, which diverges from nothing.
        return float("inf")
    reference = inside.copy()
    reference[-1] += outside
    filled = inside > 0
    level = np.arange(kept) * _LEVELS // kept
    bins = np.bincount(level, filled, _LEVELS)
    mean = np.bincount(level, inside, _LEVELS) / np.maximum(bins, 1)
    quantized = np.where(filled, mean[level], 0.0)
    if not quantized.sum() or (reference[~filled] > 0).any():
        return float("inf")
    p, q = reference[filled] / reference.sum(), quantized[filled] / quantized.sum()
    return float(p @ np.log(p / q))
