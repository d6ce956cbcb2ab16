"""`edgevid verify`: a bundle against its reference."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgevid.cli.options import BundlePath, On
from edgevid.errors import ConfigError

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
    """Run a bundle on its golden clips and hold it to what the reference computed.

    Of an ensemble each network is verified.
    """
    from edgevid import show
    from edgevid.bundle import Bundle
    from edgevid.ensemble import Ensemble
    from edgevid.verification import verify_bundle

    members = Ensemble.open(bundle).members
    if against is not None and len(members) > 1:
        raise ConfigError(
            f"an ensemble of {len(members)} networks, and one to compare with",
            where="--against",
            fix=f"give the folder of one of them, as {members[0].bundle.path}",
        )
    other = Bundle.open(against) if against else None
    verified = []
    for member in members:
        name = str(bundle) if len(members) == 1 else f"{bundle}, {member.title}"
        results = verify_bundle(member.bundle, against=other, batch=batch, seed=seed, on=on)
        for size, result in results.items():
            show.verification(result, f"{name}, batch {size}", simulated=member.bundle.simulated)
            verified.append((f"{name}, batch {size}", result))
    for name, result in verified:
        result.raise_if_failed(name)
