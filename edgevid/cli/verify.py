"""`edgevid verify`: a bundle against its reference."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgevid.cli.options import BundlePath, On

__all__ = ["verify"]


def verify(
    bundle: BundlePath,
    against: Annotated[
        Path | None, typer.Option(help="Another bundle of the same network, compared on new random clips.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Which artifact; all by default.")] = None,
    seed: Annotated[int, typer.Option(help="Of the random clips of --against.")] = 0,
    on: On = "",
) -> None:
    """Run a bundle on its golden clips and hold it to what the reference computed."""
    from edgevid import show
    from edgevid.bundle import Bundle
    from edgevid.verification import verify_bundle

    opened = Bundle.open(bundle)
    other = Bundle.open(against) if against else None
    results = verify_bundle(opened, against=other, batch=batch, seed=seed, on=on)
    for size, result in results.items():
        show.verification(result, f"{bundle}, batch {size}", simulated=opened.simulated)
    for size, result in results.items():
        result.raise_if_failed(f"{bundle}, batch {size}")
