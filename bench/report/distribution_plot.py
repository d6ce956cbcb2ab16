"""How the time of every run is distributed: one histogram a variant, above each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevid.bench.report import drawing
from edgevid.bench.report.measured import Measured
from edgevid.bench.report.overhead import sweep_of
from edgevid.bench.report.text import labelled, number, shortened
from edgevid.bench.statistics import interquartile_range, median

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["figure"]

_BINS = 110
_HEIGHT = 0.52
"""Of a histogram, where the next one is 1 above; the rest is for its name."""
_FAR = 5.0
"""Quartile ranges above the median from which runs are counted, not drawn: they would squeeze the rest."""
_WIDE = 1.25
"""Ratio of the slowest median to the fastest from which each variant is drawn around its own median."""


def figure(measured: Measured) -> Figure:
    """Every run of every variant, the A/A pair's too; of a sweep those that say most. Lines mark medians."""
    sweep = sweep_of(measured)
    records = [
        record
        for record in measured.result.variants
        if sweep is None or record.role == "twin" or record.name in sweep.headline
    ]
    times = [
        [time / 1e6 for run in measured.result.runs for time in run.samples[record.name].wall_ns]
        for record in records
    ]
    medians = [median(values) for values in times]
    apart = max(medians) > _WIDE * min(medians) > 0
    drawn, (axes,) = drawing.empty_figure(0.75 + 0.45 * len(records))
    if apart:
        shown = [
            [100 * (time / middle - 1) for time in row] for row, middle in zip(times, medians, strict=True)
        ]
        axes.set_xlabel(f"% above or below its own median, {len(times[0])} runs each")
    else:
        shown = times
        axes.set_xlabel(f"ms of a run, {len(times[0])} runs each")
    edges = _edges(shown)
    for place, (record, values, middle) in enumerate(zip(records, shown, medians, strict=True)):
        color = drawing.GREY if record.role != "candidate" else drawing.PALETTE[0]
        _histogram(axes, values, edges, -place, color)
        beyond = sum(value > edges[-1] for value in values)
        text = f"{shortened(labelled(record.name, record.label), 36)}, {number(middle)} ms"
        text += f", {beyond} beyond" if beyond else ""
        axes.text(0.01, _HEIGHT + 0.1 - place, text, transform=axes.get_yaxis_transform(), va="bottom")
    axes.set_ylim(0.95 - len(records), 1.05)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    return drawn


def _edges(rows: list[list[float]]) -> list[float]:
    """Bounds of the bins, from the least of all to where runs are so slow that they are only counted."""
    low = min(map(min, rows))
    high = max(min(max(row), median(row) + _FAR * interquartile_range(row)) for row in rows)
    margin = 0.03 * (high - low) or 0.01 * abs(high) or 1.0
    low, high = low - margin, high + margin
    return [low + (high - low) * place / _BINS for place in range(_BINS + 1)]


def _histogram(axes: Axes, values: list[float], edges: list[float], base: float, color: str) -> None:
    counts = [0] * (len(edges) - 1)
    place = 0
    for value in sorted(values):
        while place < len(counts) and value > edges[place + 1]:
            place += 1
        if place < len(counts):
            counts[place] += 1
    tallest = max(counts) or 1
    heights = [base + _HEIGHT * count / tallest for count in counts]
    axes.stairs(heights, edges, baseline=base, fill=True, color=color, alpha=0.45)
    axes.stairs(heights, edges, baseline=base, color=color, linewidth=0.8)
    middle = median(values)
    axes.plot([middle, middle], [base, base + _HEIGHT], color=drawing.INK, linewidth=1.4)
