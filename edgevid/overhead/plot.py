"""The curves of a sweep as a picture: overhead over the share of channels that move."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex
from textwrap import shorten
from typing import TYPE_CHECKING

from edgevid.bench.report import drawing, overhead_plot
from edgevid.bench.report.measured import Measured
from edgevid.bench.report.overhead import BASELINES, sweep_of
from edgevid.bench.results import Result
from edgevid.errors import BenchmarkError
from edgevid.overhead.record import CurveId, SweepRecord
from edgevid.overhead.table import told_holes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PLOTS", "save_plots"]

PLOTS = ("overhead.png", "overhead.svg")


def save_plots(record: SweepRecord, results: Mapping[CurveId, Result], folder: Path) -> list[Path]:
    """Write ``overhead.png`` and ``overhead.svg``; holes and results that are not valid are named in them.

    Args:
        record: of all points.
        results: of the curves that were measured.
        folder: of the sweep.

    Raises:
        BenchmarkError: the files cannot be written, or the points of a result are damaged.
        ModuleNotFoundError: matplotlib is not installed.
    """
    from matplotlib import rc_context

    files = [folder / name for name in PLOTS]
    # The same data give the same file: no date, and names of elements by a fixed salt.
    with drawing.style(), rc_context({"svg.hashsalt": "edgevid"}):
        figure = _figure(record, results)
        for file in files:
            # A name of its own, as another sweep in the folder may draw at the same time, and none of those
            # drafts that a sweep whose turn it is removes.
            draft = folder / f".{file.stem}-{token_hex(8)}{file.suffix}"
            metadata = {"Date": None} if file.suffix == ".svg" else None
            try:
                figure.savefig(draft, format=file.suffix[1:], dpi=200, facecolor="white", metadata=metadata)
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
    found = {curve: sweep_of(Measured(result, f"{curve.name}.json")) for curve, result in results.items()}
    sweeps = {f"{curve} {sweep.measured.marks}".rstrip(): sweep for curve, sweep in found.items() if sweep}
    holes = [shorten(f"not measured: {hole}", 200) for hole in told_holes(record)]
    figure = overhead_plot.figure(sweeps, BASELINES, holes)
    title = (
        f"{record.model}: what the shift costs, {record.segments} frames of {record.size} pixels, "
        f"{record.threads} thread{'' if record.threads == 1 else 's'}"
    )
    drawing.headed(figure, ", ".join((title, *sweeps)) if len(sweeps) == 1 else title)
    return figure
