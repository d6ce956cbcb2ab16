"""Intervals and tests for shares, and how far two sets of logits are apart.

Shares and differences are from 0 to 1 (-1 to 1), not percent. Intervals are two-sided and of 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from edgevid.errors import ConfigError
from edgevid.graph.verify import compare as compare_logits

__all__ = ["LEVEL", "Estimate", "Paired", "cosine", "mcnemar", "paired", "sqnr", "wilson"]

LEVEL = 0.95
"""Confidence level of every interval."""

_QUANTILE = NormalDist().inv_cdf((1 + LEVEL) / 2)
_BISECTIONS = 60  # each halves an interval of at most 2: far below one part in 1e-15


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Paired:
    """Two answers to each of ``count`` questions, a reference's and a candidate's.

    Attributes:
        count: questions.
        lost: those that only the reference answers right.
        gained: those that only the candidate answers right.
        drop: reference's share of right answers minus the candidate's.
        p: of McNemar's exact test.
    """

    count: int
    lost: int
    gained: int
    drop: Estimate
    p: float

    @property
    def half_width(self) -> float:
        """Half of the interval of ``drop``."""
        return (self.drop.high - self.drop.low) / 2

    def needed(self, limit: float) -> int | None:
        """About how many questions would tell this drop from ``limit``, at the rate of changes seen.

        ``None`` where none would: drop and limit are the same.
        """
        changed = (self.lost + self.gained) / self.count
        gap = abs(self.drop.value - limit)
        if not gap:
            return None
        if not changed:  # the interval without changes ends at q^2 / (n + q^2)
            return math.ceil(_QUANTILE**2 * (1 - gap) / gap)
        return math.ceil(_QUANTILE**2 * (changed - self.drop.value**2) / gap**2)


def wilson(successes: int, count: int) -> Estimate:
    """Share ``successes / count`` with Wilson's score interval (Wilson, JASA 22, 1927).

    Raises:
        ConfigError: no trials, or more successes than trials.
    """
    if not 0 <= successes <= count or count < 1:
        raise ConfigError(f"{successes} of {count} is no share", fix="count at least one video")
    share, square = successes / count, _QUANTILE**2
    centre = (successes + square / 2) / (count + square)
    half = _QUANTILE / (count + square) * math.sqrt(successes * (1 - share) + square / 4)
    # Rounding must not put the figure outside of its own interval.
    return Estimate(share, max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share)))


def paired(lost: int, gained: int, count: int) -> Paired:
    """Drop of the share of right answers, with Tango's score interval (Statistics in Medicine 17, 1998, 891).

    The interval keeps its level with few changed answers, none included, where the simple one has
    no width (Fagerland, Lydersen and Laake, Statistics in Medicine 33, 2014, 2850).

    Raises:
        ConfigError: negative counts, or more changed answers than answers.
    """
    if min(lost, gained) < 0 or lost + gained > count or count < 1:
        raise ConfigError(f"{lost} lost and {gained} gained of {count}", fix="count each video once")
    drop = (lost - gained) / count

    def score(delta: float) -> float:
        return _tango(lost, gained, count, delta)

    low = -1.0 if drop == -1 else _solve(score, _QUANTILE, -1.0, drop)
    high = 1.0 if drop == 1 else _solve(score, -_QUANTILE, drop, 1.0)
    return Paired(count, lost, gained, Estimate(drop, low, high), mcnemar(lost, gained))


def mcnemar(lost: int, gained: int) -> float:
    """Two-sided p-value of McNemar's exact test: each changed answer is lost or gained with even odds."""
    changed = lost + gained
    if not changed:
        return 1.0
    # In logarithms: 2^-changed leaves the range of floats at 1075 changes.
    terms = (
        math.lgamma(changed + 1) - math.lgamma(k + 1) - math.lgamma(changed - k + 1) - changed * math.log(2)
        for k in range(min(lost, gained) + 1)
    )
    return min(1.0, 2 * math.fsum(map(math.exp, terms)))


def sqnr(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> float:
    """Signal to quantization noise of logits ``[N, classes]`` in dB; infinite when they are the same.

    Raises:
        VerificationError: the shapes differ.
    """
    return compare_logits(reference, candidate).sqnr


def cosine(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> float:
    """Cosine between the logits of a clip, averaged over clips ``[N, classes]``.

    A clip for which one of them is all zero counts as 0, both as 1.
    """
    a, b = reference.astype(np.float64), candidate.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    both_zero = ~a.any(axis=1) & ~b.any(axis=1)
    cosines = np.where(lengths > 0, (a * b).sum(axis=1) / np.maximum(lengths, 1e-300), both_zero)
    return float(np.clip(cosines, -1, 1).mean())


def _tango(lost: int, gained: int, count: int, delta: float) -> float:
    """Score statistic of the hypothesis that the drop is ``delta``; it falls as ``delta`` grows.

    The variance takes the probability of a gained answer that is most likely under the hypothesis,
    the larger root of a quadratic.
    """
    b = -lost - gained + (2 * count - lost + gained) * delta
    c = -gained * delta * (1 - delta)
    likely = (math.sqrt(max(b * b - 8 * count * c, 0.0)) - b) / (4 * count)
    variance = count * (2 * likely + delta * (1 - delta))
    difference = lost - gained - count * delta
    return difference / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, difference)


def _solve(falling: Callable[[float], float], value: float, low: float, high: float) -> float:
    """Where a falling function passes ``value``, by bisection."""
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > value else (low, middle)
    return (low + high) / 2
