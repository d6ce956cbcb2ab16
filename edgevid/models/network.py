"""What all networks share: clips in, logits out, frame by frame or as volumes."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import nn

from edgevid.errors import ConfigError
from edgevid.models.config import NetworkConfig
from edgevid.models.non_local import NonLocal
from edgevid.models.shift_module import Shift
from edgevid.shift import ShiftSpec

__all__ = ["VideoNetwork", "VolumeNetwork", "initialize"]


class VideoNetwork(nn.Module):
    """Classifies clips frame by frame and averages the logits (Wang et al., ECCV 2016, eq. 1).

    Families fulfil `classify`; what mixes time in them keeps frames as they are stacked.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config

    @abstractmethod
    def classify(self, images: torch.Tensor) -> torch.Tensor:
        """Logits ``[N*T, classes]`` of normalized images ``[N*T, frame_channels, H, W]``."""

    def frame_logits(self, frames: torch.Tensor) -> torch.Tensor:
        """Logits ``[N, T, classes]`` of each frame, before the consensus.

        Args:
            frames: ``[N, T, C, H, W]``, float32, already normalized.

        Raises:
            ConfigError: another shape, or T is not `NetworkConfig.segments`.
        """
        self._check(frames)
        logits = self.classify(frames.flatten(0, 1))
        return logits.reshape(-1, self.config.segments, self.config.classes)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Logits ``[N, classes]``: the mean over frames of `frame_logits`."""
        return self.frame_logits(frames).mean(dim=1)

    def shift_specs(self) -> list[tuple[str, ShiftSpec]]:
        """Name and spec of every shift, in the order of the layers."""
        return [(name, layer.spec) for name, layer in self.named_modules() if isinstance(layer, Shift)]

    def _check(self, frames: torch.Tensor) -> None:
        wanted = (self.config.segments, self.config.frame_channels)
        if frames.dim() != 5 or tuple(frames.shape[1:3]) != wanted:
            raise ConfigError(
                f"clips of shape {tuple(frames.shape)}",
                fix=f"give frames as [N, {wanted[0]}, {wanted[1]}, height, width]",
            )


class VolumeNetwork(VideoNetwork):
    """Classifies clips as volumes: 3D convolutions, which have no logits of single frames.

    Families fulfil `classify_volumes`.
    """

    @abstractmethod
    def classify_volumes(self, volumes: torch.Tensor) -> torch.Tensor:
        """Logits ``[N, classes]`` of normalized clips ``[N, 3, T, H, W]``."""

    def classify(self, images: torch.Tensor) -> torch.Tensor:
        """Not to be had: raises `ConfigError`."""
        raise ConfigError(
            f"logits of {len(images)} images, of a network that takes clips as volumes",
            where=self.config.backbone,
            fix="call the network with clips [N, T, 3, height, width]",
        )

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Logits ``[N, classes]`` of normalized clips ``[N, T, 3, H, W]``.

        Raises:
            ConfigError: another shape, or T is not `NetworkConfig.segments`.
        """
        self._check(frames)
        return self.classify_volumes(frames.transpose(1, 2))


def initialize(network: nn.Module) -> None:
    """Random weights to train from: He et al. (ICCV 2015) for convolutions, small classifiers."""
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Conv3d)):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    for layer in network.modules():
        if isinstance(layer, NonLocal):
            layer.soften()
