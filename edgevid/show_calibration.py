"""What `edgevid calibrate` prints."""

from __future__ import annotations

import sys
from pathlib import Path

from edgevid.calibration.table import Table
from edgevid.show import out

__all__ = ["table"]


def table(made: Table, path: Path) -> None:
    """A new table; videos that could not be read go to the error stream."""
    console = out()
    for error in made.skipped.values():
        print(f"error: {error}", file=sys.stderr)
    classes = f" of {made.classes} classes" if made.classes else ""
    skipped = f", {len(made.skipped)} skipped" if made.skipped else ""
    how = made.method if made.percentile is None else f"{made.method} {made.percentile:g}"
    if made.stride is not None:
        how += f", histograms of every {made.stride} rows and columns"
    lines = (
        f"{path}: ranges of {len(made.tensors)} tensors, {how}",
        f"  {len(made.clips)} clips{classes}{skipped}; network {made.graph_sha256[:12]}",
        *(f"  warning: {warning}" for warning in made.warnings),
    )
    for line in lines:
        console.print(line, markup=False)
