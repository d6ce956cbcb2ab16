"""`edgevid inspect`: what a file holds."""

from __future__ import annotations

from typing import Any

from edgevid.cli.network_flags import takes_network_flags
from edgevid.cli.options import Json, NetworkPath

__all__ = ["inspect"]


@takes_network_flags()
def inspect(
    network: NetworkPath,
    as_json: Json = False,
    *,
    flags: dict[str, Any],
) -> None:
    """Show what a checkpoint or an ONNX file holds, its shifts, and where every setting comes from."""
    from edgevid import show, show_network
    from edgevid.source import is_onnx

    if is_onnx(network):
        from edgevid.foreign import read_foreign

        foreign = read_foreign(network, complete=False, **flags)
        facts = show_network.foreign_facts(foreign)
        show.print_json(facts) if as_json else show_network.foreign(facts)
        return
    from edgevid.checkpoints import read

    facts = show_network.checkpoint_facts(read(network, **flags))
    show.print_json(facts) if as_json else show_network.checkpoint(facts)
