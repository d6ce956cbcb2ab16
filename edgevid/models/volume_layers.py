"""Layers over volumes ``[N, C, T, H, W]``: convolutions with batch norm and ReLU, gates, pools."""

from __future__ import annotations

from typing import TypeAlias

import torch
import torch.nn.functional as functional
from torch import nn

__all__ = ["Convolution", "Gate", "JoinedStem", "SamePool", "Separable", "Triple"]

Triple: TypeAlias = tuple[int, int, int]
"""Along time, height and width."""


class Gate(nn.Module):
    """Scales each channel by what all channels are on average: ``sigmoid(W mean(x) + b) * x``.

    Xie et al., ECCV 2018, section 4.4. ``volumes`` and the result are ``[N, C, T, H, W]``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, channels)

    def forward(self, volumes: torch.Tensor) -> torch.Tensor:
        weights = torch.sigmoid(self.fc(volumes.mean(dim=(2, 3, 4))))
        return volumes * weights[:, :, None, None, None]


def _gate(channels: int, gated: bool) -> nn.Module:
    return Gate(channels) if gated else nn.Identity()


class Convolution(nn.Module):
    """A convolution, batch norm, ReLU, and a gate if ``gated``. Keys: ``conv``, ``bn``, ``gate.fc``."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Triple = (1, 1, 1),
        stride: Triple = (1, 1, 1),
        *,
        padding: Triple | None = None,
        epsilon: float,
        gated: bool = False,
    ) -> None:
        super().__init__()
        around = _half(kernel) if padding is None else padding
        self.conv = nn.Conv3d(inputs, outputs, kernel, stride, around, bias=False)
        self.bn = nn.BatchNorm3d(outputs, eps=epsilon)
        self.relu = nn.ReLU()
        self.gate = _gate(outputs, gated)

    def forward(self, volumes: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.gate(self.relu(self.bn(self.conv(volumes))))
        return result


class Separable(nn.Module):
    """1 x k x k, then k x 1 x 1, each with batch norm and ReLU (Xie et al., section 4.3).

    Keys: ``conv_s``, ``bn_s``, ``conv_t``, ``bn_t``, ``gate.fc``.
    """

    def __init__(
        self, inputs: int, outputs: int, size: int, stride: int = 1, *, epsilon: float, gated: bool = False
    ) -> None:
        super().__init__()
        half = size // 2
        self.conv_s = nn.Conv3d(
            inputs, outputs, (1, size, size), (1, stride, stride), (0, half, half), bias=False
        )
        self.bn_s = nn.BatchNorm3d(outputs, eps=epsilon)
        self.conv_t = nn.Conv3d(outputs, outputs, (size, 1, 1), (stride, 1, 1), (half, 0, 0), bias=False)
        self.bn_t = nn.BatchNorm3d(outputs, eps=epsilon)
        self.relu = nn.ReLU()
        self.gate = _gate(outputs, gated)

    def forward(self, volumes: torch.Tensor) -> torch.Tensor:
        images = self.relu(self.bn_s(self.conv_s(volumes)))
        result: torch.Tensor = self.gate(self.relu(self.bn_t(self.conv_t(images))))
        return result


class JoinedStem(Convolution):
    """The stem of the HowTo100M release on pixels: 4 x 8 x 8 with strides of 2.

    The release makes blocks of 2 x 2 x 2 pixels channels, pads them by (1, 2, 2) on both sides,
    convolves them by 2 x 4 x 4, and leaves the first result of each axis out. Of the pixels
    that is a convolution over twice the size, with 0, 2, 2 zeros before and 2, 4, 4 behind.
    """

    def __init__(self, outputs: int, *, epsilon: float) -> None:
        super().__init__(3, outputs, (4, 8, 8), (2, 2, 2), padding=(0, 0, 0), epsilon=epsilon)

    def forward(self, volumes: torch.Tensor) -> torch.Tensor:
        return super().forward(functional.pad(volumes, (2, 4, 2, 4, 0, 2)))


class SamePool(nn.Module):
    """Maxima with the SAME pads of TensorFlow, zeros behind; for volumes without negative values."""

    def __init__(self, kernel: Triple, stride: Triple) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, volumes: torch.Tensor) -> torch.Tensor:
        # Of an even size the last window is cut off by ceil_mode, which needs no copy with zeros.
        time, rows, columns = (
            size % 2 if width == 3 else 0 for size, width in zip(volumes.shape[2:], self.kernel, strict=True)
        )
        if time or rows or columns:
            volumes = functional.pad(volumes, (0, columns, 0, rows, 0, time))
        largest: torch.Tensor = functional.max_pool3d(volumes, self.kernel, self.stride, ceil_mode=True)
        return largest


def _half(kernel: Triple) -> Triple:
    return kernel[0] // 2, kernel[1] // 2, kernel[2] // 2
