"""`edgevid report`: what was measured, as something to read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["report"]


def report(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULTS...",
            help="What bench -o, overhead -o (its folder too), import-trtexec -o and compare -o wrote.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write one self-contained HTML page.")
    ] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write Markdown; with --png it shows them.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write every figure as CSV, one row a variant.")] = None,
    png: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write each plot there as PNG.")] = None,
) -> None:
    """Make a page of results: latency, what the shift costs, accuracy, layers and how to repeat it.

    Results that are INVALID are shown and marked. Nothing is measured.
    """
    from edgevid import show
    from edgevid.bench.report.accuracy import without_latency
    from edgevid.bench.report.markdown import write_markdown
    from edgevid.bench.report.material import read_material
    from edgevid.bench.report.page import write_page
    from edgevid.bench.report.plots import drawn, write_pictures
    from edgevid.bench.report.table import write_csv
    from edgevid.errors import ConfigError

    written = [place for place in (output, markdown, csv, png) if place is not None]
    if not written:
        raise ConfigError("nothing says what to write", where="-o", fix="give -o report.html")
    _check_places([output, markdown, csv], png)
    material = read_material(results)
    drawings = drawn(material) if output or png or markdown else []
    if png:
        write_pictures(drawings, png)
    if output:
        write_page(material, drawings, output)
    if markdown:
        write_markdown(material, drawings, markdown, png)
    if csv:
        write_csv(material, csv)
    console = show.out()
    for measured in material.invalid:
        console.print(f"{measured.file}: {measured.result.verdict}", style="bold red", markup=False)
    for hole in material.holes:
        console.print(f"not measured: {hole}", markup=False)
    for name in without_latency(material.accuracies, material.results):
        console.print(f"no latency of {name}: give what bench -o wrote of it too", markup=False)
    console.print(f"written: {', '.join(map(str, written))}", markup=False)


def _check_places(files: list[Path | None], pictures: Path | None) -> None:
    """See that everything can be written.

    Raises:
        ConfigError: a folder where a file would go, a file where a folder would, or neither can be made.
    """
    from edgevid.bench.storage import check_writable
    from edgevid.errors import ConfigError

    for place in filter(None, files):
        check_writable(place, "the report")
    if pictures is None:
        return
    if pictures.is_file():
        raise ConfigError(
            "pictures need a folder, and this is a file", where=pictures, fix="give another --png"
        )
    check_writable(pictures / "a.png" if pictures.is_dir() else pictures, "the pictures")
