"""What all networks share: a 2D network over the frames of a clip, averaged (TSN)."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import nn

from edgevid.errors import ConfigError
from edgevid.models.config import NetworkConfig
from edgevid.models.shift_module import Shift
from edgevid.shift import ShiftSpec

__all__ = ["VideoNetwork", "initialize"]


class VideoNetwork(nn.Module):
    """Classifies clips frame by frame and averages the logits (Wang et al., ECCV 2016, eq. 1).

    Families fulfil `classify`; time is mixed by `Shift` layers inside them and nowhere else.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config

    @abstractmethod
    def classify(self, images: torch.Tensor) -> torch.Tensor:
        """Logits ``[N*T, classes]`` of normalized images ``[N*T, 3, H, W]``."""

    def frame_logits(self, frames: torch.Tensor) -> torch.Tensor:
        """Logits ``[N, T, classes]`` of each frame, before the consensus.

        Args:
            frames: ``[N, T, 3, H, W]``, float32, already normalized.

        Raises:
            ConfigError: another shape, or T is not `NetworkConfig.segments`.
        """
        segments = self.config.segments
        if frames.dim() != 5 or frames.shape[1] != segments or frames.shape[2] != 3:
            raise ConfigError(
                f"clips of shape {tuple(frames.shape)}",
                fix=f"give frames as [N, {segments}, 3, height, width]",
            )
        logits = self.classify(frames.flatten(0, 1))
        return logits.reshape(-1, segments, self.config.classes)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Logits ``[N, classes]``: the mean over frames of `frame_logits`."""
        return self.frame_logits(frames).mean(dim=1)

    def shift_specs(self) -> list[tuple[str, ShiftSpec]]:
        """Name and spec of every shift, in the order of the layers."""
        return [(name, layer.spec) for name, layer in self.named_modules() if isinstance(layer, Shift)]


def initialize(network: nn.Module) -> None:
    """Random weights to train from: He et al. (ICCV 2015) for convolutions, small classifiers."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
