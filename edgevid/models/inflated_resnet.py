"""ResNet-50 and deeper over volumes: I3D, with or without non-local blocks, and Temporal-1D.

Keys are those of `edgevid.models.resnet`, with weights of five axes, and ``front`` for what
stands in front of a block's branch.
"""

from __future__ import annotations

import torch
from torch import nn

from edgevid.models.config import NetworkConfig
from edgevid.models.inflation_config import Place
from edgevid.models.network import VolumeNetwork, initialize
from edgevid.models.non_local import NonLocal

__all__ = ["InflatedBlock", "InflatedResNet"]


class InflatedBlock(nn.Module):
    """A bottleneck over volumes ``[N, C, T, H, W]``; ``place`` is of its kernel over time, if any."""

    def __init__(self, inputs: int, width: int, stride: int, place: Place | None) -> None:
        super().__init__()
        outputs = 4 * width
        reach = 3 if place == "first" else 1
        self.relu = nn.ReLU()
        self.front: nn.Module = nn.Identity()
        if place == "front":
            self.front = nn.Conv3d(inputs, inputs, (3, 1, 1), padding=(1, 0, 0), bias=False)
        self.conv1 = nn.Conv3d(inputs, width, (reach, 1, 1), padding=(reach // 2, 0, 0), bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = nn.Conv3d(width, width, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False)
        self.bn2 = nn.BatchNorm3d(width)
        self.conv3 = nn.Conv3d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv3d(inputs, outputs, 1, (1, stride, stride), bias=False), nn.BatchNorm3d(outputs)
            )
        self.attention: nn.Module = nn.Identity()

    def forward(self, volumes: torch.Tensor) -> torch.Tensor:
        branch = self.relu(self.bn1(self.conv1(self.front(volumes))))
        branch = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(branch)))))
        result: torch.Tensor = self.attention(self.relu(branch + self.downsample(volumes)))
        return result


class InflatedResNet(VolumeNetwork):
    """A ResNet over volumes, as `NetworkConfig.inflation` says."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        inflation = config.inflation
        assert inflation is not None
        stem, *widths = config.widths
        early, middle, late = inflation.strides
        self.conv1 = nn.Conv3d(
            3, stem, (inflation.stem, 7, 7), (early, 2, 2), (inflation.stem // 2, 3, 3), bias=False
        )
        self.bn1 = nn.BatchNorm3d(stem)
        self.relu = nn.ReLU()
        reach = 3 if middle > 1 else 1
        self.maxpool = nn.MaxPool3d((reach, 3, 3), (middle, 2, 2), (reach // 2, 1, 1))
        self.halve: nn.Module = nn.Identity()
        if late > 1:
            self.halve = nn.MaxPool3d((3, 1, 1), (late, 1, 1), (1, 0, 0))
        stages, inputs = [], stem
        strides = (1, 2, 2, inflation.last_stride)
        for stage, (width, count) in enumerate(zip(widths, config.stage_blocks, strict=True), start=1):
            blocks = []
            for index in range(count):
                place = inflation.place if index in inflation.blocks[stage - 1] else None
                unit = InflatedBlock(inputs, width, strides[stage - 1] if index == 0 else 1, place)
                inputs = 4 * width
                if config.attention is not None and config.attention.stands_behind(stage, index):
                    unit.attention = NonLocal(inputs, config.attention, None)
                blocks.append(unit)
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.dropout = nn.Dropout(config.dropout)
        self.fc = nn.Linear(inputs, config.classes)
        initialize(self)

    def classify_volumes(self, volumes: torch.Tensor) -> torch.Tensor:
        """Logits ``[N, classes]`` of normalized clips ``[N, 3, T, H, W]``."""
        volumes = self.maxpool(self.relu(self.bn1(self.conv1(volumes))))
        volumes = self.layer2(self.halve(self.layer1(volumes)))
        features = self.layer4(self.layer3(volumes)).mean(dim=(2, 3, 4))
        logits: torch.Tensor = self.fc(self.dropout(features))
        return logits
