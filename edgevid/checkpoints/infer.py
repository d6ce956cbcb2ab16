"""What the shapes of a checkpoint say about its network.

A few damaged keys must not change the answer, so widths are decided by majority, and depths
by the published networks: the strict comparison afterwards then names what is damaged.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from edgevid.checkpoints.inception import infer_inception
from edgevid.checkpoints.keys import Mark, Reading
from edgevid.errors import CheckpointError, KeyMismatchError, UnknownLayoutError
from edgevid.models.config import (
    MOBILENET_V2_BLOCKS,
    MOBILENET_V2_CHANNELS,
    RESNET_BLOCKS,
    RESNET_CHANNELS,
    NetworkConfig,
    ShiftConfig,
)

__all__ = ["infer_shift", "infer_structure"]

Tensors = Mapping[str, torch.Tensor]


def infer_structure(reading: Reading, blocks: tuple[int, ...] | None) -> dict[str, Any]:
    """Backbone, classes, widths, expansion, gates and channels of a frame, as fields of `NetworkConfig`.

    Args:
        reading: the checkpoint in our keys.
        blocks: blocks a stage where they are known from elsewhere; else the published
            network with the most similar number of blocks is taken.

    Raises:
        CheckpointError: it takes something else than RGB frames or stacked fields of optical flow.
        KeyMismatchError: it has no classifier.
        UnknownLayoutError: gates stand where no published network has them.
    """
    tensors = reading.tensors
    mobilenet = any(key.startswith("features.") for key in tensors)
    inception = any(key.startswith("units.") for key in tensors)
    head = "classifier" if mobilenet else "fc"
    classes = _outputs(tensors, [f"{head}.bias", f"{head}.weight"], 0)
    if not classes:
        raise KeyMismatchError(
            f"no classifier: {head}.weight and {head}.bias are missing",
            fix="load a file that was saved with its head, not a feature extractor",
        )
    if inception:
        found = infer_inception(tensors)
    else:
        found = _mobilenet(tensors, blocks) if mobilenet else _resnet(tensors, blocks)
    return {"classes": classes, **found, **_frame_channels(reading)}


_STEMS = (
    *("conv1.weight", "features.0.0.weight"),
    *("units.conv1_7x7_s2.conv.weight", "units.conv.conv.weight"),
)
"""First convolutions of all backbones, by our keys."""


def _frame_channels(reading: Reading) -> dict[str, int]:
    """Nothing for pictures; 2k for k stacked fields of flow, of which TSN and TSM publish networks of 5.

    Multiples of 3 are refused, since they may as well be stacked pictures or their differences.
    """
    for stem in _STEMS:
        tensor = reading.tensors.get(stem)
        if tensor is None or tensor.dim() not in (4, 5) or tensor.shape[1] == 3:
            continue
        channels, shape = tensor.shape[1], "x".join(map(str, tensor.shape))
        if tensor.dim() == 5 or channels % 2 or channels % 3 == 0 or not channels:
            raise CheckpointError(
                f"{reading.originals[stem]} takes {channels} channels ({shape}), neither RGB frames nor "
                "stacked fields of optical flow",
                fix="read are networks of RGB, and over frames those of k fields x0, y0, x1, y1, ..., which "
                "are 10 channels as published; RGB differences and flow over volumes are not supported",
            )
        return {"frame_channels": channels}
    return {}


def _resnet(tensors: Tensors, blocks: tuple[int, ...] | None) -> dict[str, Any]:
    counts = tuple(_count(tensors, rf"layer{stage}\.(\d+)\.") for stage in range(1, 5))
    bottleneck = any(re.match(r"layer\d\.\d+\.conv3\.", key) for key in tensors)
    depths = ("resnet50", "resnet101", "resnet152") if bottleneck else ("resnet18", "resnet34")
    target = blocks or counts
    backbone = min(depths, key=lambda name: _distance(RESNET_BLOCKS[name], target))
    widths = [_outputs(tensors, [f"bn1.{leaf}" for leaf in _LEAVES] + ["conv1.weight"], RESNET_CHANNELS[0])]
    for stage in range(1, 5):
        inner = [
            f"layer{stage}.{block}.{name}"
            for block in range(counts[stage - 1])
            for name in ("bn1.weight", "bn1.bias", "conv1.weight", "conv2.weight", "bn2.weight")
        ]
        widths.append(_outputs(tensors, inner, RESNET_CHANNELS[stage]))
    return {"backbone": backbone, "channels": tuple(widths)}


def _mobilenet(tensors: Tensors, blocks: tuple[int, ...] | None) -> dict[str, Any]:
    counts = blocks or MOBILENET_V2_BLOCKS
    standard = MOBILENET_V2_CHANNELS
    outer = [f"features.0.1.{leaf}" for leaf in _LEAVES]
    widths = [_outputs(tensors, ["features.0.0.weight", *outer], standard[0])]
    position = 1
    for stage, count in enumerate(counts):
        names = [
            f"features.{number}.conv.{index}.{leaf}"
            for number in range(position, position + count)
            for index in ((4,) if stage == 0 else (7,))
            for leaf in _LEAVES
        ]
        widths.append(_outputs(tensors, names, standard[min(stage + 1, 7)]))
        position += count
    outer = [f"features.{position}.1.{leaf}" for leaf in _LEAVES]
    widths.append(_outputs(tensors, [f"features.{position}.0.weight", *outer], standard[-1]))
    return {"backbone": "mobilenet_v2", "channels": tuple(widths), "expansion": _expansion(tensors)}


_LEAVES = ("weight", "bias", "running_mean", "running_var")


def _expansion(tensors: Tensors) -> int:
    ratios: Counter[int] = Counter()
    for key, tensor in tensors.items():
        if re.fullmatch(r"features\.\d+\.conv\.0\.weight", key) and tensor.dim() == 4:
            outputs, inputs = tensor.shape[:2]
            if inputs > 1 and outputs % inputs == 0 and outputs > inputs:
                ratios[outputs // inputs] += 1
    return ratios.most_common(1)[0][0] if ratios else 6


def _count(tensors: Tensors, pattern: str) -> int:
    numbers = [int(match[1]) for match in map(re.compile(pattern).match, tensors) if match]
    return max(numbers, default=-1) + 1


def _outputs(tensors: Tensors, names: Iterable[str], default: int) -> int:
    """The length of the first axis that most of ``names`` have."""
    lengths = Counter(tensors[name].shape[0] for name in names if name in tensors and tensors[name].dim() > 0)
    return lengths.most_common(1)[0][0] if lengths else default


def _distance(standard: Iterable[int], found: Iterable[int]) -> int:
    return sum(abs(a - b) for a, b in zip(standard, found, strict=False))


def infer_shift(reading: Reading, plain: NetworkConfig) -> dict[str, Any] | None:
    """Placement, every and repeats of the shift; empty for none, ``None`` if keys cannot say.

    Args:
        reading: the checkpoint in our keys.
        plain: its network without a shift.

    Raises:
        UnknownLayoutError: blocks are shifted in no regular pattern.
    """
    if reading.marks is None:
        return None
    if not reading.marks:
        return {}
    kinds = set(reading.marks.values())
    if len(kinds) > 1:
        raise UnknownLayoutError(
            "its blocks are shifted in different ways: "
            + ", ".join(f"{kind.placement} x{kind.repeats}" for kind in sorted(kinds)),
            fix="all blocks of a published network are shifted alike",
        )
    kind = kinds.pop()
    shifted = set(reading.marks)
    for every in (None, 1, 2, 3, 4):
        if shifted == _shifted_blocks(plain, kind, every):
            config = _shifted(plain, kind, every)
            return {"placement": kind.placement, "repeats": kind.repeats, "every": config.shift_every}
    missing = sorted(_shifted_blocks(plain, kind, None) - shifted)
    raise UnknownLayoutError(
        f"{len(shifted)} of its blocks are shifted in no regular pattern"
        + (f"; without a shift are {', '.join(missing[:5])}" if missing else ""),
        fix="published networks shift every block, every second one, or all with a skip connection",
    )


def _shifted_blocks(plain: NetworkConfig, kind: Mark, every: int | None) -> set[str]:
    if plain.is_mobilenet:
        position, blocks = 1, set()
        for stage, count in enumerate(plain.stage_blocks):
            # A stage's first block changes the width or the size, so it has no skip connection.
            if stage > 0 and every in (None, 1) and kind.placement == "residual":
                blocks.update(_with_skip(plain, stage, position, count))
            position += count
        return blocks
    config = _shifted(plain, kind, every)
    return {
        f"layer{stage}.{block}"
        for stage, count in enumerate(config.stage_blocks, start=1)
        for block in range(0, count, config.shift_every)
    }


def _shifted(plain: NetworkConfig, kind: Mark, every: int | None) -> NetworkConfig:
    return plain.model_copy(update={"shift": ShiftConfig(placement=kind.placement, every=every)})


def _with_skip(plain: NetworkConfig, stage: int, position: int, count: int) -> set[str]:
    from edgevid.models.mobilenet_v2 import STRIDES

    first_has_skip = STRIDES[stage] == 1 and plain.widths[stage] == plain.widths[stage + 1]
    return {f"features.{position + block}" for block in range(0 if first_has_skip else 1, count)}
