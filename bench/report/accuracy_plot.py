"""Accuracy against latency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgevid.bench.report import drawing
from edgevid.bench.report.accuracy import Point
from edgevid.bench.report.text import shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["figure"]


def figure(points: Sequence[Point]) -> Figure:
    """Top-1 over milliseconds, each with its 95 % interval."""
    drawn, (axes,) = drawing.empty_figure(2.8 + 0.17 * len(points))
    several = len({point.measured.file for point in points}) > 1
    for number, point in enumerate(points):
        time, top1 = point.milliseconds, point.top1
        ends = (time.interval.low, time.interval.high) if time.interval else (time.median, time.median)
        words = [shortened(point.name, 32), *(f"[{label}]" for label in point.labels)]
        words += [] if point.measured.valid else ["INVALID"]
        words += [f"({shortened(point.measured.file, 24)})"] if several else []
        axes.errorbar(
            time.median,
            100 * top1.value,
            xerr=[[max(0.0, time.median - ends[0])], [max(0.0, ends[1] - time.median)]],
            yerr=[[100 * (top1.value - top1.low)], [100 * (top1.high - top1.value)]],
            color=drawing.PALETTE[number % len(drawing.PALETTE)],
            marker=drawing.MARKERS[number % len(drawing.MARKERS)],
            linestyle="none",
            capsize=3,
            label=" ".join(words),
        )
    axes.set_xlim(0, 1.1 * axes.dataLim.xmax)
    axes.set_xlabel("latency of a run, ms")
    axes.set_ylabel("top-1, %")
    drawing.legend_below(drawn, axes)
    return drawn
