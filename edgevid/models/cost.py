"""Parameters and multiply-accumulates of a configuration, counted without weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from edgevid.models import build
from edgevid.models.config import NetworkConfig

__all__ = ["Cost", "cost"]

_NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)
_ACTIVATIONS = (nn.ReLU, nn.ReLU6)
_ELEMENTWISE = (*_NORMS, *_ACTIVATIONS)


@dataclass(frozen=True)
class Cost:
    """The size and work of a network.

    Attributes:
        parameters: trainable numbers; the statistics of batch norms are not counted.
        macs: multiply-accumulates of convolutions, matrix products and the classifier for one
            clip of ``segments`` frames, which papers print as FLOPs. A shift has none.
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
    normalized, activated = [0], [0]

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if isinstance(layer, _NORMS):
            normalized[0] += output.numel()
        elif isinstance(layer, _ACTIVATIONS):
            activated[0] += output.numel()

    def unchanged(value: torch.Tensor) -> torch.Tensor:
        return value

    # Operations are counted, not layers: some kernels are synthesized and belong to no layer.
    counter = FlopCounterMode(display=False)
    with torch.device("meta"), torch.no_grad():
        network = build(config).eval()
        for layer in network.modules():
            layer.register_forward_hook(count)
            if isinstance(layer, _ELEMENTWISE):
                # On shapes alone they take most of the time, and change nothing.
                layer.forward = unchanged  # type: ignore[method-assign, assignment]
        clip = torch.empty(1, config.segments, config.frame_channels, config.size, config.size)
        with counter:
            network(clip)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Cost(parameters, counter.get_total_flops() // 2, normalized[0], activated[0])
