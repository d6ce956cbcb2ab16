"""The curve of overhead against the share of channels that move, as figure 2a of the TSM paper has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgevid.bench.report import drawing
from edgevid.bench.report.overhead import PAPER, PLAIN_EXPORT, Baseline, Curve, Sweep
from edgevid.bench.report.text import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["figure"]

_HIGH = 40.0
"""Percent from which the axis is no longer linear: a shift that costs 1 % is then still told from 3 %."""
_LINEAR = 5.0


def figure(sweep: Sweep, against: Baseline) -> Figure:
    """Overhead in percent against the proportion, over one of the baselines; the paper's points beside."""
    curves = sweep.curves
    drawn, (axes,) = drawing.empty_figure(3.0 + 0.17 * (len(curves) + 3))
    places = {proportion: place for place, proportion in enumerate(sweep.proportions)}
    for place, curve in enumerate(curves):
        _curve(axes, curve, against, places, place)
    _baselines(axes, sweep, against)
    for marker, (name, values) in zip(("x", "+"), PAPER.items(), strict=True):
        known = {places[share]: 100 * value for share, value in values.items() if share in places}
        if known:
            axes.plot(
                [*known],
                [*known.values()],
                marker,
                color=drawing.GREY,
                markersize=7,
                markeredgewidth=2,
                label=name,
            )
    axes.set_xticks(list(places.values()), list(places))
    axes.set_xlim(-0.4, len(places) - 0.6)
    axes.set_xlabel("share of the channels that move")
    axes.set_ylabel(f"overhead, % (over the {against})")
    _scale(axes, [100 * (cost.over(against).median - 1) for cost in sweep.costs])
    drawing.legend_below(drawn, axes)
    return drawn


def _curve(axes: Axes, curve: Curve, against: Baseline, places: dict[str, int], number: int) -> None:
    ratios = [(places[cost.proportion], cost.over(against)) for cost in curve.costs]
    middles = [100 * (ratio.median - 1) for _, ratio in ratios]
    below, above = [], []
    for (_, ratio), middle in zip(ratios, middles, strict=True):
        interval = ratio.interval
        below.append(max(0.0, middle - 100 * (interval.low - 1)) if interval else 0.0)
        above.append(max(0.0, 100 * (interval.high - 1) - middle) if interval else 0.0)
    look = drawing.PALETTE[number % len(drawing.PALETTE)], drawing.MARKERS[number % len(drawing.MARKERS)]
    axes.errorbar(
        [place for place, _ in ratios],
        middles,
        yerr=[below, above],
        color=look[0],
        marker=look[1],
        linestyle="-" if number == 0 or curve.name == PLAIN_EXPORT else ":",
        linewidth=2 if number == 0 else 1.2,
        capsize=3,
        label=shortened(curve.name),
    )


def _baselines(axes: Axes, sweep: Sweep, against: Baseline) -> None:
    axes.axhline(0, color=drawing.INK, linewidth=1)
    other: Baseline = "best" if against == "default" else "default"
    name = sweep.baseline(other)
    found = next((cost for cost in sweep.costs if cost.variant == name), None)
    if found is not None and sweep.best != sweep.default:
        height = 100 * (found.over(against).median - 1)
        label = shortened(f"{other} without a shift: {name}")
        axes.axhline(height, color=drawing.GREY, linewidth=1.2, linestyle="--", label=label)


def _scale(axes: Axes, middles: Sequence[float]) -> None:
    """So that all medians are seen, and their intervals unless they are many times as wide."""
    low, high = min(-0.5, *middles), max(2.0, *middles)
    reach = high - low
    low, high = max(low - reach, axes.dataLim.ymin), min(high + reach, axes.dataLim.ymax)
    low, high = min(low, -0.5), max(high, 2.0)
    if high <= _HIGH:
        margin = 0.05 * (high - low)
        axes.set_ylim(low - margin, high + margin)
        return
    axes.set_yscale("symlog", linthresh=_LINEAR, linscale=1)
    axes.set_ylim(1.4 * low, 1.4 * high)
    crowded = low < -_HIGH or high > 100 * _LINEAR
    ahead = [step * 10**power for power in range(6) for step in ((1,) if crowded else (1, 2, 5))]
    ticks = [*(-tick for tick in ahead if tick >= _LINEAR), 0, *(tick for tick in ahead if tick >= 2)]
    shown = sorted(tick for tick in ticks if 1.4 * low <= tick <= 1.4 * high)
    axes.set_yticks(shown, [str(tick) for tick in shown])
    axes.minorticks_off()
