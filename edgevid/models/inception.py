"""What BN-Inception and Inception-V3 share: blocks of parallel branches, written as tables.

Both are the networks of the Caffe releases that TSN and GSM are trained from: convolutions
have biases, and poolings that halve round up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import torch
from torch import nn

from edgevid.errors import ConfigError
from edgevid.models.config import NetworkConfig
from edgevid.models.gate_shift import GateShift
from edgevid.models.network import VideoNetwork, initialize

__all__ = ["Block", "Branch", "Conv", "Inception", "Stem", "convolutions", "gate_places"]

_LARGEST = 1024


class Conv(NamedTuple):
    """A convolution with batch norm and ReLU.

    Attributes:
        name: as published.
        channels: of its output, at the full width.
        kernel: rows and columns, or one number for both.
        stride: of both.
        same: padded, so that a stride of 1 keeps the size; else not padded.
        gate: GSM has a gate behind the convolution.
    """

    name: str
    channels: int
    kernel: int | tuple[int, int] = 1
    stride: int = 1
    same: bool = True
    gate: bool = False


class Branch(NamedTuple):
    """Convolutions on end; ``fork`` are parallel ones behind the last."""

    chain: tuple[Conv, ...]
    fork: tuple[Conv, ...] = ()


class Block(NamedTuple):
    """Branches that are joined along channels; the last one is a 3x3 pooling with or without a projection."""

    branches: tuple[Branch, ...]
    pool: Literal["average", "maximum", "halve"]
    projection: Conv | None = None


Stem = Sequence[Sequence[Conv]]
"""Chains of convolutions, a halving pooling behind each."""


def convolutions(stem: Stem, blocks: Sequence[Block]) -> Iterator[Conv]:
    """All convolutions in the published order."""
    for chain in stem:
        yield from chain
    for block in blocks:
        for branch in block.branches:
            yield from (*branch.chain, *branch.fork)
        if block.projection is not None:
            yield block.projection


def gate_places(stem: Stem, blocks: Sequence[Block]) -> tuple[str, ...]:
    """Names of the convolutions behind which GSM has a gate, from the first to the last."""
    return tuple(conv.name for conv in convolutions(stem, blocks) if conv.gate)


class Unit(nn.Module):
    """Convolution, gate-shift where there is one, batch norm, ReLU; in the release's order."""

    def __init__(self, conv: nn.Conv2d, gate: nn.Module) -> None:
        super().__init__()
        self.conv = conv
        self.gate = gate
        self.bn = nn.BatchNorm2d(conv.out_channels)
        self.relu = nn.ReLU()

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.relu(self.bn(self.gate(self.conv(frames))))
        return result


class Inception(VideoNetwork):
    """A stem, blocks, and a classifier over frames. State-dict keys: ``units.NAME.conv.weight``, ..., ``fc``.

    Args:
        config: of the network.
        stem: what stands before the blocks.
        blocks: in order.

    Raises:
        ConfigError: on frames of this size the branches of a block end in different sizes.
    """

    def __init__(self, config: NetworkConfig, stem: Stem, blocks: Sequence[Block]) -> None:
        super().__init__(config)
        _check_size(config, stem, blocks)
        self._stem, self._blocks = stem, blocks
        places = gate_places(stem, blocks)
        self._gated = places[len(places) - (config.gate.count if config.gate else 0) :]
        self.units = nn.ModuleDict()
        self.pools = nn.ModuleDict(
            {
                "average": nn.AvgPool2d(3, 1, 1),
                "maximum": nn.MaxPool2d(3, 1, 1),
                "halve": nn.MaxPool2d(3, 2, ceil_mode=True),
            }
        )
        channels = config.frame_channels
        for chain in stem:
            channels = self._add(chain, channels)
        for block in blocks:
            channels = self._add_block(block, channels)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(config.dropout)
        self.fc = nn.Linear(channels, config.classes)
        initialize(self)
        for layer in self.modules():
            if isinstance(layer, GateShift):
                layer.open_halfway()

    def _add(self, chain: Sequence[Conv], inputs: int) -> int:
        """Make the units of a chain; the channels behind it."""
        config = self.config
        for conv in chain:
            outputs = config.scaled(conv.channels)
            kernel = conv.kernel if isinstance(conv.kernel, tuple) else (conv.kernel, conv.kernel)
            padding: int | tuple[int, int] = (kernel[0] // 2, kernel[1] // 2) if conv.same else 0
            gate: nn.Module = nn.Identity()
            if config.gate is not None and conv.name in self._gated:
                gate = GateShift(outputs, config.segments, norm=config.gate.norm)
            self.units[conv.name] = Unit(nn.Conv2d(inputs, outputs, kernel, conv.stride, padding), gate)
            inputs = outputs
        return inputs

    def _add_block(self, block: Block, inputs: int) -> int:
        outputs = 0
        for chain, fork in block.branches:
            last = self._add(chain, inputs)
            outputs += sum(self._add([conv], last) for conv in fork) if fork else last
        return outputs + (inputs if block.projection is None else self._add([block.projection], inputs))

    def classify(self, images: torch.Tensor) -> torch.Tensor:
        """Logits ``[N*T, classes]`` of normalized images ``[N*T, C, H, W]``."""
        frames = images
        for chain in self._stem:
            frames = self.pools["halve"](self._through(chain, frames))
        for block in self._blocks:
            frames = self._joined(block, frames)
        logits: torch.Tensor = self.fc(self.dropout(self.avgpool(frames).flatten(1)))
        return logits

    def _through(self, chain: Sequence[Conv], frames: torch.Tensor) -> torch.Tensor:
        for conv in chain:
            frames = self.units[conv.name](frames)
        return frames

    def _joined(self, block: Block, frames: torch.Tensor) -> torch.Tensor:
        results: list[torch.Tensor] = []
        for chain, fork in block.branches:
            last = self._through(chain, frames)
            results += [self._through([conv], last) for conv in fork] if fork else [last]
        pooled = self.pools[block.pool](frames)
        results.append(pooled if block.projection is None else self._through([block.projection], pooled))
        return torch.cat(results, dim=1)


def _check_size(config: NetworkConfig, stem: Stem, blocks: Sequence[Block]) -> None:
    if _fits(stem, blocks, config.size):
        return
    sizes = (size for size in range(1, _LARGEST) if _fits(stem, blocks, size))
    near = min(sizes, key=lambda size: abs(size - config.size))
    raise ConfigError(
        f"on frames of {config.size} pixels the branches of {config.backbone} end in different sizes",
        where="size",
        fix=f"take frames of {near} pixels",
    )


def _fits(stem: Stem, blocks: Sequence[Block], size: int) -> bool:
    """All branches of each block end in the same number of rows, at least one."""
    rows = size
    for chain in stem:
        rows = _halved(_rows(chain, rows))
    for block in blocks:
        ends = {_rows((*chain, *fork[:1]), rows) for chain, fork in block.branches}
        ends.add(_halved(rows) if block.pool == "halve" else rows)
        if len(ends) > 1 or min(ends) < 1:
            return False
        (rows,) = ends
    return True


def _rows(chain: Sequence[Conv], rows: int) -> int:
    for conv in chain:
        kernel = 1 if conv.same else max(conv.kernel) if isinstance(conv.kernel, tuple) else conv.kernel
        rows = (rows - kernel) // conv.stride + 1
    return rows


def _halved(rows: int) -> int:
    """Behind a 3x3 pooling of stride 2 that rounds up; 0 where it does not fit."""
    return rows // 2 if rows > 2 else 0
