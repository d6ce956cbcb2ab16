"""What is wanted of figures, and whether they show it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgevid.bench.results import Result
from edgevid.bench.statistics import interval_over_processes, median, median_interval
from edgevid.bench.summary import Estimate

__all__ = ["Claim", "paired_ratio", "takes_at_least", "takes_at_most", "told"]


@dataclass(frozen=True)
class Claim:
    """A sentence with its figure, what is wanted of the figure, and whether it is met."""

    sentence: str
    wanted: str
    met: bool


def paired_ratio(result: Result, name: str, other: str) -> Estimate:
    """Wall time of ``name`` over that of ``other``, paired within rounds.

    As `edgevid.bench.summary` takes it to the baseline, but between any two variants.

    Raises:
        BenchmarkError: no round was finished.
    """
    groups = [
        [a / b for a, b in zip(run.samples[name].wall_ns, run.samples[other].wall_ns, strict=True)]
        for run in result.runs
        if run.rounds
    ]
    pooled = [ratio for group in groups for ratio in group]
    several = len(groups) > 1
    interval = interval_over_processes([median(group) for group in groups]) if several else None
    return Estimate(median=median(pooled), interval=interval if several else median_interval(pooled))


def takes_at_most(result: Result, name: str, other: str, limit: float) -> Claim:
    """Is ``name`` at most ``limit`` times as slow as ``other``?"""
    ratio = paired_ratio(result, name, other)
    return Claim(_sentence(name, other, ratio), f"at most {limit:.4g}", ratio.median <= limit)


def takes_at_least(result: Result, name: str, other: str, limit: float) -> Claim:
    """Is ``name`` at least ``limit`` times as slow as ``other``?"""
    ratio = paired_ratio(result, name, other)
    return Claim(_sentence(name, other, ratio), f"at least {limit:.4g}", ratio.median >= limit)


def told(claims: Iterable[Claim]) -> str:
    """One line each, fit to print."""
    return "\n".join(
        f"{'met    ' if claim.met else 'NOT MET'} {claim.sentence} (wanted: {claim.wanted})"
        for claim in claims
    )


def _sentence(name: str, other: str, ratio: Estimate) -> str:
    interval = ratio.interval
    between = "" if interval is None else f" ({interval.low:.3f}..{interval.high:.3f})"
    return f"{name} takes {ratio.median:.3f}{between} times as long as {other}"
