"""`edgevid devices`: the device profiles."""

from __future__ import annotations

from edgevid.cli.options import Json

__all__ = ["devices"]


def devices(as_json: Json = False) -> None:
    """List the device profiles, what each can run, and why not."""
    from edgevid import show

    show.devices(as_json=as_json)
