"""Latency over minutes, with what the machine tells of itself meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevid.bench.report import drawing
from edgevid.bench.results import Sustained

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["figure"]


def figure(sustained: Sustained) -> Figure:
    """Time of a run, clock, temperature and energy a clip against seconds, each where it is known."""
    points = sustained.points
    known: dict[str, list[float | None]] = {
        "ms of a run": [point.wall_ns / 1e6 for point in points],
        "MHz": [point.megahertz for point in points],
        "°C": [point.celsius for point in points],
        "J a clip": [
            point.joules / point.clips if point.joules is not None and point.clips else None
            for point in points
        ],
    }
    shown = {what: values for what, values in known.items() if any(value is not None for value in values)}
    drawn, all_axes = drawing.empty_figure(0.6 + 1.15 * len(shown), rows=len(shown))
    for number, (axes, (what, values)) in enumerate(zip(all_axes, shown.items(), strict=True)):
        pairs = [(p.seconds, value) for p, value in zip(points, values, strict=True) if value is not None]
        line = "-" if len(pairs) > 1 else "o"
        axes.plot(*zip(*pairs, strict=True), line, color=drawing.PALETTE[number], linewidth=1)
        axes.set_title(what)
        axes.ticklabel_format(useOffset=False)
        axes.locator_params(axis="y", nbins=4)
    all_axes[-1].set_xlabel("seconds since the first run")
    return drawn
