"""Named presets of all families: a network together with its publisher's preprocessing.

A preset says what a checkpoint's weights cannot: frames, proportion, direction,
normalization and sampling. Its number of classes is only that of the published example.
"""

from __future__ import annotations

import difflib

from edgevid.errors import ConfigError
from edgevid.models import (
    presets_compared,
    presets_gsm,
    presets_psn,
    presets_s3d,
    presets_stsm,
    presets_tsm,
)
from edgevid.models.preset import Preset

__all__ = ["Preset", "preset", "preset_names"]

_FAMILIES = (presets_tsm, presets_stsm, presets_gsm, presets_s3d, presets_psn, presets_compared)


def _presets() -> list[Preset]:
    return [item for family in _FAMILIES for item in family.presets()]


def preset_names() -> tuple[str, ...]:
    """All names that `preset` knows."""
    return tuple(item.name for item in _presets())


def preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        ConfigError: there is none; the close ones are named.
    """
    presets = {item.name: item for item in _presets()}
    if name not in presets:
        close = difflib.get_close_matches(name, presets, n=3, cutoff=0.5) or list(presets)
        raise ConfigError(f"no preset named {name!r}", where="preset", fix=f"take one of {', '.join(close)}")
    return presets[name]
