"""Published accuracy against measured latency, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from edgevid.bench.report import drawing
from edgevid.bench.report.text import number
from edgevid.errors import ConfigError
from edgevid.suggest.ranking import Limits, Suggestion

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["check_plot", "figure", "plot_suggestions"]


def check_plot(path: Path) -> None:
    """Raise before anything is measured rather than after it.

    Raises:
        ConfigError: not a PNG file.
        ModuleNotFoundError: matplotlib is not installed.
    """
    if path.suffix.lower() != ".png":
        raise ConfigError("the plot is a PNG file", where=path, fix="name it .png")
    import_module("matplotlib")


def plot_suggestions(found: Sequence[Suggestion], limits: Limits, title: str, path: Path) -> None:
    """Draw every network whose latency was measured and accuracy published; what is missing is named.

    Args:
        found: as ranked.
        limits: the latency is drawn as a line.
        title: device and limits.
        path: of the PNG.

    Raises:
        ConfigError: not a PNG file.
        BenchmarkError: it cannot be written.
    """
    check_plot(path)
    with drawing.style():
        made = figure(found, limits)
    drawing.write_png(made, path, title)


def figure(found: Sequence[Suggestion], limits: Limits) -> Figure:
    """One part for each group of accuracies that may be compared, filled marks for what fits."""
    drawn = [each for each in found if each.measured is not None and each.accuracies]
    groups = list(dict.fromkeys(accuracy.group for each in drawn for accuracy in each.accuracies))
    absent = [f"{each.preset}, {each.precision}" for each in found if not each.measured and each.accuracies]
    height = 1.2 + 2.2 * max(len(groups), 1) + 0.17 * (len(drawn) + bool(absent))
    made, parts = drawing.empty_figure(height, max(len(groups), 1))
    for axes, group in zip(parts, groups, strict=False):
        for place, each in enumerate(drawn):
            _mark(axes, each, group, _look(place))
        axes.axvline(limits.milliseconds, color=drawing.GREY, linestyle="--", linewidth=1)
        axes.set_title(group)
        axes.set_ylabel("top-1 in float, %")
    last = parts[-1]
    if not groups:
        told = "nothing measured has a published accuracy"
        last.text(0.5, 0.5, told, ha="center", va="center", transform=last.transAxes)
        last.set_yticks([])
    last.set_xlim(left=0)
    last.set_xlabel(f"latency of a clip, ms (limit {number(limits.milliseconds)}; open marks do not fit)")
    for place, each in enumerate(drawn):
        mark = " INVALID" if each.state == "not valid" else ""
        last.plot([], [], label=f"{each.preset}, {each.precision}{mark}", **_look(place))
    if absent:
        last.plot([], [], " ", label=shorten(f"not measured: {'; '.join(absent)}", 54, placeholder=" ..."))
    drawing.legend_below(made, last)
    return made


def _mark(axes: Axes, each: Suggestion, group: str, look: dict[str, Any]) -> None:
    assert each.measured is not None
    time = each.measured.milliseconds
    ends = (time.interval.low, time.interval.high) if time.interval else (time.median, time.median)
    for accuracy in each.accuracies:
        if accuracy.group == group:
            axes.errorbar(
                time.median,
                accuracy.top1,
                xerr=[[max(0.0, time.median - ends[0])], [max(0.0, ends[1] - time.median)]],
                capsize=3,
                fillstyle="full" if each.state == "fits" else "none",
                **look,
            )


def _look(place: int) -> dict[str, Any]:
    """Colour and mark of a network."""
    return {
        "color": drawing.PALETTE[place % len(drawing.PALETTE)],
        "marker": drawing.MARKERS[place % len(drawing.MARKERS)],
        "linestyle": "none",
    }
