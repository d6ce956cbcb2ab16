"""`edgevid models`: the published networks."""

from __future__ import annotations

from edgevid.cli.options import Json

__all__ = ["models"]


def models(as_json: Json = False) -> None:
    """List the published networks with their size and work beside the papers'."""
    from edgevid import show

    show.models(as_json=as_json)
