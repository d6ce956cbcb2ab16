"""Medians, intervals and percentiles that claim no more than the samples can bear.

All functions take plain sequences of numbers in any unit and answer in the same unit. None assumes a
distribution, except `interval_over_processes`, which says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from edgevid.errors import BenchmarkError

__all__ = [
    "LEVEL",
    "Interval",
    "Percentile",
    "interquartile_range",
    "interval_over_processes",
    "is_within",
    "median",
    "median_absolute_deviation",
    "median_interval",
    "percentile",
    "samples_needed",
]

LEVEL = 0.95
"""Confidence level of every interval."""

_EXACT = 1000  # above it the normal approximation of the binomial is off by less than one rank
_NORMAL_975 = 1.959963984540054

# 97.5 % quantiles of Student's t for 1..30 degrees of freedom.
_STUDENT_975 = (
    *(12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281),
    *(2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860),
    *(2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423),
)


@dataclass(frozen=True)
class Interval:
    """A confidence interval, both ends included.

    Attributes:
        low: lower end.
        high: upper end.
        level: the coverage, at least `LEVEL`.
        method: ``order statistics`` or ``Student t over processes``.
    """

    low: float
    high: float
    level: float
    method: Literal["order statistics", "Student t over processes"]


@dataclass(frozen=True)
class Percentile:
    """A percentile, or the reason why there is none.

    Attributes:
        q: which one, in percent.
        value: the sample at nearest rank; ``None`` when there are too few samples.
        reason: why ``value`` is ``None``; empty otherwise.
    """

    q: float
    value: float | None
    reason: str = ""


def median(values: Sequence[float]) -> float:
    """Middle of the sorted values, or the mean of the two middle ones.

    Raises:
        BenchmarkError: no values.
    """
    ordered = _sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def median_interval(values: Sequence[float]) -> Interval | None:
    """Distribution-free interval of the median from two order statistics.

    The ends are the k-th smallest and k-th largest value, with the largest k for which
    ``1 - 2 P(Binomial(n, 1/2) < k)`` is at least `LEVEL` (Conover, Practical Nonparametric Statistics,
    section 3.2). Fewer than six values have no such pair: ``None``.
    """
    ordered = sorted(values)
    count = len(ordered)
    if count > _EXACT:
        rank = math.floor((count - _NORMAL_975 * math.sqrt(count)) / 2)
        return Interval(ordered[rank - 1], ordered[count - rank], LEVEL, "order statistics")
    rank, outside = 0, 0
    while 2 * (outside + math.comb(count, rank)) <= (1 - LEVEL) * 2**count:
        outside += math.comb(count, rank)
        rank += 1
    if rank == 0:
        return None
    return Interval(ordered[rank - 1], ordered[count - rank], 1 - 2 * outside / 2**count, "order statistics")


def is_within(values: Sequence[float], share: float) -> bool:
    """Does the median's interval lie within ``share`` of the median? Not with fewer than six values."""
    interval = median_interval(values)
    if interval is None:
        return False
    centre = median(values)
    return max(interval.high - centre, centre - interval.low) <= share * centre


def interval_over_processes(medians: Sequence[float]) -> Interval | None:
    """Interval of the mean over the medians of independent processes; ``None`` for fewer than two.

    Samples of one process share its memory layout and are not independent, processes are; so with several
    processes their medians alone decide the width. Student's t assumes that the medians are about normal
    (Georges, Buytaert and Eeckhout, Statistically Rigorous Java Performance Evaluation, OOPSLA 2007,
    section 3.2.1).
    """
    count = len(medians)
    if count < 2:
        return None
    mean = math.fsum(medians) / count
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in medians) / (count - 1))
    quantile = _STUDENT_975[count - 2] if count - 2 < len(_STUDENT_975) else _student_of_many(count - 1)
    half = quantile * deviation / math.sqrt(count)
    return Interval(mean - half, mean + half, LEVEL, "Student t over processes")


def _student_of_many(freedom: int) -> float:
    # First term of the expansion in 1/freedom; right to three digits above 30.
    return _NORMAL_975 * (1 + (_NORMAL_975**2 + 1) / (4 * freedom))


def samples_needed(q: float) -> int:
    """How many samples the q-th percentile needs, ``50 < q < 100``: 64 for 90, 130 for 95, 662 for 99.

    It is the smallest n for which, with 99 % confidence, at least two samples lie above the true
    percentile: ``P(Binomial(n, 1 - q/100) <= 1) <= 0.01``. With fewer, the estimate is the luck of one
    outlier.

    Raises:
        BenchmarkError: ``q`` is not between 50 and 100.
    """
    if not 50 < q < 100:
        raise BenchmarkError(f"{q} is not an upper percentile", fix="ask for one between 50 and 100, as 90")
    below = q / 100
    count = 2
    while below**count + count * (1 - below) * below ** (count - 1) > 0.01:
        count += 1
    return count


def percentile(values: Sequence[float], q: float) -> Percentile:
    """The q-th percentile at nearest rank, if the sample can bear it (`samples_needed`)."""
    needed = samples_needed(q)
    if len(values) < needed:
        return Percentile(q, None, f"needs {needed} samples, has {len(values)}")
    rank = math.ceil(round(q * len(values) / 100, 9))
    return Percentile(q, sorted(values)[rank - 1])


def median_absolute_deviation(values: Sequence[float]) -> float:
    """Median distance from the median, not scaled to a normal distribution.

    Raises:
        BenchmarkError: no values.
    """
    centre = median(values)
    return median([abs(value - centre) for value in values])


def interquartile_range(values: Sequence[float]) -> float:
    """Third minus first quartile, both interpolated linearly between samples.

    Raises:
        BenchmarkError: no values.
    """
    ordered = _sorted(values)
    return _interpolated(ordered, 0.75) - _interpolated(ordered, 0.25)


def _interpolated(ordered: Sequence[float], share: float) -> float:
    position = share * (len(ordered) - 1)
    lower = math.floor(position)
    upper = min(lower + 1, len(ordered) - 1)
    return ordered[lower] + (position - lower) * (ordered[upper] - ordered[lower])


def _sorted(values: Sequence[float]) -> list[float]:
    if not values:
        raise BenchmarkError("there are no samples to summarize", fix="let at least one round finish")
    return sorted(values)
