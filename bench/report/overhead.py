"""What the shift costs against the proportion of the channels that move, from the results of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter, ValidationError

from edgevid.bench.claims import paired_ratio
from edgevid.bench.report.measured import Measured
from edgevid.bench.results import Result
from edgevid.bench.summary import Estimate
from edgevid.errors import BenchmarkError

__all__ = [
    "BASELINES",
    "PAPER",
    "PAPER_SOURCE",
    "Baseline",
    "Cost",
    "Curve",
    "Point",
    "Proportion",
    "Role",
    "Sweep",
    "fastest_plain",
    "points_of",
    "sweep_of",
    "sweeps_of",
]

Baseline = Literal["default", "best"]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)
"""Networks without a shift: as it is run by default, and the fastest one."""

Proportion = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}(/[1-9][0-9]{0,8})?$")]
"""Share of the channels that move, as ``1/4``: whatever fits can be counted with as a fraction."""

PAPER: dict[str, dict[str, float]] = {
    "paper, P100": {"1/8": 0.03, "1": 0.124},
    "paper, Xeon E5-2690": {"1/8": 0.03, "1": 0.137},
}
"""Overhead by proportion. The figure has more points; the paper's text gives these, at 1/8 as about 3 %."""
PAPER_SOURCE = (
    "Lin, Gan and Han, TSM: Temporal Shift Module for Efficient Video Understanding, ICCV 2019, figure 2a: "
    "ResNet-50, 8 frames; about 3 % at 1/8, 12.4 % (P100) and 13.7 % (Xeon E5-2690) at 1"
)
Role = Literal["shift", "no shift", "plain export"]
"""Of a variant: overheads are counted from ``no shift``; ``plain export`` is what an exporter writes."""


