"""The curve of overhead against the share of channels that move, as figure 2a of the TSM paper has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from textwrap import wrap
from typing import TYPE_CHECKING

from edgevid.bench.report import drawing
from edgevid.bench.report.overhead import PAPER, Baseline, Curve, Sweep
from edgevid.bench.report.text import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["figure"]

_HIGH = 40.0
"""Percent from which the axis is no longer linear: a shift that costs 1 % is then still told from 3 %."""
_LINEAR = 5.0
_LOOKS = {"edgevid": ("-", 2.0), "plain export": ("--", 1.2), "lowering": (":", 1.2)}
"""Style and width of the line by the kind of a curve."""
_LETTERS = 54
"""Of a line of the legend."""


@dataclass(frozen=True)
class _Line:
    label: str
    curve: Curve
    number: int


def figure(sweeps: Mapping[str, Sweep], baselines: Sequence[Baseline], remarks: Sequence[str] = ()) -> Figure:
    """Overhead in percent against the proportion, over each of the baselines, and the paper's points.

    One sweep is drawn with all its lowerings and the other baseline; of several each has edgevid's curve and
    the plain export's alone.

    Args:
        sweeps: by the names that tell several apart.
        baselines: one or both, each in axes of its own.
        remarks: told below the curves.
    """
    lines, told = _lines(sweeps), ["\n".join(wrap(remark, _LETTERS)) for remark in remarks]
    below = len(lines) + 3 + sum(text.count("\n") + 1 for text in told)
    drawn, all_axes = drawing.empty_figure(0.4 + 2.6 * len(baselines) + 0.17 * below, len(baselines))
    asked = {proportion for sweep in sweeps.values() for proportion in sweep.proportions}
    places = {proportion: place for place, proportion in enumerate(sorted(asked, key=Fraction))}
    alone = next(iter(sweeps.values())) if len(sweeps) == 1 else None
    costs = alone.costs if alone else [cost for line in lines for cost in line.curve.costs]
    for axes, against in zip(all_axes, baselines, strict=True):
        for line in lines:
            _draw(axes, line, against, places)
        axes.axhline(0, color=drawing.INK, linewidth=1)
        if alone:
            _other_baseline(axes, alone, against)
        _paper(axes, places)
        axes.set_ylabel(f"overhead, % (over the {against})")
        _scale(axes, [100 * (cost.over(against).median - 1) for cost in costs])
    for text in told:
        all_axes[0].plot([], [], " ", label=text)
    all_axes[-1].set_xticks(list(places.values()), list(places))
    all_axes[-1].set_xlim(-0.4, max(len(places), 1) - 0.6)
    all_axes[-1].set_xlabel("share of the channels that move")
    drawing.legend_below(drawn, *all_axes)
    return drawn


def _lines(sweeps: Mapping[str, Sweep]) -> list[_Line]:
    if len(sweeps) == 1:
        (sweep,) = sweeps.values()
        return [_Line(curve.name, curve, number) for number, curve in enumerate(sweep.curves)]
    return [
        _Line(name if curve.kind == "edgevid" else f"{name}, {curve.name}", curve, number)
        for number, (name, sweep) in enumerate(sweeps.items())
        for curve in sweep.curves
        if curve.kind != "lowering"
    ]


def _draw(axes: Axes, line: _Line, against: Baseline, places: Mapping[str, int]) -> None:
    ratios = [(places[cost.proportion], cost.over(against)) for cost in line.curve.costs]
    middles = [100 * (ratio.median - 1) for _, ratio in ratios]
    below, above = [], []
    for (_, ratio), middle in zip(ratios, middles, strict=True):
        interval = ratio.interval
        below.append(max(0.0, middle - 100 * (interval.low - 1)) if interval else 0.0)
        above.append(max(0.0, 100 * (interval.high - 1) - middle) if interval else 0.0)
    style, width = _LOOKS[line.curve.kind]
    axes.errorbar(
        [place for place, _ in ratios],
        middles,
        yerr=[below, above],
        color=drawing.PALETTE[line.number % len(drawing.PALETTE)],
        marker=drawing.MARKERS[line.number % len(drawing.MARKERS)],
        linestyle=style,
        linewidth=width,
        capsize=3,
        label=shortened(line.label, _LETTERS),
    )


def _other_baseline(axes: Axes, sweep: Sweep, against: Baseline) -> None:
    other: Baseline = "best" if against == "default" else "default"
    name = sweep.baseline(other)
    found = next((cost for cost in sweep.costs if cost.variant == name), None)
    if found is not None and sweep.best != sweep.default:
        height = 100 * (found.over(against).median - 1)
        label = shortened(f"{other} without a shift: {name}")
        axes.axhline(height, color=drawing.GREY, linewidth=1.2, linestyle="--", label=label)


def _paper(axes: Axes, places: Mapping[str, int]) -> None:
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


def _scale(axes: Axes, middles: Sequence[float]) -> None:
    """So that all medians are seen, and their intervals unless they are many times as wide."""
    low, high = min([-0.5, *middles]), max([2.0, *middles])
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
