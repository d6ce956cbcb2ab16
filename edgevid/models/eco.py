"""ECO: BN-Inception over frames, and a 3D ResNet-18 over what it sees half-way.

Zolfaghari et al., ECCV 2018, figure 2 and table 1: the full network, not ECO Lite. Behind the
first 3x3 convolution of inception_3c's longer branch the frames are stacked to volumes, which go
through the third to fifth stage of a 3D ResNet-18; the frames go on to the end of BN-Inception.
"""

from __future__ import annotations

import torch
from torch import nn

from edgevid.models.bn_inception import BLOCKS, STEM
from edgevid.models.config import NetworkConfig
from edgevid.models.inception import Inception
from edgevid.models.network import initialize

__all__ = ["ECO", "VolumeBlock"]

_FORK = 2
"""Number of the block inception_3c."""

_CHANNELS = ((128, 1), (256, 2), (256, 1), (512, 2), (512, 1))
"""Outputs and stride of the residual blocks over volumes."""


class VolumeBlock(nn.Module):
    """Two 3x3x3 convolutions, each behind a batch norm and a ReLU, and a shortcut.

    Where the block halves time, height and width, the shortcut is a 3x3x3 convolution too.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.bn1 = nn.BatchNorm3d(inputs)
        self.conv1 = nn.Conv3d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm3d(outputs)
        self.conv2 = nn.Conv3d(outputs, outputs, 3, 1, 1, bias=False)
        self.downsample = nn.Conv3d(inputs, outputs, 3, stride, 1, bias=False) if stride > 1 else None

    def forward(self, volumes: torch.Tensor) -> torch.Tensor:
        active = self.relu(self.bn1(volumes))
        shortcut = volumes if self.downsample is None else self.downsample(active)
        result: torch.Tensor = self.conv2(self.relu(self.bn2(self.conv1(active)))) + shortcut
        return result


class ECO(Inception):
    """Keys: those of BN-Inception, ``net3d`` and ``fc3d``.

    Published is one classifier of the features of the frames, averaged, beside those of the
    volumes. It is linear: here it is the sum of two, so that each frame has logits.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config, STEM, BLOCKS)
        inputs = config.scaled(_CHANNELS[0][0])
        tapped = BLOCKS[_FORK].branches[1].chain[1]
        layers: list[nn.Module] = [nn.Conv3d(config.scaled(tapped.channels), inputs, 3, 1, 1, bias=False)]
        for channels, stride in _CHANNELS:
            outputs = config.scaled(channels)
            layers.append(VolumeBlock(inputs, outputs, stride))
            inputs = outputs
        self.net3d = nn.Sequential(*layers, nn.BatchNorm3d(inputs), nn.ReLU())
        self.fc3d = nn.Linear(inputs, config.classes, bias=False)
        initialize(self)

    def classify(self, images: torch.Tensor) -> torch.Tensor:
        """Logits ``[N*T, classes]`` of normalized images ``[N*T, C, H, W]``."""
        frames = images
        for chain in STEM:
            frames = self.pools["halve"](self._through(chain, frames))
        for block in BLOCKS[:_FORK]:
            frames = self._joined(block, frames)
        shorter, longer = (branch.chain for branch in BLOCKS[_FORK].branches)
        seen = self._through(longer[:2], frames)
        ends = self._through(shorter, frames), self._through(longer[2:], seen), self.pools["halve"](frames)
        frames = torch.cat(ends, dim=1)
        for block in BLOCKS[_FORK + 1 :]:
            frames = self._joined(block, frames)
        apart = self.fc(self.dropout(self.avgpool(frames).flatten(1)))
        volumes = seen.reshape(-1, self.config.segments, *seen.shape[1:]).transpose(1, 2)
        together = self.fc3d(self.dropout(self.net3d(volumes).mean(dim=(2, 3, 4))))
        apart = apart.reshape(-1, self.config.segments, self.config.classes)
        logits: torch.Tensor = apart + together[:, None]
        return logits.flatten(0, 1)
