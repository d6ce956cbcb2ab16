"""Runtimes, found by name: a new target is a new module here and nothing else changes.

A module (or folder) whose name does not begin with an underscore offers ``target()``, which
returns an object that fulfils `edgevid.contract.Target`.
"""

from __future__ import annotations

import pkgutil
from difflib import get_close_matches
from importlib import import_module
from typing import cast

from edgevid.contract import Target
from edgevid.errors import UnknownTargetError

__all__ = ["find", "names"]


def names() -> tuple[str, ...]:
    """All targets, installed runtimes or not."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")))


def find(name: str) -> Target:
    """The target of that name; its runtime is imported only when it is used.

    Raises:
        UnknownTargetError: no such module.
    """
    if name not in names():
        close = get_close_matches(name, names(), 1)
        raise UnknownTargetError(
            f"unknown target {name!r}",
            fix=(f"did you mean {close[0]}? " if close else "") + f"targets: {', '.join(names())}",
        )
    return cast(Target, import_module(f"{__name__}.{name}").target())
