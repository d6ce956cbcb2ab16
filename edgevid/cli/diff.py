"""`edgevid diff`: what became slower."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgevid.cli.options import share

__all__ = ["diff"]


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Result that bench -o or overhead -o wrote.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="A later one of the same networks.")],
    fail: Annotated[
        str, typer.Option(metavar="PERCENT", help="Slower by more than this, as 5%, is a failure.")
    ] = "",
) -> None:
    """Compare two results, variants by name, aware of noise.

    A variant is worse or improved if the whole 95 % interval of its change is beyond what the
    baselines differ from themselves. Exit status: 1 if one is surely slower by more than --fail
    (the whole interval is above it), if --fail is given and one is gone or none can be compared, or on an
    error; 0 otherwise. Of sweeps the lowerings as chosen are compared too.
    """
    from edgevid import show
    from edgevid.bench.diff import diff as difference_of
    from edgevid.bench.diff_table import render
    from edgevid.bench.report.material import read_result

    limit = share(fail, "--fail") if fail else None
    found = difference_of(read_result(old), read_result(new))
    console = show.out()
    console.print(render(found, limit))
    if limit is None:
        return
    slower = [change.name for change in found.changes if change.exceeds(limit)]
    if slower:
        console.print(f"FAILED: slower by more than {100 * limit:.4g} %: {', '.join(slower)}", markup=False)
    if found.missing:
        console.print(f"FAILED: not in the new result: {', '.join(found.missing)}", markup=False)
    if not found.comparable:
        console.print("FAILED: nothing can be compared", markup=False)
    raise typer.Exit(1 if slower or found.missing or not found.comparable else 0)
