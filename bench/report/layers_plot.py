"""Time of the layers by their kind, every variant beside the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevid.bench.report import drawing
from edgevid.bench.report.layers import by_kind
from edgevid.bench.report.measured import Measured
from edgevid.bench.report.text import labelled, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["figure"]


def figure(measured: Measured) -> Figure:
    """One bar a variant, in pieces of one kind of layers each."""
    times = {name: layers for name, layers in measured.result.layer_times.items() if layers}
    kinds = by_kind(times)
    drawn, (axes,) = drawing.empty_figure(1.0 + 0.5 * len(times) + 0.17 * len(kinds))
    before = [0.0] * len(times)
    rows = [-place for place in range(len(times))]
    for number, (kind, by_variant) in enumerate(kinds.items()):
        widths = list(by_variant.values())
        color = drawing.GREY if kind == "others" else drawing.PALETTE[number % len(drawing.PALETTE)]
        axes.barh(rows, widths, left=before, height=0.42, color=color, label=shortened(kind))
        before = [a + b for a, b in zip(before, widths, strict=True)]
    for row, name in zip(rows, times, strict=True):
        text = shortened(labelled(name, measured.label_of(name)))
        axes.text(0.01, row + 0.26, text, transform=axes.get_yaxis_transform(), va="bottom")
    axes.set_ylim(0.55 - len(times), 0.75)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("ms of a profiled run, by kind of layer")
    drawing.legend_below(drawn, axes)
    return drawn
