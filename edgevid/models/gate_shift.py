"""The gate-shift of GSM as a layer over frames, without a 3D convolution.

Sudhakaran et al., CVPR 2020, section 3.2: in each half of the channels a plane of gates from -1
to 1 says how much of every position is handed to the next or the previous frame::

    gate = tanh(w * x)        w: 3x3x3, one for each half
    y = gate x;  r = x - y;  z = shift(y) + r

The three frames of ``w`` are three 2D convolutions, whose results the time axis is shifted by
and summed up. So clips stay stacked frames ``[N*T, C, H, W]`` from end to end: nothing is
transposed, time is mixed by `Shift` layers alone, and what is known of shifts (lowering,
streaming, reading at an offset) holds for the gate's convolution too.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from edgevid.models.shift_module import Shift
from edgevid.shift import Layout, Move, ShiftSpec

__all__ = ["GateShift"]

_TAPS = (Move(0, 1, +1), Move(2, 3, -1), Move(3, 4, +1), Move(5, 6, -1))
"""Of each half: what the first frame of ``w`` saw is the previous frame, the last one the next."""

_SUMS = ((1.0, 1.0, 1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0, 1.0, 1.0))
"""Two gates of six taps. A 1x1 convolution sums them up, which reads the shift before it."""


class GateShift(nn.Module):
    """Gates and shifts frames ``[N*T, C, H, W]``; the first half takes from the next frame.

    Weights: ``taps.weight`` ``[6, C/2, 3, 3]`` is ``w`` ``[2, C/2, 3, 3, 3]`` with its frames
    as outputs, ``bias`` ``[2]`` is added to each half's sum before the tanh.

    Args:
        channels: C, an even number.
        segments: T.
        norm: see `edgevid.models.gate_config.GateConfig`.

    Raises:
        ShiftError: an odd number of channels.
    """

    def __init__(self, channels: int, segments: int, *, norm: bool) -> None:
        super().__init__()
        self.shift = Shift(ShiftSpec.gsm(channels, segments, layout=Layout.FRAMES))
        self.bn: nn.Module = nn.BatchNorm2d(channels) if norm else nn.Identity()
        self.relu: nn.Module = nn.ReLU() if norm else nn.Identity()
        self.taps = nn.Conv2d(channels, 6, 3, padding=1, groups=2, bias=False)
        self.shift_taps = Shift(ShiftSpec(segments, _TAPS))
        self.bias = nn.Parameter(torch.zeros(2))
        self.tanh = nn.Tanh()

    def gates(self, frames: torch.Tensor) -> torch.Tensor:
        """The gates ``[N*T, 2, H, W]`` of the two halves."""
        taps = self.shift_taps(self.taps(self.relu(self.bn(frames))))
        # No buffer: networks are built without data, and only what a file holds is filled in.
        sums = torch.tensor(_SUMS, dtype=taps.dtype, device=taps.device)[:, :, None, None]
        planes: torch.Tensor = self.tanh(functional.conv2d(taps, sums, self.bias))
        return planes

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """The frames with their gated part shifted, of the same shape."""
        gates, half = self.gates(frames), frames.shape[1] // 2
        gated = torch.cat([frames[:, :half] * gates[:, :1], frames[:, half:] * gates[:, 1:]], dim=1)
        shifted: torch.Tensor = self.shift(gated) + (frames - gated)
        return shifted

    def open_halfway(self) -> None:
        """Random weights for gates of about 0.5, with which a new network mixes frames.

        The release starts with shut gates (zeros), from a network that was trained on images.
        """
        inputs = self.taps.weight[0].numel() * 3
        nn.init.normal_(self.taps.weight, std=inputs**-0.5)
        nn.init.zeros_(self.bias)
