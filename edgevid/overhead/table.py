"""A sweep on the terminal: a table a curve, and the points that are not there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgevid.bench.report.measured import Measured
from edgevid.bench.report.overhead import BASELINES, Cost, Sweep, sweep_of
from edgevid.bench.results import Result
from edgevid.bench.summary import Estimate
from edgevid.overhead.record import CurveId, SweepRecord

__all__ = ["render_sweep", "told_holes"]

_HEADINGS = ("p", "moved", "as", "ms", "over\ndefault %", "95 %\ninterval", "over\nbest %", "95 %\ninterval")


def render_sweep(record: SweepRecord, results: Mapping[CurveId, Result]) -> RenderableType:
    """A table for each curve with its verdict and remarks, then every point that is missing or failed.

    Overheads are medians of ratios within rounds, minus 1: over the default network without a shift, as its
    runtime takes it, and over the fastest of all its forms. Of several lowerings the fastest is bold.
    """
    parts: list[RenderableType] = []
    for curve, result in results.items():
        parts += [_table(curve, result), _verdict(result), *_remarks(result), Text()]
    if holes := told_holes(record):
        parts.append(Text("not measured:", style="bold red"))
        parts += [Text(f"  {hole}") for hole in holes]
    return Group(*parts)


def told_holes(record: SweepRecord) -> list[str]:
    """One line for the points of a curve that are not there for the same reason."""
    holes: dict[tuple[CurveId, str], list[str]] = {}
    for point in record.points:
        if point.state != "done":
            why = f"{point.state}: {point.reason}" if point.reason else point.state
            holes.setdefault((point.curve, why), []).append(point.proportion)
    return [f"{curve}, p = {', '.join(found)}: {why}" for (curve, why), found in holes.items()]


def _table(curve: CurveId, result: Result) -> Table:
    parameters = result.parameters
    threads = parameters.get("threads")
    title = f"{parameters.get('model')} on {curve}, {threads} thread{'' if threads == 1 else 's'}"
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        title=Text(title),
        title_justify="left",
    )
    for place, heading in enumerate(_HEADINGS):
        name = place == 2  # it alone is folded where the terminal is narrow
        table.add_column(
            heading,
            justify="left" if name or place == 0 else "right",
            no_wrap=not name,
            overflow="fold",
            min_width=14 if name else None,
        )
    if sweep := sweep_of(Measured(result, f"{curve.name}.json")):
        several = len(sweep.costs) > len(sweep.fastest)
        for cost in sweep.costs:
            style = "bold" if several and cost.variant in sweep.fastest else None
            table.add_row(*_cells(cost, sweep), style=style)
        _add_twin(table, sweep.measured)
    return table


def _cells(cost: Cost, sweep: Sweep) -> Iterable[str]:
    name = cost.lowering if cost.role == "shift" else f"{cost.role} ({cost.lowering})"
    if cost.variant == sweep.default:
        name = f"{cost.role}, default"
    elif cost.role == "plain export":
        name = cost.role
    yield cost.proportion
    yield f"{cost.used:.4g}"
    yield name
    yield f"{cost.milliseconds.median:.4g}"
    for baseline in BASELINES:
        yield from ("", "") if cost.variant == sweep.baseline(baseline) else _over(cost.over(baseline))


def _add_twin(table: Table, measured: Measured) -> None:
    """The default network against itself: what the measurement cannot tell apart."""
    wall, ratio = measured.twin.wall_ms, measured.twin.wall_ratio
    if wall is not None and ratio is not None:
        cells = ("0", "0", "no shift, default (A/A)", f"{wall.median:.4g}", *_over(ratio), "", "")
        table.add_row(*cells, style="dim")


def _over(ratio: Estimate) -> tuple[str, str]:
    """How much it is above 1 in percent, and the ends of its interval."""
    ends = "-"
    if ratio.interval is not None:
        ends = f"{_percent(ratio.interval.low - 1)}..{_percent(ratio.interval.high - 1)}"
    return _percent(ratio.median - 1), ends


def _percent(share: float) -> str:
    # Adding zero turns a rounded -0.0 into 0.0.
    return f"{round(100 * share, 2) + 0.0:+.2f}"


def _verdict(result: Result) -> Text:
    return Text(str(result.verdict), style="bold green" if result.verdict.valid else "bold red")


def _remarks(result: Result) -> list[Text]:
    rounds = sum(run.rounds for run in result.runs)
    loads = [run.load.share for run in result.runs if run.load is not None]
    load = f"load of others {max(loads):.1%}" if loads else "load of others not measured"
    label = result.variants[0].label
    lines = [
        ", ".join(filter(None, (result.device, result.environment.cpu if not result.device else ""))),
        f"{rounds} rounds in {len(result.runs)} process{'es' if len(result.runs) > 1 else ''}, {load}",
        *(
            [f"[{label}]: executed, with a precision that this device emulates"]
            if label != "measured"
            else []
        ),
        *result.notes,
    ]
    return [Text(line, style="dim") for line in lines if line]
