"""What `edgevid sensitivity` prints."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.table import Table

from edgevid.calibration.ranking import Effect, Ranking
from edgevid.show import out

__all__ = ["ranking"]


def ranking(found: Ranking, *, table: Path | None = None, plot: Path | None = None) -> None:
    """All layers, the most sensitive first; videos that could not be read go to the error stream.

    Args:
        found: what is shown.
        table: where its JSON was written.
        plot: where its plot was drawn.
    """
    console = out()
    for name, error in found.skipped.items():
        print(f"skipped {name}: {error}", file=sys.stderr)
    rows = Table(box=None, pad_edge=False)
    rows.add_column("layer alone in int8", no_wrap=True, overflow="ignore")
    rows.add_column("weights", overflow="fold")
    for heading in ("SQNR dB", "agreement %", "top-1 drop"):
        rows.add_column(heading, justify="right", no_wrap=True)
    for layer in found.layers:
        rows.add_row(layer.name, layer.weight, *_figures(layer.effect))
    rows.add_section()
    rows.add_row("additions and pooling alone", "", *_figures(found.rest))
    rows.add_row("everything", "", *_figures(found.everything))
    console.print(rows)
    skipped = f", {len(found.skipped)} skipped" if found.skipped else ""
    lines = [f"{found.clips} clips of {found.source}{skipped}; simulated with {found.runtime}"]
    if found.top1 is not None:
        lines.append(f"top-1 in float {100 * found.top1.value:.2f} % of {found.labelled} labelled clips")
        whole = found.everything.top1
        if whole is not None:
            low, high = 100 * whole.drop.low, 100 * whole.drop.high
            lines.append(f"everything in int8: drop between {low:.2f} and {high:.2f} points (95 %)")
    lines += [f"{what}: {path}" for what, path in (("all of it", table), ("plot", plot)) if path]
    for line in lines:
        console.print(line, markup=False)


def _figures(effect: Effect) -> tuple[str, str, str]:
    noise = "no change" if effect.sqnr is None else f"{effect.sqnr:.2f}"
    drop = "-" if effect.top1 is None else f"{100 * effect.top1.drop.value:+.2f}"
    return noise, f"{100 * effect.agreement.value:.2f}", drop
