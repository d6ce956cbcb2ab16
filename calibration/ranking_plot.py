"""The plot of a `Ranking`: what every layer alone costs in int8, as PNG or SVG."""

from __future__ import annotations

import math
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from edgevid.calibration.ranking import Ranking
from edgevid.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["check_plot", "draw", "figure"]

_FORMATS = (".png", ".svg")
_BAR, _LINE = "#34618f", "#c0392b"


def check_plot(path: Path) -> None:
    """Raise before hours of work rather than after them.

    Raises:
        ConfigError: neither PNG nor SVG.
        ModuleNotFoundError: matplotlib is not installed.
    """
    if path.suffix.lower() not in _FORMATS:
        raise ConfigError(
            f"no plot is of {path.suffix or 'no format'}", where=path, fix="name it .png or .svg"
        )
    import_module("matplotlib")


def draw(ranking: Ranking, path: Path) -> None:
    """Draw SQNR at the logits and the drop of top-1 with each layer alone in int8, the worst first.

    Raises:
        ConfigError: neither PNG nor SVG.
    """
    check_plot(path)
    from matplotlib import rc_context

    # The same data give the same file: no date, and names of elements by a fixed salt.
    with rc_context({"svg.hashsalt": "edgevid"}):
        metadata = {"Date": None} if path.suffix.lower() == ".svg" else None
        figure(ranking).savefig(path, dpi=120, metadata=metadata)


def figure(ranking: Ranking) -> Figure:
    """SQNR at the logits and the drop of top-1 with each layer alone in int8, the worst first."""
    # Not pyplot, which keeps every figure in a global list.
    from matplotlib.figure import Figure

    names = [layer.weight or layer.name for layer in ranking.layers]
    finite = [value for value in ranking.decibels.values() if math.isfinite(value)]
    highest = max(finite, default=0.0)
    drawn = Figure(figsize=(10, 1.8 + 0.22 * len(names)), layout="constrained")
    noise, drop = drawn.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    # What changes nothing gets the longest bar there is.
    rows = range(len(names))
    noise.barh(rows, [min(value, highest) for value in ranking.decibels.values()], color=_BAR)
    for effect, name in ((ranking.everything, "all in int8"), (ranking.rest, "additions and pooling alone")):
        if effect.sqnr is not None:
            style = "-" if effect is ranking.everything else ":"
            noise.axvline(effect.sqnr, color=_LINE, linestyle=style, label=name)
    noise.set_yticks(rows, names)
    noise.invert_yaxis()
    noise.margins(y=0.01)
    noise.set_xlabel("SQNR at the logits with this layer alone in int8, dB (lower is worse)")
    if noise.get_legend_handles_labels()[0]:
        noise.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    effects = [layer.effect for layer in ranking.layers]
    if ranking.labelled:
        drop.barh(rows, [100 * each.top1.drop.value if each.top1 else 0.0 for each in effects], color=_BAR)
        drop.set_xlabel(f"top-1 drop, points of {ranking.labelled} clips")
    else:
        drop.barh(rows, [100 - 100 * each.agreement.value for each in effects], color=_BAR)
        drop.set_xlabel(f"other first answers, % of {ranking.clips} clips")
    return drawn
