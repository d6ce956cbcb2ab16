"""Inception-V1 over volumes: I3D, I2D, S3D, S3D-G, and those that reach over time in part.

Szegedy et al., CVPR 2015, table 1, with 3 x 3 for 5 x 5; inflated by Carreira and Zisserman,
CVPR 2017; separated and gated by Xie et al., ECCV 2018. State-dict keys are those of
kylemin/S3D, with ``fc`` for its ``fc.0``, and ``conv`` and ``bn`` in layers that are not separable.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import nn

from edgevid.errors import ConfigError
from edgevid.models.config import NetworkConfig
from edgevid.models.network import VolumeNetwork, initialize
from edgevid.models.volume_config import UNITS, VolumeConfig
from edgevid.models.volume_layers import Convolution, JoinedStem, SamePool, Separable, Triple

__all__ = ["MIXED", "POOLS", "InceptionV1", "MixedBlock"]

MIXED = (
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)
"""Channels of mixed_3b to mixed_5c: branch 0, 1x1 and 3x3 of branches 1 and 2, branch 3 (table 1)."""

POOLS: dict[str, tuple[Triple, Triple]] = {
    "conv_2b": ((1, 3, 3), (1, 2, 2)),
    "mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "mixed_5b": ((2, 2, 2), (2, 2, 2)),
}
"""Kernel and stride of the maxima in front of a layer (Carreira and Zisserman, figure 3)."""


class _Builder:
    """Makes the layers of one network."""

    def __init__(self, volumes: VolumeConfig) -> None:
        self.volumes = volumes

    def pointwise(self, inputs: int, outputs: int, *, gated: bool = False) -> Convolution:
        return Convolution(inputs, outputs, epsilon=self.volumes.epsilon, gated=gated)

    def unit(self, name: str, inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Module:
        """A layer that may reach over time, of one of `UNITS`."""
        volumes = self.volumes
        reaches = volumes.reaches(UNITS.index(name))
        gated = (volumes.gating == "temporal" and reaches) or (
            volumes.gating == "branches" and name != "stem"
        )
        if name == "stem" and volumes.release == "howto100m":
            return JoinedStem(outputs, epsilon=volumes.epsilon)
        if reaches and volumes.kernels == "separable":
            return Separable(inputs, outputs, size, stride, epsilon=volumes.epsilon, gated=gated)
        kernel = (size if reaches else 1, size, size)
        strides = (stride, stride, stride)
        return Convolution(inputs, outputs, kernel, strides, epsilon=volumes.epsilon, gated=gated)

    def pool(self, name: str) -> nn.Module:
        """The maxima in front of a layer."""
        kernel, stride = POOLS[name]
        if self.volumes.release == "howto100m":
            return SamePool(kernel, stride)
        # Windows of 2 stand side by side, and need no pads.
        time, rows, columns = (size // 2 if size == 3 else 0 for size in kernel)
        return nn.MaxPool3d(kernel, stride, (time, rows, columns))


class MixedBlock(nn.Module):
    """Four branches side by side: 1x1; 1x1 and 3x3 twice; maxima and 1x1."""

    def __init__(self, build: _Builder, name: str, inputs: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        zero, one_a, one_b, two_a, two_b, three = channels
        gated = build.volumes.gating == "branches"
        self.branch0 = nn.Sequential(build.pointwise(inputs, zero, gated=gated))
        self.branch1 = nn.Sequential(build.pointwise(inputs, one_a), build.unit(name, one_a, one_b, 3))
        self.branch2 = nn.Sequential(build.pointwise(inputs, two_a), build.unit(name, two_a, two_b, 3))
        self.branch3 = nn.Sequential(nn.MaxPool3d(3, 1, 1), build.pointwise(inputs, three, gated=gated))
        self.outputs = zero + one_b + two_b + three

    def forward(self, volumes: torch.Tensor) -> torch.Tensor:
        branches = (self.branch0, self.branch1, self.branch2, self.branch3)
        return torch.cat([branch(volumes) for branch in branches], dim=1)


class InceptionV1(VolumeNetwork):
    """An Inception-V1 over volumes; keys ``base.0``, ..., ``base.15``, ``fc``.

    Raises:
        ConfigError: nothing says how it reaches over time; its clips are too small; ``classes`` of
            a network that returns features is not their number.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        if config.volumes is None:
            raise ConfigError(
                "an inception_v1 without volumes",
                where="volumes",
                fix="say which layers reach over time: an empty VolumeConfig is S3D",
            )
        self.volumes = config.volumes
        self.volumes.check(config.segments, config.size)
        build = _Builder(config.volumes)
        narrow, wide = config.scaled(64), config.scaled(192)
        layers: list[nn.Module] = [
            build.unit("stem", 3, narrow, 7, stride=2),
            build.pool("conv_2b"),
            build.pointwise(narrow, narrow),
            build.unit("conv_2c", narrow, wide, 3),
        ]
        inputs = wide
        for name, channels in zip(UNITS[2:], MIXED, strict=True):
            if name in POOLS:
                layers.append(build.pool(name))
            block = MixedBlock(build, name, inputs, tuple(map(config.scaled, channels)))
            layers.append(block)
            inputs = block.outputs
        self.base = nn.Sequential(*layers)
        self.dropout = nn.Dropout(config.dropout)
        self.fc: nn.Linear | None = None
        if self.volumes.head == "classifier":
            self.fc = nn.Linear(inputs, config.classes)
        elif config.classes != inputs:
            raise ConfigError(
                f"{config.classes} classes of a network that returns features",
                where="classes",
                fix=f"give {inputs}, the number of features, or the head classifier",
            )
        initialize(self)

    def classify_volumes(self, volumes: torch.Tensor) -> torch.Tensor:
        """Logits ``[N, classes]`` of normalized clips ``[N, 3, T, H, W]``."""
        features: torch.Tensor = self.base(volumes)
        moments, rows, columns = features.shape[2:]
        if self.volumes.release == "kylemin" and moments > 1:
            # Published is the mean of the logits of pairs; the classifier is linear, so it may follow.
            features = functional.avg_pool3d(features, (2, rows, columns), stride=1)
        pooled = features.mean(dim=(2, 3, 4))
        if self.fc is None:
            return pooled
        logits: torch.Tensor = self.fc(self.dropout(pooled))
        return logits
