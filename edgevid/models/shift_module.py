"""The shift as a layer, so that exporters can find it and swap it for their own operation."""

from __future__ import annotations

import torch
from torch import nn

from edgevid.errors import ShiftError
from edgevid.models.config import NetworkConfig
from edgevid.shift import ShiftSpec, shift_torch

__all__ = ["Shift", "shift_layer"]


class Shift(nn.Module):
    """Shifts frames ``[N*T, C, H, W]`` as ``spec`` says; has no parameters."""

    def __init__(self, spec: ShiftSpec) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """The shifted frames, a new tensor of the same shape.

        Raises:
            ShiftError: the tensor does not fit the spec.
        """
        return shift_torch(frames, self.spec)

    def extra_repr(self) -> str:
        """What `repr` of the network shows of this layer."""
        return str(self.spec)


def shift_layer(config: NetworkConfig, channels: int, where: str) -> nn.Module:
    """The shift that ``config`` asks for in front of a layer with ``channels`` inputs.

    Raises:
        ShiftError: the proportion moves none of so few channels.
    """
    if config.shift is None or not config.has_shift:
        return nn.Identity()
    try:
        return Shift(config.shift.spec(channels, config.segments))
    except ShiftError as error:
        raise ShiftError(error.what, where=where, fix=error.fix) from error
