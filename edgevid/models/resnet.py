"""ResNet-18 to 152 over frames, with a shift, non-local blocks or PSN's synthesis; torchvision's keys.

He et al., CVPR 2016, table 1, with the stride in the 3x3 convolution of a bottleneck.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import nn

from edgevid.models.config import NetworkConfig
from edgevid.models.network import VideoNetwork, initialize
from edgevid.models.non_local import NonLocal
from edgevid.models.psn import Synthesizer
from edgevid.models.shift_module import shift_layer

__all__ = ["BasicBlock", "Bottleneck", "ResNet"]


class _Block(nn.Module):
    """What both kinds of residual blocks share: the shortcut, the places of a shift and of attention."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.downsample = (
            nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
            if stride != 1 or inputs != outputs
            else None
        )
        self.shift_block: nn.Module = nn.Identity()
        self.shift_branch: nn.Module = nn.Identity()
        self.attention: nn.Module = nn.Identity()

    @abstractmethod
    def branch(self, frames: torch.Tensor) -> torch.Tensor:
        """The convolutions of the residual branch."""

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        frames = self.shift_block(frames)
        shortcut = frames if self.downsample is None else self.downsample(frames)
        total: torch.Tensor = self.attention(self.relu(self.branch(self.shift_branch(frames)) + shortcut))
        return total


class BasicBlock(_Block):
    """Two 3x3 convolutions (ResNet-18 and 34)."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__(inputs, width, stride)
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def branch(self, frames: torch.Tensor) -> torch.Tensor:
        frames = self.relu(self.bn1(self.conv1(frames)))
        result: torch.Tensor = self.bn2(self.conv2(frames))
        return result


class Bottleneck(_Block):
    """1x1, 3x3 and 1x1 convolutions (ResNet-50 and deeper)."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__(inputs, width * self.expansion, stride)
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)

    def branch(self, frames: torch.Tensor) -> torch.Tensor:
        frames = self.relu(self.bn1(self.conv1(frames)))
        frames = self.relu(self.bn2(self.conv2(frames)))
        result: torch.Tensor = self.bn3(self.conv3(frames))
        return result


class ResNet(VideoNetwork):
    """A ResNet over frames. State-dict keys: ``conv1, bn1, layer1.0.conv1, ..., fc``.

    PSN adds ``synthesis.0`` to ``synthesis.3``, one in front of each stage; non-local blocks add
    ``layer2.0.attention`` and so on.

    Raises:
        ConfigError: too few channels for the groups of a synthesis.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        block = BasicBlock if config.backbone in ("resnet18", "resnet34") else Bottleneck
        stem, *widths = config.widths
        self.conv1 = nn.Conv2d(config.frame_channels, stem, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        stages, inputs = [], stem
        self.synthesis = nn.ModuleList()
        for stage, (width, count) in enumerate(zip(widths, config.stage_blocks, strict=True), start=1):
            self.synthesis.append(_synthesizer(config, inputs))
            blocks = []
            for index in range(count):
                unit = block(inputs, width, stride=2 if stage > 1 and index == 0 else 1)
                if index % config.shift_every == 0:
                    _place_shift(unit, config, inputs, f"layer{stage}.{index}")
                inputs = width * block.expansion
                if config.attention is not None and config.attention.stands_behind(stage, index):
                    unit.attention = NonLocal(inputs, config.attention, config.segments)
                blocks.append(unit)
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(config.dropout)
        self.fc = nn.Linear(inputs, config.classes)
        initialize(self)

    def classify(self, images: torch.Tensor) -> torch.Tensor:
        """Logits ``[N*T, classes]`` of normalized images ``[N*T, C, H, W]``."""
        frames = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        stages = (self.layer1, self.layer2, self.layer3, self.layer4)
        for synthesizer, stage in zip(self.synthesis, stages, strict=True):
            frames = stage(synthesizer(frames))
        logits: torch.Tensor = self.fc(self.dropout(self.avgpool(frames).flatten(1)))
        return logits


def _place_shift(block: _Block, config: NetworkConfig, channels: int, where: str) -> None:
    layer = shift_layer(config, channels, where)
    if config.shift is not None and config.shift.placement == "inplace":
        block.shift_block = layer
    else:
        block.shift_branch = layer


def _synthesizer(config: NetworkConfig, channels: int) -> nn.Module:
    if config.synthesis is None:
        return nn.Identity()
    return Synthesizer(config.synthesis, channels, config.segments)
