"""What a user allows a network to take: ``50ms`` and ``200MB`` as numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping

from edgevid.errors import ConfigError

__all__ = ["parse_memory", "parse_milliseconds"]

_TIME = {"us": 1e-3, "ms": 1.0, "s": 1e3}
_MEMORY = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*)")


def parse_milliseconds(text: str, where: str) -> float:
    """``50ms``, ``0.05 s`` or ``800us`` in milliseconds.

    Raises:
        ConfigError: something else, no unit, or nothing at all.
    """
    return _parse(text, where, _TIME, "50ms, 0.05s or 800us")


def parse_memory(text: str, where: str) -> int:
    """``200MB`` or ``190 MiB`` in bytes.

    Raises:
        ConfigError: something else, no unit, or nothing at all.
    """
    return round(_parse(text, where, _MEMORY, "200MB, 190MiB or 1.5GB"))


def _parse(text: str, where: str, units: Mapping[str, float], examples: str) -> float:
    found = _QUANTITY.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"{text!r} is no number with a unit", where=where, fix=f"write {examples}")
    digits, unit = found.groups()
    if unit not in units:
        what = f"{text!r} has the unknown unit {unit!r}" if unit else f"{text!r} has no unit"
        raise ConfigError(what, where=where, fix=f"write {examples}; units are {', '.join(units)}")
    if not float(digits):
        raise ConfigError(f"{text!r} allows nothing", where=where, fix=f"write {examples}")
    return float(digits) * units[unit]