class Point(BaseModel):
    """One variant of a sweep's comparison.

    Attributes:
        variant: its name there.
        proportion: that was asked for, as ``1/4``.
        used: share of the channels of all shifted tensors that really move, as folds are whole channels.
        lowering: of the shift, or form of the network without one.
        role: see `Role`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    variant: str
    proportion: Proportion
    used: float
    lowering: str
    role: Role


_POINTS = TypeAdapter(list[Point])


class _Parameters(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    model: str
    precision: str
    batch: int
    points: tuple[Point, ...]
    default: str
    best: str


@dataclass(frozen=True)
class Cost:
    """A `Point` with its figures.

    Attributes:
        variant, proportion, used, lowering, role: see `Point`.
        milliseconds: of one run.
        over_default: wall time over that of the network without a shift as it is run by default, paired.
        over_best: over that of the fastest network without a shift.
    """

    variant: str
    proportion: str
    used: float
    lowering: str
    role: Role
    milliseconds: Estimate
    over_default: Estimate
    over_best: Estimate

    def over(self, baseline: Baseline) -> Estimate:
        """Wall time over that of a baseline."""
        return self.over_default if baseline == "default" else self.over_best


@dataclass(frozen=True)
class Curve:
    """Costs of one kind, at most one for a proportion, in their order.

    ``edgevid`` is the cheapest at each proportion; ``lowering`` is one of the others.
    """

    kind: Literal["edgevid", "plain export", "lowering"]
    name: str
    costs: tuple[Cost, ...]


@dataclass(frozen=True)
class Sweep:
    """One device, precision and batch.

    Attributes:
        measured: the result.
        title: for people.
        costs: of every variant, in their order.
        default: name of the network without a shift as it is run by default.
        best: name of the fastest one.
    """

    measured: Measured
    title: str
    costs: tuple[Cost, ...]
    default: str
    best: str

    def baseline(self, which: Baseline) -> str:
        """Name of the variant."""
        return self.default if which == "default" else self.best

    @cached_property
    def proportions(self) -> list[str]:
        """Those that were asked for and are not 0, the smallest first."""
        asked = {cost.proportion for cost in self.costs if cost.role != "no shift"}
        return sorted(asked, key=Fraction)

    def cheapest(self, proportion: str) -> Cost | None:
        """The fastest network with a shift, the plain export aside."""
        shifted = [each for each in self.costs if each.role == "shift" and each.proportion == proportion]
        return min(shifted, key=lambda cost: cost.milliseconds.median, default=None)

    @property
    def fastest(self) -> set[str]:
        """Names of the fastest network without a shift and of the cheapest at each proportion."""
        return {self.best, *(cost.variant for cost in self._cheapest)}

    @property
    def headline(self) -> set[str]:
        """Names of the variants that say most: both baselines, and the cheapest at each proportion."""
        return {self.default, *self.fastest}

    @property
    def curves(self) -> list[Curve]:
        """edgevid's, the plain export's, then those of other lowerings; each where there is one."""
        shifted = [cost for cost in self.costs if cost.role == "shift"]
        cheapest = {cost.lowering for cost in self._cheapest}
        name = f"edgevid: {cheapest.pop()}" if len(cheapest) == 1 else "edgevid"
        plain = [cost for cost in self.costs if cost.role == "plain export"]
        found = [Curve("edgevid", name, self._cheapest), _curve("plain export", "plain export", plain)]
        for lowering in dict.fromkeys(cost.lowering for cost in shifted):
            other = _curve("lowering", lowering, [cost for cost in shifted if cost.lowering == lowering])
            found += [] if set(other.costs) <= set(self._cheapest) else [other]
        return [curve for curve in found if curve.costs]

    @cached_property
    def _cheapest(self) -> tuple[Cost, ...]:
        return tuple(filter(None, map(self.cheapest, self.proportions)))


def sweeps_of(results: Sequence[Measured]) -> list[Sweep]:
    """Those of the results that are part of a sweep, as such.

    Raises:
        BenchmarkError: see `sweep_of`.
    """
    return [sweep for measured in results if (sweep := sweep_of(measured)) is not None]


def sweep_of(measured: Measured) -> Sweep | None:
    """The overheads that a result holds; ``None`` if it is not of a sweep, or no round of it was finished.

    Raises:
        BenchmarkError: its list of points is damaged, or one of them has no samples.
    """
    result = measured.result
    if result.parameters.get("kind") != "overhead" or not any(run.rounds for run in result.runs):
        return None
    known = {variant.name for variant in result.variants}
    try:
        given = _Parameters.model_validate(result.parameters)
        costs = [_cost(measured, point, given.default, given.best) for point in given.points]
    except (ValidationError, KeyError) as error:
        raise BenchmarkError(
            f"the points of the sweep are damaged: {error}",
            where=measured.file,
            fix=f"they must name its variants, as {', '.join(sorted(known))}; run edgevid overhead again",
        ) from error
    title = f"{given.model} on {result.device or 'an unnamed device'}, {given.precision}, batch {given.batch}"
    return Sweep(measured, title, tuple(costs), given.default, given.best)


def points_of(result: Result) -> list[Point]:
    """The variants of a sweep's result, measured or not; empty for a result of something else."""
    return _POINTS.validate_python(result.parameters.get("points", []))


def fastest_plain(result: Result, points: Sequence[Point]) -> str:
    """Name of the fastest network without a shift, by its ratio to the default one, which is the first."""
    default, *others = (point.variant for point in points if point.role == "no shift")
    if not any(run.rounds for run in result.runs):
        return default
    ratios = {name: paired_ratio(result, name, default).median for name in others}
    return min({default: 1.0, **ratios}.items(), key=lambda entry: entry[1])[0]


def _cost(measured: Measured, point: Point, default: str, best: str) -> Cost:
    milliseconds = measured.summary[point.variant].wall_ms
    if milliseconds is None:
        raise BenchmarkError(
            f"{point.variant!r} of the sweep has no samples",
            where=measured.file,
            fix="the file is damaged; run edgevid overhead again",
        )
    return Cost(
        **point.model_dump(),
        milliseconds=milliseconds,
        over_default=paired_ratio(measured.result, point.variant, default),
        over_best=paired_ratio(measured.result, point.variant, best),
    )


def _curve(kind: Literal["plain export", "lowering"], name: str, costs: Sequence[Cost]) -> Curve:
    return Curve(kind, name, tuple(sorted(costs, key=lambda cost: Fraction(cost.proportion))))
