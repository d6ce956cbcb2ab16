"""The layout of mmaction2: ``backbone.*`` built of ConvModules, head ``cls_head.fc_cls``.

A ConvModule holds ``conv`` and ``bn``. Its MobileNetV2 counts blocks by stage, and wraps a
whole ConvModule into the shift; its ResNet wraps the convolution inside. A backbone that was
initialized twice holds the wrapper twice and shifts twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch

from edgevid.checkpoints.keys import Reading, is_nested, rename, split_wrappers, torchvision_key
from edgevid.checkpoints.non_local import non_local_key, over_frames

__all__ = ["read_mmaction2", "recognise_mmaction2"]

_MODULE_PARTS = {"conv": 0, "bn": 1}


def recognise_mmaction2(keys: frozenset[str]) -> bool:
    """The backbone stands under ``backbone`` and the head under ``cls_head``, or one of both."""
    return any(key.startswith(("backbone.", "cls_head.")) for key in keys)


def read_mmaction2(tensors: Mapping[str, torch.Tensor]) -> Reading:
    """The checkpoint in our keys, with the preprocessor's mean and std as facts."""
    facts: dict[str, Any] = {}
    weights = dict(tensors)
    for name in ("mean", "std"):
        buffer = weights.pop(f"data_preprocessor.{name}", None)
        if buffer is not None and (buffer.numel() == 3 or (buffer.numel() and buffer.numel() % 2 == 0)):
            facts[name] = tuple(float(value) for value in buffer.flatten())
    bare = [split_wrappers(key)[0] for key in weights]
    mobilenet = any(re.match(r"backbone\.(layer\d\.\d+\.conv\.\d|features)\.", key) for key in bare)
    starts, last = _block_numbers(bare)
    nested = is_nested(weights)
    head = "classifier" if mobilenet else "fc"

    def translate(key: str) -> str:
        key = key.removeprefix("backbone.")
        if key.startswith("cls_head.fc_cls."):
            return f"{head}.{key.removeprefix('cls_head.fc_cls.')}"
        if mobilenet and not key.startswith("features."):
            return _mobilenet_key(key, starts, last)
        return torchvision_key(_resnet_key(non_local_key(key)), nested=nested, head=head)

    return over_frames(rename("mmaction2", weights, translate, facts=facts))


def _resnet_key(key: str) -> str:
    key = re.sub(r"(^|\.)conv(\d)\.conv(?=\.|$)", r"\1conv\2", key)
    key = re.sub(r"(^|\.)conv(\d)\.bn(?=\.|$)", r"\1bn\2", key)
    return re.sub(r"\.downsample\.(conv|bn)\.", lambda m: f".downsample.{_MODULE_PARTS[m[1]]}.", key)


def _block_numbers(keys: list[str]) -> tuple[dict[int, int], int]:
    """MobileNetV2's stages to the number of their first block in ``features``, and the last number."""
    counts: dict[int, int] = {}
    for key in keys:
        match = re.match(r"backbone\.layer(\d+)\.(\d+)\.", key)
        if match:
            stage, index = int(match[1]), int(match[2])
            counts[stage] = max(counts.get(stage, 0), index + 1)
    starts, position = {}, 1
    for stage in sorted(counts):
        starts[stage] = position
        position += counts[stage]
    return starts, position


def _mobilenet_key(key: str, starts: dict[int, int], last: int) -> str:
    outer = re.fullmatch(r"conv([12])\.(conv|bn)\.(.+)", key)
    if outer:
        number = 0 if outer[1] == "1" else last
        return f"features.{number}.{_MODULE_PARTS[outer[2]]}.{outer[3]}"
    block = re.fullmatch(r"layer(\d+)\.(\d+)(?:\.conv\.(\d)(?:\.(conv|bn)(\..+)?)?)?", key)
    if not block:
        return key
    name = f"features.{starts[int(block[1])] + int(block[2])}"
    if block[3] is None:
        return name
    # Three entries a ConvModule in our flat sequence: convolution, norm, activation.
    return f"{name}.conv.{3 * int(block[3]) + _MODULE_PARTS.get(block[4] or 'conv', 0)}{block[5] or ''}"
