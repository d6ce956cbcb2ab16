"""Overheads of a curve: medians of ratios within rounds, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from pydantic import TypeAdapter

from edgevid.bench.claims import paired_ratio
from edgevid.bench.results import Result
from edgevid.bench.statistics import median
from edgevid.bench.summary import Estimate
from edgevid.overhead.record import Point

__all__ = ["Overhead", "fastest", "fastest_plain", "overheads", "points_of"]

_POINTS = TypeAdapter(list[Point])


@dataclass(frozen=True)
class Overhead:
    """A variant and what it takes more than the network without a shift.

    Attributes:
        point: the variant.
        milliseconds: median wall time of a run.
        over_default: wall time over that of the default network without a shift, minus 1: 0.03 is 3 %.
        over_best: over that of the fastest one. None is compared with itself.
    """

    point: Point
    milliseconds: float
    over_default: Estimate | None
    over_best: Estimate | None


def points_of(result: Result) -> list[Point]:
    """The variants of a curve; empty for a result of something else."""
    return _POINTS.validate_python(result.parameters.get("points", []))


def overheads(result: Result) -> list[Overhead]:
    """Figures of every variant of a curve, in the order of its points; empty without a finished round."""
    if not any(run.rounds for run in result.runs):
        return []
    points = points_of(result)
    default, best = points[0].variant, fastest_plain(result, points)
    return [
        Overhead(
            point,
            median([ns / 1e6 for run in result.runs for ns in run.samples[point.variant].wall_ns]),
            _over(result, point.variant, default),
            _over(result, point.variant, best),
        )
        for point in points
    ]


def fastest_plain(result: Result, points: Sequence[Point]) -> str:
    """Name of the fastest network without a shift, by its ratio to the default one."""
    default, *others = (point.variant for point in points if point.role == "no shift")
    if not any(run.rounds for run in result.runs):
        return default
    ratios = {name: paired_ratio(result, name, default).median for name in others}
    return min({default: 1.0, **ratios}.items(), key=lambda entry: entry[1])[0]


def fastest(found: Sequence[Overhead]) -> list[Overhead]:
    """The fastest variant of each proportion, ascending; plain exports aside."""
    chosen: dict[Fraction, Overhead] = {}
    for entry in found:
        key = Fraction(entry.point.proportion)
        if entry.point.role != "plain export" and (
            key not in chosen or entry.milliseconds < chosen[key].milliseconds
        ):
            chosen[key] = entry
    return [chosen[key] for key in sorted(chosen)]


def _over(result: Result, name: str, other: str) -> Estimate | None:
    if name == other:
        return None
    ratio = paired_ratio(result, name, other)
    interval = ratio.interval
    if interval is not None:
        interval = type(interval)(interval.low - 1, interval.high - 1, interval.level, interval.method)
    return Estimate(median=ratio.median - 1, interval=interval)
