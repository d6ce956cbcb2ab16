"""`edgevid doctor`: what is installed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from edgevid.cli.options import Json

__all__ = ["doctor"]


def doctor(
    load: Annotated[bool, typer.Option("--load", help="Import every package too.")] = False,
    as_json: Json = False,
) -> None:
    """Say what is installed, what is missing, and the command that installs it."""
    from edgevid import show
    from edgevid.doctor import examine

    findings = examine(load=load)
    show.print_json([asdict(finding) for finding in findings]) if as_json else show.findings(findings)
