"""Parameters and multiply-accumulates of a configuration, counted without weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
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


_FILLING = (torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.fill_, torch.Tensor.zero_)


class _Unfilled(TorchFunctionMode):
    """Tensors that have shapes alone are not filled with random weights: that takes a third of the time."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        return args[0] if func in _FILLING else func(*args, **(kwargs or {}))


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
    shape = (1, config.segments, config.frame_channels, config.size, config.size)
    with torch.device("meta"), _Unfilled():
        network = build(config).eval()
        clip = torch.empty(shape)
    for layer in network.modules():
        layer.register_forward_hook(count)
        if isinstance(layer, _ELEMENTWISE):
            # On shapes alone they take most of the time, and change nothing.
            layer.forward = unchanged  # type: ignore[method-assign, assignment]
    with torch.no_grad(), counter:
        network(clip)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Cost(parameters, counter.get_total_flops() // 2, normalized[0], activated[0])
