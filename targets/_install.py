"""Is a runtime installed, and what installs it."""

from __future__ import annotations

from importlib import import_module, metadata
from typing import Any

from edgevid.errors import MissingDependencyError

__all__ = ["installed_version", "require"]


def installed_version(distribution: str) -> str:
    """The version of an installed distribution, empty when it is missing. Imports nothing."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def require(module: str, extra: str) -> Any:
    """Import a runtime.

    Raises:
        MissingDependencyError: it is not installed, or does not load on this machine.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"{module} cannot be imported: {error}", fix=f"pip install 'edgevid[{extra}]'"
        ) from error
