"""A result as a table on the terminal, always with its verdict."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgevid.bench.report.text import labelled, number
from edgevid.bench.results import INVALID, LABELS, Result
from edgevid.bench.side_tables import narrow_table, side_tables
from edgevid.bench.summary import PERCENTILES, Estimate, VariantSummary, summarize

__all__ = ["render"]


def render(result: Result) -> RenderableType:
    """Title, table, verdict, and what the reader must know about the figures.

    The ratio is the median of the ratios to the baseline within rounds, the overhead what it exceeds 1 by.
    A figure that was not executed on the device it is for carries its label; a percentile that the samples
    cannot bear is left out and the reason given below. Fits a terminal of 80 columns.
    """
    summaries = summarize(result)
    tables: list[RenderableType] = [_main_table(result, summaries)]
    if shown := _percentiles_shown(summaries):
        tables.append(_spread_table(summaries, shown))
    tables += side_tables(result, summaries)
    lines = [Text(_circumstances(result), style="dim")]
    lines += [
        Text(line, style="bold red" if INVALID in line else "dim") for line in _remarks(result, summaries)
    ]
    return Group(*tables, _verdict(result), *lines)


def _main_table(result: Result, summaries: Sequence[VariantSummary]) -> Table:
    table = narrow_table(("wall ms", "95 % interval", "CPU ms", "ratio", "95 % interval", "overhead"))
    table.title = Text(result.title)
    for summary in summaries:
        table.add_row(_name(summary), *_figures(summary), style=_style(summary))
    return table


def _spread_table(summaries: Sequence[VariantSummary], shown: Sequence[float]) -> Table:
    table = narrow_table([*(f"p{q:g} ms" for q in shown), "median deviation ms", "quartile range ms"])
    for summary in summaries:
        values = [entry.value for entry in summary.percentiles if entry.q in shown]
        cells = [number(value) for value in (*values, summary.deviation_ms, summary.spread_ms)]
        table.add_row(_name(summary), *cells, style=_style(summary))
    return table


def _style(summary: VariantSummary) -> str | None:
    return "dim" if summary.role == "twin" else None


def _name(summary: VariantSummary) -> Text:
    return Text(labelled(summary.name, summary.label))


def _figures(summary: VariantSummary) -> tuple[str, ...]:
    ratio = summary.wall_ratio
    # Adding zero turns a rounded -0.0 into 0.0.
    overhead = "" if summary.overhead is None else f"{round(summary.overhead, 4) + 0.0:+.2%}"
    if summary.wall_ms is None:
        return ("-",) * 6
    if summary.role == "baseline":
        comparison: tuple[str, ...] = ("1", "", "")
    else:
        comparison = ("-" if ratio is None else f"{ratio.median:.4f}", _interval(ratio, 4), overhead)
    cpu = "-" if summary.cpu_ms is None else number(summary.cpu_ms.median)
    return (number(summary.wall_ms.median), _interval(summary.wall_ms), cpu, *comparison)


def _interval(estimate: Estimate | None, digits: int | None = None) -> str:
    if estimate is None or estimate.interval is None:
        return "-"
    low, high = estimate.interval.low, estimate.interval.high
    if digits is not None:
        return f"{low:.{digits}f}..{high:.{digits}f}"
    return f"{number(low)}..{number(high)}"


def _percentiles_shown(summaries: Sequence[VariantSummary]) -> tuple[float, ...]:
    known = {entry.q for summary in summaries for entry in summary.percentiles if entry.value is not None}
    return tuple(q for q in PERCENTILES if q in known)


def _verdict(result: Result) -> Text:
    return Text(str(result.verdict), style="bold green" if result.verdict.valid else "bold red")


def _circumstances(result: Result) -> str:
    rounds = sum(run.rounds for run in result.runs)
    loads = [run.load.share for run in result.runs if run.load is not None]
    cpu = result.environment.cpu or "CPU unknown"
    parts = [
        result.device,
        "" if cpu in result.device else cpu,
        *(f"{name} {value}" for name, value in result.parameters.items()),
        f"{rounds} rounds in {len(result.runs)} process{'es' if len(result.runs) > 1 else ''}",
        f"load of others {max(loads):.1%}" if loads else "load of others not measured",
    ]
    return ", ".join(part for part in parts if part)


def _remarks(result: Result, summaries: Sequence[VariantSummary]) -> list[str]:
    remarks = [*result.notes, *(result.sustained.notes if result.sustained else ())]
    remarks += [f"{variant.name}: {variant.note}" for variant in result.variants if variant.note]
    used = [label for label in LABELS if label != "measured" and any(s.label == label for s in summaries)]
    remarks += [f"[{label}]: {LABELS[label]}" for label in used]
    percentiles = summaries[0].percentiles  # all variants have equally many samples
    remarks += [f"p{entry.q:g} left out: {entry.reason}" for entry in percentiles if entry.reason]
    if len(result.runs) == 1 and result.runs[0].rounds < 6:
        remarks.append("no interval: 6 rounds are needed")
    return remarks
