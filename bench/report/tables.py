"""The tables of a report, the same for the page and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from edgevid.bench.report.accuracy import Accuracies, Share
from edgevid.bench.report.headline import Row
from edgevid.bench.report.layers import Group
from edgevid.bench.report.material import Hole
from edgevid.bench.report.measured import Measured
from edgevid.bench.report.overhead import BASELINES, Cost, Sweep
from edgevid.bench.report.text import NOTHING, interval, labelled, megabytes, number, percent
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
    """What is read, and what is sorted by: a number, or ``None`` for the text itself."""

    text: str
    value: float | None = None


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
    """Every network with its latency, ratio, memory, accuracy and verdict."""
    headings = (
        *("network", "ms", "95 % interval", "over baseline", "interval over it", "p99 ms", "CPU ms"),
        *("clips/s", "peak MB", "top-1 %", "measured in", "device", "verdict"),
    )
    found = []
    for row in rows:
        summary, ratio = row.summary, row.summary.wall_ratio
        clips, tail, top1 = row.clips_a_second, row.percentile, row.network and row.network.top1
        found.append(
            (
                Cell(labelled(row.record.name, row.record.label)),
                _median(summary.wall_ms),
                Cell(interval(summary.wall_ms)),
                Cell("baseline", 0.0) if row.record.role == "baseline" else _over(ratio),
                Cell(interval(ratio, less=1)),
                Cell(number(tail), tail),
                _median(summary.cpu_ms),
                Cell(number(clips), clips),
                Cell(megabytes(row.memory), row.memory),
                _share(top1 or None, None if row.network is None else row.network.label),
                Cell(row.measured.result.title),
                Cell(row.measured.result.device),
                Cell("VALID" if row.measured.valid else "INVALID"),
            )
        )
    return Table(headings, tuple(found), frozenset({"network", "measured in", "device", "verdict"})).used


def overhead_table(sweep: Sweep) -> Table:
    """Every variant of a sweep over both networks without a shift."""
    headings = (
        *("network", "proportion", "used", "lowering", "ms", "over default", "95 % interval"),
        *("over best", "95 % interval over best"),
    )
    label_of = {variant.name: variant.label for variant in sweep.measured.result.variants}
    rows = tuple(
        (
            Cell(labelled(cost.variant, label_of[cost.variant]) + _role(sweep, cost)),
            Cell(cost.proportion, cost.used),
            Cell(f"{cost.used:.4g}", cost.used),
            Cell(cost.lowering),
            _median(cost.milliseconds),
            _over(cost.over_default),
            Cell(interval(cost.over_default, less=1)),
            _over(cost.over_best),
            Cell(interval(cost.over_best, less=1)),
        )
        for cost in sweep.costs
    )
    return Table(headings, rows, frozenset({"network", "lowering"}))


def holes_table(holes: Sequence[Hole]) -> Table:
    """What a sweep lacks."""
    rows = tuple(
        (
            Cell(hole.device),
            Cell(hole.precision),
            Cell(str(hole.batch), hole.batch),
            Cell(hole.proportion, float(Fraction(hole.proportion))),
            Cell(hole.state),
            Cell(hole.reason),
        )
        for hole in holes
    )
    headings = ("device", "precision", "batch", "proportion", "state", "reason")
    return Table(headings, rows, frozenset({"device", "precision", "state", "reason"}))


def accuracy_table(found: Accuracies) -> Table:
    """Every network of a comparison."""
    rows = tuple(
        (
            Cell(labelled(network.name, network.label)),
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
    label_of = {variant.name: variant.label for variant in measured.result.variants}
    rows = []
    for name, stages in measured.result.stages.items():
        for stage in (each for each in STAGES if each in stages and stages[each].wall_ns):
            values = [nanoseconds / 1e6 for nanoseconds in stages[stage].wall_ns]
            figure = Estimate(median=median(values), interval=median_interval(values))
            rows.append(
                (
                    Cell(labelled(name, label_of[name])),
                    Cell(stage, STAGES.index(stage)),
                    _median(figure),
                    Cell(interval(figure)),
                    Cell(str(len(values)), len(values)),
                )
            )
    headings = ("network", "stage", "ms", "95 % interval", "runs")
    return Table(headings, tuple(rows), frozenset({"network", "stage"}))


def layers_table(groups: Sequence[Group], what: str) -> Table:
    """Groups of layers, or layers: ``what`` they are is the first heading."""
    rows = tuple(
        (
            Cell(group.name),
            Cell(group.kernel),
            Cell(str(group.count), group.count),
            Cell(number(group.milliseconds), group.milliseconds),
            Cell(f"{group.share:.1%}", group.share),
        )
        for group in groups
    )
    return Table((what, "kernel", "layers", "ms", "share"), rows, frozenset({what, "kernel"})).used


def _median(estimate: Estimate | None) -> Cell:
    return Cell(NOTHING) if estimate is None else Cell(number(estimate.median), estimate.median)


def _over(ratio: Estimate | None) -> Cell:
    return Cell(NOTHING) if ratio is None else Cell(percent(ratio.median - 1), ratio.median - 1)


def _share(share: Share | None, label: str | None = None) -> Cell:
    if share is None:
        return Cell(NOTHING)
    text = f"{100 * share.value:.2f} ({100 * share.low:.1f} to {100 * share.high:.1f})"
    return Cell(text if label in (None, "measured") else f"{text} [{label}]", share.value)


def _role(sweep: Sweep, cost: Cost) -> str:
    roles = [word for word in BASELINES if cost.variant == sweep.baseline(word)]
    return f" ({' and '.join(roles)} without a shift)" if roles else ""
