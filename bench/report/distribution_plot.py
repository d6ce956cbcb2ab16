"""How the time of every run is distributed: one histogram a variant, above each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevid.bench.report import drawing
from edgevid.bench.report.measured import Measured
from edgevid.bench.report.text import labelled, number, shortened
from edgevid.bench.statistics import interquartile_range, median

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["figure"]

_BINS = 70
_HEIGHT = 0.52
"""Of a histogram, where the next one is 1 above; the rest is for its name."""
_FAR = 4.0
"""Quartile ranges above the median from which runs are counted, not drawn: they would squeeze the rest."""
_LOGARITHMIC = 3.0
"""Ratio of the slowest median to the fastest from which the axis is logarithmic."""


def figure(measured: Measured) -> Figure:
    """Every sample of every variant, the A/A pair's too; a line marks the median."""
    samples = {
        record.name: [
            nanoseconds / 1e6
            for run in measured.result.runs
            for nanoseconds in run.samples[record.name].wall_ns
        ]
        for record in measured.result.variants
    }
    drawn, (axes,) = drawing.empty_figure(0.75 + 0.45 * len(samples))
    edges = _edges(axes, list(samples.values()))
    for place, record in enumerate(measured.result.variants):
        values = samples[record.name]
        color = drawing.GREY if record.role != "candidate" else drawing.PALETTE[0]
        _histogram(axes, values, edges, -place, color)
        beyond = sum(value > edges[-1] for value in values)
        text = f"{shortened(labelled(record.name, record.label), 36)}, {number(median(values))} ms"
        text += f", {beyond} beyond" if beyond else ""
        axes.text(0.01, _HEIGHT + 0.1 - place, text, transform=axes.get_yaxis_transform(), va="bottom")
    axes.set_ylim(0.95 - len(samples), 1.05)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"ms of a run, {len(values)} runs each")
    return drawn


def _edges(axes: Axes, samples: list[list[float]]) -> list[float]:
    """Bounds of the bins; sets the scale of the axis."""
    low = min(map(min, samples))
    high = max(
        min(max(values), median(values) + max(_FAR * interquartile_range(values), 0.02 * median(values)))
        for values in samples
    )
    margin = 0.03 * (high - low) or 0.01 * high or 1.0
    medians = [median(values) for values in samples]
    if low > 0 and max(medians) > _LOGARITHMIC * min(medians):
        axes.set_xscale("log")
        low, high = low / 1.05, high * 1.05
        _label_logarithmic(axes, low, high)
        return [low * (high / low) ** (place / _BINS) for place in range(_BINS + 1)]
    low, high = low - margin, high + margin
    return [low + (high - low) * place / _BINS for place in range(_BINS + 1)]


def _label_logarithmic(axes: Axes, low: float, high: float) -> None:
    steps = (1, 2, 5) if high / low < 300 else (1,)
    ticks = [step * 10.0**power for power in range(-6, 9) for step in steps]
    shown = [tick for tick in ticks if low <= tick <= high]
    axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
    axes.minorticks_off()


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
