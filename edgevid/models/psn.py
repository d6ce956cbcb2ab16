"""The action perceptron synthesizer of PSN (Tian et al., arXiv 2007.11460).

No weights or code are published: the layout of the keys is ours, and so are details of the
structure, which were chosen to meet the paper's numbers of parameters and operations.
Frames stay stacked along the batch: a temporal kernel is a shift and a 1x1 convolution.
"""

from __future__ import annotations

import torch
from torch import nn

from edgevid.errors import ConfigError
from edgevid.models.shift_module import Shift
from edgevid.models.synthesis_config import SpatialKernel, SynthesisConfig, TemporalKernel
from edgevid.shift import Move, ShiftSpec

__all__ = ["ChannelRouting", "ChannelSelection", "Synthesizer", "TemporalConvolution", "fold_routing"]


class TemporalConvolution(nn.Module):
    """Three taps along time, ``dilation`` frames apart, zero beyond the clip.

    Equal to a convolution of extent (3, 1, 1) over ``[N, C, T, H, W]``, with its weights
    and multiply-accumulates, but without a transpose: each tap is a shift and a 1x1
    convolution.
    """

    def __init__(self, channels: int, segments: int, dilation: int) -> None:
        super().__init__()
        self.earlier = Shift(ShiftSpec(segments, (Move(0, channels, dt=dilation),)))
        self.later = Shift(ShiftSpec(segments, (Move(0, channels, dt=-dilation),)))
        self.taps = nn.ModuleList(nn.Conv2d(channels, channels, 1, bias=False) for _ in range(3))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames ``[N*T, C, H, W]`` of the same shape."""
        earlier, now, later = self.taps
        total: torch.Tensor = now(frames) + earlier(self.earlier(frames)) + later(self.later(frames))
        return total


class ChannelRouting(nn.Module):
    """Sums of ``groups`` groups of channels, learned for each channel of a group (G x G).

    A 1x1 convolution whose groups hold the n-th channel of each group. It stays one: to fold
    dense sums into the kernels before or behind would multiply their work by G. Where
    training left each output one input (a shuffle, a dropped channel), see `folded`.
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.conv = nn.Conv2d(channels, channels, 1, groups=channels // groups, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames ``[N*T, C, H, W]`` of the same shape."""
        return _regroup(self.bn(self.conv(_regroup(frames, self.groups))), frames.shape[1] // self.groups)

    def folded(self) -> ChannelSelection | None:
        """The same for inference without a convolution, or None if some output is a sum."""
        weight = self.conv.weight.detach().flatten(1)
        if int((weight != 0).sum(1).max()) > 1:
            return None
        channels = len(weight)
        rows = torch.arange(channels, device=weight.device)
        # Channels as the convolution counts them: group after group for each place in a group.
        inputs = rows - rows % self.groups + weight.abs().argmax(1)
        before = _regroup(rows.reshape(1, -1, 1, 1), self.groups).flatten()
        after = _regroup(rows.reshape(1, -1, 1, 1), channels // self.groups).flatten()
        mean, variance = self.bn.running_mean, self.bn.running_var
        assert mean is not None
        assert variance is not None
        gain = self.bn.weight.detach() / torch.sqrt(variance + self.bn.eps)
        scale, offset = weight.sum(1) * gain, self.bn.bias.detach() - mean * gain
        return ChannelSelection(before[inputs][after], scale[after], offset[after])


class ChannelSelection(nn.Module):
    """Channels ``index``, each with a scale and an offset: a routing that sums nothing."""

    def __init__(self, index: torch.Tensor, scale: torch.Tensor, offset: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("index", index)
        self.register_buffer("scale", scale.reshape(1, -1, 1, 1))
        self.register_buffer("offset", offset.reshape(1, -1, 1, 1))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames ``[N*T, C, H, W]`` of the same shape."""
        selected: torch.Tensor = frames.index_select(1, self.get_buffer("index"))
        return selected * self.get_buffer("scale") + self.get_buffer("offset")


class Synthesizer(nn.Module):
    """Kernels of many spatio-temporal shapes beside a stage of a 2D network, added to its output.

    G spatial kernels, each on its group of the features, a routing to G other groups, and a
    temporal kernel on each of these make G x G shapes up to 5x5x7.

    Raises:
        ConfigError: too few channels for the groups.
    """

    def __init__(self, config: SynthesisConfig, channels: int, segments: int) -> None:
        super().__init__()
        features = config.features(channels)
        if features > channels:
            raise ConfigError(
                f"{channels} channels have no {features} groups",
                where="channels",
                fix=f"give {features} channels or more",
            )
        self.features = features
        self.kinds = config.spatial
        self.compress: nn.Conv2d | None = None
        self.expand: nn.Conv2d | None = None
        if config.share < 1:
            self.compress = nn.Conv2d(channels, features, 1, bias=False)
            self.expand = nn.Conv2d(features, channels, 1, bias=False)
        self.spatial = nn.ModuleList(
            _spatial(kind, features, features // len(config.spatial)) for kind in config.spatial
        )
        groups = len(config.spatial)
        self.routing: nn.Module = ChannelRouting(features, groups) if config.routing else nn.Identity()
        self.relu = nn.ReLU()
        self.temporal = nn.ModuleList(
            _temporal(extent, features // len(config.temporal), segments) for extent in config.temporal
        )

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames ``[N*T, C, H, W]`` of the same shape, what is synthesized added to them."""
        features = frames[:, : self.features] if self.compress is None else self.compress(frames)
        groups = _groups(features, len(self.spatial))
        seen = [
            kernel(features if kind == "pool" else group)
            for kind, kernel, group in zip(self.kinds, self.spatial, groups, strict=True)
        ]
        groups = _groups(self.relu(self.routing(_joined(seen))), len(self.temporal))
        added = _joined([kernel(group) for kernel, group in zip(self.temporal, groups, strict=True)])
        if self.expand is not None:
            added = self.expand(added)
        if added.shape[1] == frames.shape[1]:
            return frames + added
        return torch.cat([frames[:, : self.features] + added, frames[:, self.features :]], dim=1)


def fold_routing(network: nn.Module) -> None:
    """Replace every routing of ``network`` that sums nothing by a selection of channels.

    For export: the network answers as before in eval mode, but its keys have changed.
    """
    for layer in network.modules():
        if isinstance(layer, Synthesizer) and isinstance(layer.routing, ChannelRouting):
            layer.routing = layer.routing.folded() or layer.routing


def _spatial(kind: SpatialKernel, features: int, channels: int) -> nn.Module:
    if kind == 1:
        return nn.Identity()
    if kind == "pool":
        pool, project = nn.MaxPool2d(3, 1, 1), nn.Conv2d(features, channels, 1, bias=False)
        return nn.Sequential(pool, project, nn.BatchNorm2d(channels))
    reach = kind // 2
    conv = nn.Conv2d(channels, channels, 3, padding=reach, dilation=reach, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels))


def _temporal(extent: TemporalKernel, channels: int, segments: int) -> nn.Module:
    return nn.Identity() if extent == 1 else TemporalConvolution(channels, segments, extent // 2)


def _regroup(frames: torch.Tensor, groups: int) -> torch.Tensor:
    """Channels ``[groups, n]`` as ``[n, groups]``: those of one place in all groups side by side."""
    channels, height, width = frames.shape[1:]
    apart = frames.reshape(-1, groups, channels // groups, height, width).transpose(1, 2)
    return apart.reshape(-1, channels, height, width)


def _groups(frames: torch.Tensor, count: int) -> list[torch.Tensor]:
    """As many slices of channels of equal size; simpler than a chunk in a graph."""
    size = frames.shape[1] // count
    return [frames] if count == 1 else [frames[:, i * size : (i + 1) * size] for i in range(count)]


def _joined(groups: list[torch.Tensor]) -> torch.Tensor:
    return groups[0] if len(groups) == 1 else torch.cat(groups, dim=1)
