"""MobileNetV2 over frames, with TSM's shift.

Sandler et al., CVPR 2018, table 2. State-dict keys are those of the MobileNetV2 that TSM's
authors publish: ``features.N.conv.M`` with convolutions, batch norms and activations in one
sequence, and ``classifier``.
"""

from __future__ import annotations

import torch
from torch import nn

from edgevid.models.config import NetworkConfig
from edgevid.models.network import VideoNetwork, initialize
from edgevid.models.shift_module import shift_layer

__all__ = ["STRIDES", "InvertedResidual", "MobileNetV2"]

STRIDES = (1, 2, 2, 2, 1, 2, 1)
"""Of the first block of each stage (table 2)."""


def _convolution(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]


class InvertedResidual(nn.Module):
    """Expand, filter depthwise, project; a skip connection where the shapes allow it."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        expand = [] if expansion == 1 else [*_convolution(inputs, hidden, 1), nn.ReLU6()]
        self.conv = nn.Sequential(
            *expand,
            *_convolution(hidden, hidden, 3, stride, groups=hidden),
            nn.ReLU6(),
            *_convolution(hidden, outputs, 1),
        )
        self.has_skip = stride == 1 and inputs == outputs
        self.shift: nn.Module = nn.Identity()

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        branch: torch.Tensor = self.conv(self.shift(frames))
        return branch + frames if self.has_skip else branch


class MobileNetV2(VideoNetwork):
    """A MobileNetV2 over frames; only blocks with a skip connection and an expansion are shifted."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        stem, *widths, last = config.widths
        first = _convolution(config.frame_channels, stem, 3, stride=2)
        features: list[nn.Module] = [nn.Sequential(*first, nn.ReLU6())]
        inputs = stem
        for stage, (width, count) in enumerate(zip(widths, config.stage_blocks, strict=True)):
            expansion = 1 if stage == 0 else config.expansion
            for index in range(count):
                block = InvertedResidual(inputs, width, STRIDES[stage] if index == 0 else 1, expansion)
                if block.has_skip and expansion != 1:
                    block.shift = shift_layer(config, inputs, f"features.{len(features)}")
                features.append(block)
                inputs = width
        features.append(nn.Sequential(*_convolution(inputs, last, 1), nn.ReLU6()))
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(last, config.classes)
        initialize(self)

    def classify(self, images: torch.Tensor) -> torch.Tensor:
        """Logits ``[N*T, classes]`` of normalized images ``[N*T, C, H, W]``."""
        pooled = self.avgpool(self.features(images)).flatten(1)
        logits: torch.Tensor = self.classifier(self.dropout(pooled))
        return logits
