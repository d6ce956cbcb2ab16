"""Targets are found by name, so that what stands below them need not import them."""

from __future__ import annotations

import pkgutil
from difflib import get_close_matches
from importlib import import_module
from typing import cast

from edgevid.contract import Target
from edgevid.errors import UnknownTargetError

__all__ = ["find_target", "target_names"]

PACKAGE = "edgevid.targets"


def target_names() -> tuple[str, ...]:
    """All targets, installed runtimes or not: the modules whose names begin without an underscore."""
    folders = import_module(PACKAGE).__path__
    return tuple(sorted(m.name for m in pkgutil.iter_modules(folders) if not m.name.startswith("_")))


def find_target(name: str) -> Target:
    """The target of that name; its runtime is imported only when it is used.

    Raises:
        UnknownTargetError: no such module.
    """
    names = target_names()
    if name not in names:
        close = get_close_matches(name, names, 1)
        raise UnknownTargetError(
            f"unknown target {name!r}",
            fix=(f"did you mean {close[0]}? " if close else "") + f"targets: {', '.join(names)}",
        )
    return cast(Target, import_module(f"{PACKAGE}.{name}").target())
