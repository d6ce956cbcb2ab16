"""Parameters and multiply-accumulates of a configuration, counted without weights."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import nn

from edgevid.models import build
from edgevid.models.config import NetworkConfig

__all__ = ["Cost", "cost"]


@dataclass(frozen=True)
class Cost:
    """The size and work of a network.

    Attributes:
        parameters: trainable numbers; the statistics of batch norms are not counted.
        macs: multiply-accumulates of the convolutions and the classifier for one clip of
            ``segments`` frames, which papers print as FLOPs. A shift has none.
        normalized: numbers that pass through a batch norm. They cost nothing once folded,
            but some published counts include them.
        activated: numbers that pass through a ReLU or ReLU6; likewise.
    """

    parameters: int
    macs: int
    normalized: int
    activated: int


def cost(config: NetworkConfig) -> Cost:
    """The cost of one clip at ``config.size``, by running the network on shapes alone."""
    macs, normalized, activated = [0], [0], [0]

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if isinstance(layer, nn.Conv2d):
            macs[0] += output.numel() * prod(layer.weight.shape[1:])
        elif isinstance(layer, nn.Linear):
            macs[0] += output.numel() * layer.in_features
        elif isinstance(layer, nn.BatchNorm2d):
            normalized[0] += output.numel()
        elif isinstance(layer, (nn.ReLU, nn.ReLU6)):
            activated[0] += output.numel()

    with torch.device("meta"), torch.no_grad():
        network = build(config).eval()
        for layer in network.modules():
            layer.register_forward_hook(count)
        network(torch.empty(1, config.segments, 3, config.size, config.size))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Cost(parameters, macs[0], normalized[0], activated[0])
