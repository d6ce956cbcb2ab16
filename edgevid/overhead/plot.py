"""The curves of a sweep as a picture: overhead over the share of channels that move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from secrets import token_hex
from textwrap import shorten
from typing import TYPE_CHECKING

from edgevid.bench.results import Result
from edgevid.bench.summary import Estimate
from edgevid.errors import BenchmarkError
from edgevid.overhead.figures import Overhead, fastest, overheads
from edgevid.overhead.record import CurveId, SweepRecord
from edgevid.overhead.table import told_holes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["save_plots"]

_NAME = "overhead"
_SIDES = (("default", "over the default network without a shift"), ("best", "over the fastest one"))


def save_plots(record: SweepRecord, results: Mapping[CurveId, Result], folder: Path) -> list[Path]:
    """Write ``overhead.png`` and ``overhead.svg``; holes and results that are not valid are named in them.

    Args:
        record: of all points.
        results: of the curves that were measured.
        folder: of the sweep.

    Raises:
        BenchmarkError: the files cannot be written.
        ModuleNotFoundError: matplotlib is not installed.
    """
    from matplotlib import rc_context

    figure = _figure(record, results)
    files = [folder / f"{_NAME}{ending}" for ending in (".png", ".svg")]
    # The same data give the same file: no date, and names of elements by a fixed salt.
    with rc_context({"svg.hashsalt": "edgevid"}):
        for file in files:
            # A name of its own, as another sweep in the folder may draw at the same time, and none of those
            # drafts that a sweep whose turn it is removes.
            draft = folder / f".{_NAME}-{token_hex(8)}{file.suffix}"
            metadata = {"Date": None} if file.suffix == ".svg" else None
            try:
                figure.savefig(draft, format=file.suffix[1:], dpi=150, metadata=metadata)
                draft.replace(file)
            except OSError as error:
                raise BenchmarkError(
                    f"the plot cannot be written: {error.strerror or error}",
                    where=file,
                    fix="free some space",
                ) from error
            finally:
                draft.unlink(missing_ok=True)
    return files


def _figure(record: SweepRecord, results: Mapping[CurveId, Result]) -> Figure:
    # Not pyplot, which keeps every figure in a global list.
    from matplotlib.figure import Figure

    holes = told_holes(record)
    figure = Figure(figsize=(11, 5 + 0.22 * (2 * len(results) + len(holes))), layout="constrained")
    first, second = figure.subplots(1, 2, sharey=True)
    for (side, label), axes in zip(_SIDES, (first, second), strict=True):
        for number, (curve, result) in enumerate(results.items()):
            _draw(axes, side, f"C{number}", curve, result)
        axes.axhline(0, color="gray", linewidth=0.8)
        axes.set_xlabel("share of the channels that moves")
        axes.set_title(label, fontsize="medium")
        axes.grid(alpha=0.3)
    first.set_ylabel("overhead, % (95 % interval)")
    figure.suptitle(
        f"{record.model}: what the shift costs, {record.segments} frames of {record.size} pixels, "
        f"{record.threads} thread{'' if record.threads == 1 else 's'}"
    )
    for hole in holes:
        first.plot([], [], " ", label=shorten(f"not measured: {hole}", 130))
    _limit(first, results)
    handles, labels = first.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower left")
    return figure


def _limit(axes: Axes, results: Mapping[CurveId, Result]) -> None:
    """Show all medians; an interval much wider than all of them is cut."""
    overs = [entry for result in results.values() for entry in overheads(result)]
    shown = [100 * over.median for e in overs for over in (e.over_default, e.over_best) if over is not None]
    low, high = min((0.0, *shown)), max((0.0, *shown))
    margin = max(1.0, (high - low) / 3)
    axes.set_ylim(low - margin, high + margin)


def _draw(axes: Axes, side: str, color: str, curve: CurveId, result: Result) -> None:
    found = overheads(result)
    mark = "" if result.verdict.valid else ", INVALID"
    plain = [entry for entry in found if entry.point.role == "plain export"]
    _line(axes, side, fastest(found), color, "o-", f"{curve}{mark}")
    if plain:
        _line(axes, side, plain, color, "s:", f"{curve}, plain export{mark}")


def _line(axes: Axes, side: str, entries: Sequence[Overhead], color: str, style: str, label: str) -> None:
    entries = sorted(entries, key=lambda entry: entry.point.used)
    overs = [entry.over_default if side == "default" else entry.over_best for entry in entries]
    middles = [0.0 if over is None else 100 * over.median for over in overs]
    low, high = zip(*(_reach(over) for over in overs), strict=True) if overs else ((), ())
    shares = [entry.point.used for entry in entries]
    axes.errorbar(shares, middles, yerr=[low, high], fmt=style, color=color, capsize=3, label=label)


def _reach(over: Estimate | None) -> tuple[float, float]:
    """How far the interval reaches down and up, in percent."""
    if over is None or over.interval is None:
        return 0.0, 0.0
    interval = over.interval
    return 100 * max(0.0, over.median - interval.low), 100 * max(0.0, interval.high - over.median)
