"""What is wanted of figures, and whether they show it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgevid.bench.results import Result
from edgevid.bench.summary import Estimate, wall_ratio
from edgevid.errors import BenchmarkError

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
        BenchmarkError: no round was finished, or the clock is too coarse for ``other``.
    """
    ratio = wall_ratio(result.runs, name, other)
    if ratio is None:
        raise BenchmarkError(
            f"no round in which {name} and {other} took a time", where=result.title, fix="measure more rounds"
        )
    return ratio


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
