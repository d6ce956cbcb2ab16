"""The tables of a report, the same for the page and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from edgevid.bench.report.accuracy import Accuracies, Network, Share
from edgevid.bench.report.headline import Row
from edgevid.bench.report.layers import Group
from edgevid.bench.report.material import Hole
from edgevid.bench.report.measured import Measured
from edgevid.bench.report.overhead import BASELINES, Baseline, Cost, Sweep
from edgevid.bench.report.text import NOTHING, interval, marks_of, megabytes, number, percent
from edgevid.bench.results import STAGES
from edgevid.bench.statistics import median, median_interval
from edgevid.bench.summary import Estimate

__all__ = [
    "Cell",
    "Table",
    "accuracy_table",
    "headline_table",
    "holes_table",
    "layers_table",
    "overhead_table",
    "stages_table",
]


@dataclass(frozen=True)
class Cell:
    """What is read, and what is sorted by.

    Attributes:
        text: the figure or name.
        value: a number to sort by; ``None`` for the text itself.
        detail: smaller, below or behind: an interval.
        marks: what the figures of the row are worth, where that is less than usual.
    """

    text: str
    value: float | None = None
    detail: str = ""
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """Headings, and rows of as many cells. ``words`` are the columns of text rather than figures."""

    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    words: frozenset[str]

    @property
    def used(self) -> Table:
        """Without the columns in which nothing stands."""
        kept = [
            place
            for place in range(len(self.headings))
            if any(row[place].text not in ("", NOTHING) for row in self.rows)
        ]
        return Table(
            tuple(self.headings[place] for place in kept),
            tuple(tuple(row[place] for place in kept) for row in self.rows),
            self.words,
        )


def headline_table(rows: Sequence[Row]) -> Table:
    """Every network with its latency, ratio, memory and accuracy."""
    headings = (
        *("network", "ms", "over baseline", "p99 ms", "CPU ms", "clips/s", "peak MB", "top-1 %"),
        "measured in",
    )
    found = []
    for row in rows:
        summary = row.summary
        is_baseline = row.record.role == "baseline"
        found.append(
            (
                _name(row.measured, row.record.name, row.model),
                _milliseconds(summary.wall_ms),
                Cell("baseline", 0.0) if is_baseline else _over(summary.wall_ratio),
                _number(row.percentile),
                _milliseconds(summary.cpu_ms),
                _number(row.clips_a_second),
                Cell(megabytes(row.memory), row.memory),
                _top1(row.network),
                Cell(row.measured.file, detail=row.measured.result.device),
            )
        )
    return Table(headings, tuple(found), frozenset({"network", "measured in"})).used


def overhead_table(sweep: Sweep) -> Table:
    """Every variant of a sweep over both networks without a shift."""
    headings = ("network", "proportion", "used", "lowering", "ms", "over default", "over best")
    rows = tuple(
        (
            _name(sweep.measured, cost.variant, _role(sweep, cost)),
            Cell(cost.proportion, cost.used),
            Cell(f"{cost.used:.4g}", cost.used),
            Cell(cost.lowering),
            _milliseconds(cost.milliseconds),
            *(_over_baseline(sweep, cost, baseline) for baseline in BASELINES),
        )
        for cost in sweep.costs
    )
    return Table(headings, rows, frozenset({"network", "lowering"}))


def holes_table(holes: Sequence[Hole]) -> Table:
    """What a sweep lacks."""
    rows = tuple(
        (
            Cell(hole.model),
            Cell(hole.device),
            Cell(hole.precision),
            Cell(str(hole.batch), hole.batch),
            Cell(hole.proportion, float(Fraction(hole.proportion))),
            Cell(hole.state),
            Cell(hole.reason),
        )
        for hole in holes
    )
    headings = ("model", "device", "precision", "batch", "proportion", "state", "reason")
    return Table(headings, rows, frozenset({"model", "device", "precision", "state", "reason"}))


def accuracy_table(found: Accuracies) -> Table:
    """Every network of a comparison."""
    rows = tuple(
        (
            Cell(network.name, marks=marks_of(network.label)),
            Cell(network.precision),
            _share(network.top1),
            _share(network.top5),
            Cell(megabytes(network.bytes), network.bytes),
        )
        for network in found.variants
    )
    headings = ("network", "precision", "top-1 %", "top-5 %", "size MB")
    return Table(headings, rows, frozenset({"network", "precision"})).used


def stages_table(measured: Measured) -> Table:
    """Median of each stage from a video to its logits; the whole was measured by itself."""
    rows = []
    for name, stages in measured.result.stages.items():
        for stage in (each for each in STAGES if each in stages and stages[each].wall_ns):
            values = [nanoseconds / 1e6 for nanoseconds in stages[stage].wall_ns]
            figure = Estimate(median=median(values), interval=median_interval(values))
            rows.append(
                (
                    _name(measured, name),
                    Cell(stage, STAGES.index(stage)),
                    _milliseconds(figure),
                    Cell(str(len(values)), len(values)),
                )
            )
    return Table(("network", "stage", "ms", "runs"), tuple(rows), frozenset({"network", "stage"}))


def layers_table(groups: Sequence[Group], what: str) -> Table:
    """Groups of layers, or layers: ``what`` they are is the first heading."""
    rows = tuple(
        (
            Cell(group.name),
            Cell(group.kernel),
            Cell(str(group.count), group.count),
            _number(group.milliseconds),
            Cell(f"{group.share:.1%}", group.share),
        )
        for group in groups
    )
    return Table((what, "kernel", "layers", "ms", "share"), rows, frozenset({what, "kernel"})).used


def _name(measured: Measured, name: str, detail: str = "") -> Cell:
    marks = marks_of(measured.label_of(name))
    return Cell(name, detail=detail, marks=marks if measured.valid else (*marks, "INVALID"))


def _number(value: float | None) -> Cell:
    return Cell(number(value), value)


def _milliseconds(estimate: Estimate | None) -> Cell:
    if estimate is None:
        return Cell(NOTHING)
    return Cell(number(estimate.median), estimate.median, detail=interval(estimate))


def _over(ratio: Estimate | None) -> Cell:
    if ratio is None:
        return Cell(NOTHING)
    return Cell(percent(ratio.median - 1), ratio.median - 1, detail=interval(ratio, less=1))


def _over_baseline(sweep: Sweep, cost: Cost, baseline: Baseline) -> Cell:
    itself = cost.variant == sweep.baseline(baseline)
    return Cell("baseline", 0.0) if itself else _over(cost.over(baseline))


def _top1(network: Network | None) -> Cell:
    if network is None:
        return Cell(NOTHING)
    return replace(_share(network.top1), marks=marks_of(network.label))


def _share(share: Share | None) -> Cell:
    if share is None:
        return Cell(NOTHING)
    ends = f"{100 * share.low:.2f} to {100 * share.high:.2f}"
    return Cell(f"{100 * share.value:.2f}", share.value, detail=ends)


def _role(sweep: Sweep, cost: Cost) -> str:
    roles = [word for word in BASELINES if cost.variant == sweep.baseline(word)]
    return f"{' and '.join(roles)} without a shift" if roles else ""
