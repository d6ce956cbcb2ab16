"""What was compiled of several networks, as the command line prints it."""

from __future__ import annotations

from typing import Any

from rich.markup import escape

from edgevid import show
from edgevid.bundle import Bundle
from edgevid.ensemble import Ensemble

__all__ = ["compiled"]


def compiled(made: Bundle | Ensemble, *, as_json: bool = False, every_layer: bool = False) -> None:
    """A freshly compiled bundle or ensemble.

    Args:
        made: opened.
        as_json: the manifest, of an ensemble those of all members.
        every_layer: list them all rather than those that are not int8.
    """
    if isinstance(made, Bundle):
        if as_json:
            show.print_json(made.manifest.model_dump(mode="json"))
        else:
            show.bundle(made, every_layer=every_layer)
    elif as_json:
        show.print_json(_record(made))
    else:
        _ensemble(made, every_layer)


def _record(made: Ensemble) -> dict[str, Any]:
    return {
        "members": [
            {
                "folder": member.bundle.path.relative_to(made.path).as_posix(),
                "title": member.title,
                "weight": member.weight,
                "manifest": member.bundle.manifest.model_dump(mode="json"),
            }
            for member in made.members
        ]
    }


def _ensemble(made: Ensemble, every_layer: bool) -> None:
    for member in made.members:
        show.bundle(member.bundle, every_layer=every_layer)
    whole = sum(member.weight for member in made.members)
    told = (f"{member.title} ({member.weight / whole:.1%})" for member in made.members)
    show.out().print(
        f"[bold]{escape(str(made.path))}[/]: an ensemble of {len(made.members)} networks; "
        f"their scores count: {escape('; '.join(told))}"
    )
