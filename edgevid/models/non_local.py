"""The non-local block: every position of a clip looks at all others, of every frame.

Wang et al., CVPR 2018, equations 1 and 6. Keys: ``theta``, ``phi``, ``g``, ``out`` (W_z) and ``bn``.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from edgevid.models.attention_config import AttentionConfig

__all__ = ["NonLocal"]


class NonLocal(nn.Module):
    """``z = bn(W_z y) + x``, y the sum over positions j of ``f(theta(x), phi(x_j)) g(x_j)``.

    Args:
        channels: C; theta, phi and g have half of it.
        config: which f.
        stacked: T of frames that are stacked along the batch, ``[N*T, C, H, W]``; None for
            volumes ``[N, C, T, H, W]``.
    """

    def __init__(self, channels: int, config: AttentionConfig, stacked: int | None) -> None:
        super().__init__()
        self.pairwise = config.pairwise
        self.stacked = stacked or 1
        inner = max(1, channels // 2)
        conv: type[nn.Conv2d] | type[nn.Conv3d] = nn.Conv3d if stacked is None else nn.Conv2d
        embedded = config.pairwise != "gaussian"
        self.theta: nn.Module = conv(channels, inner, 1) if embedded else nn.Identity()
        self.phi: nn.Module = conv(channels, inner, 1) if embedded else nn.Identity()
        self.g = conv(channels, inner, 1)
        self.pool: nn.Module = nn.MaxPool3d((1, 2, 2)) if stacked is None else nn.MaxPool2d(2)
        self.out = conv(inner, channels, 1)
        self.bn: nn.Module = nn.BatchNorm3d(channels) if stacked is None else nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Frames or volumes of the same shape."""
        queries = self._positions(self.theta(x))
        keys = self._positions(self.pool(self.phi(x))).transpose(1, 2)
        values = self._positions(self.pool(self.g(x)))
        if self.pairwise == "dot_product":
            # Without a soft-max the products may be taken in the order that costs less.
            seen = queries @ (keys @ (values / values.shape[1]))
        else:
            seen = torch.softmax(queries @ keys, dim=-1) @ values
        size = x.shape[2:]
        seen = seen.reshape(-1, math.prod(size), values.shape[2]).transpose(1, 2)
        total: torch.Tensor = x + self.bn(self.out(seen.reshape(-1, values.shape[2], *size)))
        return total

    def soften(self) -> None:
        """Random weights with which positions of a new network look at many others.

        For inputs of variance 1 the products of theta and phi have variance 1 too.
        """
        for layer in (self.theta, self.phi):
            if isinstance(layer, (nn.Conv2d, nn.Conv3d)):
                std = layer.in_channels**-0.5 * layer.out_channels**-0.25
                nn.init.normal_(layer.weight, std=std)

    def _positions(self, x: torch.Tensor) -> torch.Tensor:
        """All positions of each clip, ``[N, T*H*W, C]``."""
        rows = x.flatten(2).transpose(1, 2)
        return rows.reshape(-1, self.stacked * rows.shape[1], rows.shape[2])
