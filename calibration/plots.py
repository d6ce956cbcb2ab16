"""The plots of a comparison, as SVG that a page can hold."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from edgevid.calibration import ranking_plot
from edgevid.calibration.comparison import Comparison
from edgevid.calibration.ranking import Ranking

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["accuracy_against_latency", "early", "flips", "per_class", "sensitivity"]

_LOST, _GAINED, _OTHER = "#c0392b", "#2e7d32", "#9e9e9e"
_MOST_CLASSES = 40


def accuracy_against_latency(comparison: Comparison) -> str | None:
    """Top-1 over milliseconds with both intervals; ``None`` if fewer than two networks have both."""
    shown = [variant for variant in comparison.variants if variant.top1 and variant.latency_ms]
    if len(shown) < 2:
        return None
    figure, axes = _figure(4.5)
    for variant in shown:
        assert variant.top1 is not None
        assert variant.latency_ms is not None
        x, y, interval = variant.latency_ms.median, variant.top1, variant.latency_ms.interval
        left, right = (interval.low, interval.high) if interval else (x, x)
        axes.errorbar(
            x,
            100 * y.value,
            xerr=[[max(0.0, x - left)], [max(0.0, right - x)]],
            yerr=[[100 * (y.value - y.low)], [100 * (y.high - y.value)]],
            fmt="o",
            capsize=3,
            label=variant.title,
        )
    axes.set_xlabel("latency of a run, ms (95 % interval)")
    axes.set_ylabel("top-1, % (95 % interval)")
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    _legend(axes)
    return _svg(figure)


def early(comparison: Comparison) -> str | None:
    """Top-1 over the part of each video that was seen; ``None`` where only whole videos were."""
    if not comparison.early:
        return None
    figure, axes = _figure(4.5)
    shares = [100 * part.share for part in comparison.early]
    for number, variant in enumerate(comparison.variants):
        found = [part.top1[number] for part in comparison.early]
        axes.errorbar(
            shares,
            [100 * share.value for share in found],
            yerr=[
                [100 * (share.value - share.low) for share in found],
                [100 * (share.high - share.value) for share in found],
            ],
            fmt="o-",
            capsize=3,
            label=variant.title,
        )
    axes.set_xlabel("seen of each video, %")
    axes.set_ylabel("top-1, % (95 % interval)")
    axes.set_xlim(0, 103)
    axes.grid(alpha=0.3)
    _legend(axes)
    return _svg(figure)


def flips(comparison: Comparison) -> str:
    """For each candidate how many first answers changed, and to what end."""
    names = [variant.title for variant in comparison.variants[1:]]
    figure, axes = _figure(1.2 + 0.5 * len(names))
    before = [0] * len(names)
    for kind, color in (("lost", _LOST), ("gained", _GAINED), ("other", _OTHER)):
        counts = [sum(flip.kind == kind for flip in pair.flips) for pair in comparison.pairs]
        bars = axes.barh(names, counts, left=before, color=color, label=kind)
        axes.bar_label(bars, [str(count) if count else "" for count in counts], label_type="center")
        before = [a + b for a, b in zip(before, counts, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel(f"videos of {comparison.data.videos} whose first answer changed")
    _legend(axes)
    return _svg(figure)


def per_class(comparison: Comparison) -> str | None:
    """Change of right answers by class, for the classes that changed most; ``None`` if none did."""
    changes = [{c.index: 100 * c.change / c.videos for c in pair.classes} for pair in comparison.pairs]
    largest = {index: max(abs(change[index]) for change in changes) for index in changes[0]}
    shown = sorted((index for index, size in largest.items() if size), key=lambda index: -largest[index])
    shown = shown[:_MOST_CLASSES]
    if not shown:
        return None
    figure, axes = _figure(1.2 + 0.35 * len(shown))
    height = 0.8 / len(changes)
    for number, (change, variant) in enumerate(zip(changes, comparison.variants[1:], strict=True)):
        places = [place - 0.4 + (number + 0.5) * height for place in range(len(shown))]
        axes.barh(places, [change[index] for index in shown], height=height, label=variant.title)
    axes.set_yticks(range(len(shown)), [comparison.class_name(index) for index in shown])
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("change of top-1, points of the class")
    _legend(axes)
    return _svg(figure)


def sensitivity(ranking: Ranking) -> str:
    """What every layer alone costs in int8, the most sensitive first."""
    return _svg(ranking_plot.figure(ranking))


def _figure(height: float) -> tuple[Figure, Axes]:
    # Not pyplot, which keeps every figure in a global list.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, height), layout="constrained")
    return figure, figure.add_subplot()


def _legend(axes: Axes) -> None:
    """Beside the axes, where it covers nothing."""
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))


def _svg(figure: Figure) -> str:
    from matplotlib import rc_context

    text = io.StringIO()
    # The same data give the same file: no date, and names of elements by a fixed salt.
    with rc_context({"svg.hashsalt": "edgevid"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()
