"""`edgevid import-trtexec`: what NVIDIA's trtexec measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgevid.cli.options import check_folder

__all__ = ["import_trtexec"]


def import_trtexec(
    times: Annotated[Path, typer.Argument(metavar="TIMES", help="What trtexec --exportTimes wrote.")],
    profile: Annotated[
        Path | None, typer.Option(help="What --exportProfile wrote: the slowest layers are shown too.")
    ] = None,
    name: Annotated[str, typer.Option(help="Of the network; the file's by default.")] = "",
    device: Annotated[str, typer.Option(help="That it ran on.")] = "",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write all samples as JSON.")] = None,
) -> None:
    """Read what trtexec measured, of older and newer versions, as a result of edgevid bench."""
    from edgevid import show
    from edgevid.bench.storage import save_result
    from edgevid.bench.table import render
    from edgevid.bench.trtexec import import_trtexec

    check_folder(output, "the results")
    result = import_trtexec(times, profile=profile, name=name, device=device)
    show.out().print(render(result))
    if output:
        save_result(result, output)
        show.out().print(f"all samples: {output}")
