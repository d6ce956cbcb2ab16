"""What stands beside the latencies, as tables on the terminal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from edgevid.bench.report.text import labelled, number
from edgevid.bench.results import STAGES, LayerTime, Result, Sustained, SustainedPoint
from edgevid.bench.statistics import median, median_interval
from edgevid.bench.summary import VariantSummary

__all__ = ["narrow_table", "side_tables"]

_TITLE = "italic"

MOST_KINDS = 4
MOST_LAYERS = 10
"""Slowest operations that are listed; the result's file has all."""


def side_tables(result: Result, summaries: Sequence[VariantSummary]) -> Iterator[RenderableType]:
    """A table of each kind that the result has."""
    if any(variant.clips for variant in result.variants) or result.peak_memory:
        yield _throughput_and_memory(result, summaries)
    if result.stages:
        yield Text("from a video to its logits; the whole is measured by itself, not summed", style=_TITLE)
        yield _stages(result)
    for name, times in result.layer_times.items():
        yield Text(f"{_labelled(result, name)}: {_kinds(times)}", style=_TITLE)
        yield _layers(times)
    if result.sustained is not None:
        ended = "" if result.sustained.status == "complete" else ", interrupted"
        yield Text(f"{_labelled(result, result.sustained.variant)} without a pause{ended}", style=_TITLE)
        yield _sustained(result.sustained)


def narrow_table(headings: Sequence[str], first: str = "variant") -> Table:
    """A table whose first column is a name and the others figures; fits 80 columns."""
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), title_justify="left"
    )
    table.add_column(first, overflow="fold", min_width=14)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _labelled(result: Result, name: str) -> Text:
    labels = {variant.name: variant.label for variant in result.variants}
    return Text(labelled(name, labels.get(name, "measured")))


def _throughput_and_memory(result: Result, summaries: Sequence[VariantSummary]) -> Table:
    table = narrow_table(("clips a second", "clips a sample", "peak memory MiB"))
    for variant, summary in zip(result.variants, summaries, strict=True):
        if variant.role == "twin":
            continue
        rate = None
        if variant.clips is not None and summary.wall_ms is not None:
            rate = 1000 * variant.clips / summary.wall_ms.median
        memory = result.peak_memory.get(variant.name)
        cells = (number(rate), str(variant.clips or "-"), number(memory and memory / 2**20))
        table.add_row(_labelled(result, variant.name), *cells)
    return table


def _stages(result: Result) -> Table:
    measured = {stage for stages in result.stages.values() for stage in stages}
    shown = [stage for stage in STAGES if stage in measured or stage != "flow"]
    table = narrow_table([f"{stage} ms" for stage in shown])
    for name, stages in result.stages.items():
        cells = []
        for stage in shown:
            walls = [wall / 1e6 for wall in stages[stage].wall_ns] if stage in stages else []
            interval = median_interval(walls)
            between = f" ({number(interval.low)}..{number(interval.high)})" if interval else ""
            cells.append(f"{number(median(walls))}{between}" if walls else "-")
        table.add_row(_labelled(result, name), *cells)
    return table


def _kinds(times: Sequence[LayerTime]) -> str:
    """What kinds of operations take the time."""
    total = sum(time.milliseconds for time in times) or 1.0
    kinds: dict[str, float] = defaultdict(float)
    for time in times:
        kinds[time.kind] += time.milliseconds
    parts = sorted(kinds.items(), key=lambda part: -part[1])[:MOST_KINDS]
    shares = ", ".join(f"{kind} {milliseconds / total:.0%}" for kind, milliseconds in parts)
    return f"{len(times)} operations by the runtime's own profile: {shares}"


def _layers(times: Sequence[LayerTime]) -> Table:
    total = sum(time.milliseconds for time in times) or 1.0
    table = narrow_table(("ms", "share"), first="operation")
    table.add_column("kind", overflow="fold")
    table.add_column("kernel", overflow="fold")
    for time in sorted(times, key=lambda time: -time.milliseconds)[:MOST_LAYERS]:
        share = f"{time.milliseconds / total:.1%}"
        table.add_row(Text(time.name), number(time.milliseconds), share, Text(time.kind), Text(time.kernel))
    return table


def _sustained(run: Sustained) -> Table:
    table = narrow_table(("wall ms", "MHz", "Celsius", "joules a clip"), first="minutes")
    for minute, points in _by_tenths(run):
        walls = [point.wall_ns / 1e6 for point in points]
        table.add_row(
            f"{minute:.1f}",
            number(median(walls)),
            number(_mean([point.megahertz for point in points])),
            number(_mean([point.celsius for point in points])),
            number(_joules_a_clip(points)),
        )
    return table


def _by_tenths(run: Sustained) -> Iterator[tuple[float, list[SustainedPoint]]]:
    """Where each tenth of the run begins, in minutes, and its points."""
    if not run.points:
        return
    length = (run.points[-1].seconds or 1.0) / 10
    for tenth in range(10):
        first, last = tenth * length, (tenth + 1) * length if tenth < 9 else float("inf")
        points = [point for point in run.points if first <= point.seconds < last]
        if points:
            yield first / 60, points


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _joules_a_clip(points: Sequence[SustainedPoint]) -> float | None:
    known = [(point.joules, point.clips) for point in points if point.joules is not None]
    clips = sum(count for _, count in known)
    return sum(joules for joules, _ in known) / clips if clips else None
