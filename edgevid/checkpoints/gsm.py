"""The layout of GSM's published code: an Inception under ``base_model``, gates ``gsm_*``, head ``new_fc``.

Its gates differ from ours in three ways, none of which changes an answer. The convolution of a gate is a
3D one; ours is of 2D ones for each of its frames. Behind the shift the release interleaves the two
quarters of each half of the channels; here the weights in front of the shift are in that order already,
since all between is done channel by channel. And layers are named otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

from edgevid.checkpoints.inception import GATE_PARTS, inception_key
from edgevid.checkpoints.keys import Reading, rename
from edgevid.errors import KeyMismatchError

__all__ = ["interleaved", "read_gsm", "recognise_gsm"]

_GATE = re.compile(r"(?:base_model\.)?gsm_\w+(?=\.(?:conv3D|bn)\.)")
_BY_CHANNEL = ("conv.weight", "conv.bias", *(f"gate.{part}" for part in GATE_PARTS if part.startswith("bn.")))


def recognise_gsm(keys: frozenset[str]) -> bool:
    """Some layer is a gate of the release."""
    return any(_GATE.match(key) for key in keys)


def read_gsm(tensors: Mapping[str, torch.Tensor]) -> Reading:
    """The checkpoint in our keys.

    Raises:
        KeyMismatchError: a gate is not complete, or of another shape.
    """
    reading = rename("gsm", tensors, inception_key)
    found = dict(reading.tensors)
    for gate in sorted({match[0] for match in map(_GATE.match, tensors) if match}):
        _check(gate, tensors)
        unit = inception_key(f"{gate}.conv3D.bias").removesuffix(".gate.bias")
        weight = tensors[f"{gate}.conv3D.weight"]
        half = weight.shape[1]
        order = interleaved(2 * half)
        for key in (f"{unit}.{part}" for part in _BY_CHANNEL):
            if key in found and found[key].dim() > 0 and len(found[key]) == 2 * half:
                found[key] = found[key][order]
        # Outputs of a group are neighbours: the three frames of its half.
        taps = weight[:, order[:half]].transpose(1, 2)
        found[f"{unit}.gate.taps.weight"] = taps.reshape(6, half, 3, 3)
    return Reading(reading.layout, found, reading.originals, reading.marks)


def interleaved(channels: int) -> torch.Tensor:
    """For each channel behind the release's interleaving, the one before it.

    In each half, channels of the first quarter and of the second alternate.
    """
    return torch.arange(channels).reshape(2, 2, channels // 4).transpose(1, 2).flatten()


def _check(gate: str, tensors: Mapping[str, torch.Tensor]) -> None:
    if missing := [part for part in GATE_PARTS if f"{gate}.{part}" not in tensors]:
        raise KeyMismatchError(
            f"a gate is not complete: {', '.join(f'{gate}.{part}' for part in missing)} missing",
            fix="check that the file is complete",
        )
    shape = tuple(tensors[f"{gate}.conv3D.weight"].shape)
    if len(shape) != 5 or (shape[0], *shape[2:]) != (2, 3, 3, 3) or shape[1] % 2:
        raise KeyMismatchError(
            f"{gate}.conv3D.weight is {'x'.join(map(str, shape)) or 'scalar'} instead of 2xCx3x3x3, C even",
            fix="gates are read as GSM's published code makes them",
        )
