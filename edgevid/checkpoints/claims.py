"""What tells a checkpoint from the network that a flag or a preset takes it for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from edgevid.checkpoints.inception import gate_key
from edgevid.checkpoints.keys import Reading
from edgevid.checkpoints.settings import Merger
from edgevid.errors import ConfigError, ShiftError
from edgevid.models import build
from edgevid.models.config import NetworkConfig
from edgevid.models.preset import Preset
from edgevid.models.presets_gsm import SIZES

__all__ = ["refuse_other_layout", "refuse_other_shift", "refuse_senseless", "unfitting"]

_SHOWN = 2


def unfitting(reading: Reading, proven: Mapping[str, Any], claimed: Mapping[str, Any]) -> str:
    """Keys that the file has and the claimed network does not, and the other way round.

    Args:
        reading: the checkpoint in our keys.
        proven: fields of `NetworkConfig` that the keys show.
        claimed: fields that something else says.
    """
    crop = SIZES.get(proven["backbone"], (224, None))[0]
    try:
        with torch.device("meta"):
            network = build(NetworkConfig(size=crop, **{**proven, **claimed}))
    except (ConfigError, ShiftError):
        return ""
    expected = {key: tensor.shape for key, tensor in network.state_dict().items() if "num_batches" not in key}
    surplus = [key for key in reading.tensors if key not in expected and "num_batches" not in key]
    other = [
        key for key, shape in expected.items() if shape != getattr(reading.tensors.get(key), "shape", shape)
    ]
    lacking = [key for key in expected if key not in reading.tensors]
    said = [
        _listed("does not belong to it", [reading.originals[key] for key in surplus]),
        _listed("is missing for it", [gate_key(key, reading.originals) for key in lacking]),
        _listed("has another shape in it", [reading.originals[key] for key in other]),
    ]
    return "".join(said)


def _listed(what: str, keys: list[str]) -> str:
    if not keys:
        return ""
    shown = ", ".join(keys[:_SHOWN]) + (f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else "")
    return f"; {what}: {shown}"


def refuse_other_layout(reading: Reading, preset: Preset, where: object) -> None:
    """Raise `ConfigError` for the preset of another publisher than the file's, whose pixels it had.

    Keys that are ours, or torchvision's images', may be of any network.
    """
    if not preset.layouts or reading.layout in (*preset.layouts, "torchvision"):
        return
    raise ConfigError(
        f"the preset {preset.name} is of the layout {' or '.join(preset.layouts)}, but the keys are of "
        f"{reading.layout} ({next(iter(reading.originals.values()))}, ...)",
        where=where,
        fix="take the preset of this network, or none",
    )


def refuse_other_shift(merger: Merger, reading: Reading) -> None:
    """Raise `ConfigError` where a preset alone says that a published TSM is an STSM.

    Both have the same keys, but wrappers are published for TSM only.
    """
    axes, source = merger.chosen["axes"].value, merger.chosen["axes"].source
    if source == "preset" and axes != "T" and reading.marks:
        raise ConfigError(
            f"the preset shifts along {axes}, but keys of the layout {reading.layout} with a shift are "
            "published for shifts along time alone",
            where=merger.where,
            fix=f'take the preset of TSM, or give axes="{axes}" for a network that was trained so',
        )


def refuse_senseless(merger: Merger, names: set[str], backbone: str) -> None:
    """Raise `ConfigError` for a flag, or metadata, that the backbone has no use for.

    A preset's or a file name's are left out without a word: they are of the family, not of this network.
    """
    for source, title in (("flag", "flag"), ("file", "file's metadata")):
        for name in sorted(names & set(merger.candidates[source])):
            value, standard = merger.candidates[source][name], NetworkConfig.model_fields[name].default
            if str(value) != str(standard):
                raise ConfigError(
                    f"the {title} says {name} {value}, which a {backbone} does not have",
                    where=merger.where,
                    fix=f"leave {name} out",
                )
