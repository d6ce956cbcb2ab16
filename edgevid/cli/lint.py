"""`edgevid lint`: what a device's runtime has against a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgevid.cli.options import Json

__all__ = ["lint"]


def lint(
    graph: Annotated[Path, typer.Argument(metavar="GRAPH", help="ONNX file, or a bundle that holds some.")],
    device: Annotated[str, typer.Option(help="Whose runtime it is for; that of a bundle by default.")] = "",
    tensorrt: Annotated[
        str, typer.Option(metavar="VERSION", help="As 8.0: another one than the newest of the device.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Check a graph as it is: opset, operators, attributes, shapes and types, by the device's version.

    Exit status: 1 if the runtime would refuse it or compute it wrongly; 0 otherwise.
    """
    from edgevid import show, show_lint
    from edgevid.lint import lint

    found = lint(graph, device, tensorrt)
    if as_json:
        show.print_json(show_lint.facts(found))
    else:
        show_lint.reports(found)
    raise typer.Exit(1 if any(report.diagnosis.errors for report in found) else 0)
