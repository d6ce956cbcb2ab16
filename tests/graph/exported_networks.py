"""A small network with a shift as published code writes it, exported by PyTorch."""

import warnings

import numpy as np
import torch
from torch import nn


class Shifted(nn.Module):
    """MIT's TemporalShift in its spellings: ``inplace``, ``cat``, ``numpy1``, ``numpy2``."""

    def __init__(self, net, segments, kind):
        super().__init__()
        self.net, self.segments, self.kind = net, segments, kind

    def forward(self, x):
        frames, channels, height, width = x.shape
        clips = x.view(frames // self.segments, self.segments, channels, height, width)
        shifted = getattr(self, f"_{self.kind}")(clips, channels // 8)
        return self.net(shifted.view(frames, channels, height, width))

    def _inplace(self, x, fold):
        out = torch.zeros_like(x)
        out[:, :-1, :fold] = x[:, 1:, :fold]
        out[:, 1:, fold : 2 * fold] = x[:, :-1, fold : 2 * fold]
        out[:, :, 2 * fold :] = x[:, :, 2 * fold :]
        return out

    def _cat(self, x, fold):
        zeros = torch.zeros_like(x[:, :1, :fold])
        left = torch.cat([x[:, 1:, :fold], zeros], 1)
        right = torch.cat([zeros, x[:, :-1, fold : 2 * fold]], 1)
        return torch.cat([left, right, x[:, :, 2 * fold :]], 2)

    def _numpy1(self, x, fold):
        return torch.from_numpy(self._inplace(x, fold).detach().numpy().copy())

    def _numpy2(self, x, fold):
        moved = torch.from_numpy(np.roll(x[:, :, : 2 * fold].detach().numpy(), 1, axis=1))
        return torch.cat([moved, x[:, :, 2 * fold :]], 2)


class Network(nn.Module):
    """[N, T*3, 16, 16] to [N, 5]: a stem, one shifted residual convolution, a head."""

    def __init__(self, segments=4, kind="inplace"):
        super().__init__()
        self.segments = segments
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16)
        self.conv2 = Shifted(nn.Conv2d(16, 16, 1, bias=False), segments, kind)
        self.bn2, self.pool = nn.BatchNorm2d(16), nn.MaxPool2d(2)
        self.dropout, self.fc = nn.Dropout(0.5), nn.Linear(16, 5)
        for norm in (self.bn1, self.bn2):
            norm.running_mean.normal_(std=0.1)
            norm.running_var.uniform_(0.5, 1.5)

    def forward(self, x):
        clips = x.shape[0]
        x = x.view((-1, 3, *x.shape[-2:]))
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        x = x + torch.relu(self.bn2(self.conv2(x)))
        x = self.fc(self.dropout(x.mean((2, 3))))
        return x.view(clips, self.segments, -1).mean(1)


def export(folder, *, kind="inplace", opset=13, dynamo=False, dynamic=False, half=False):
    """Write the network; its path."""
    path = folder / f"{kind}-{opset}-{dynamo}-{dynamic}-{half}.onnx"
    torch.manual_seed(0)
    network, x = Network(kind=kind).eval(), torch.randn(2 if dynamic else 1, 12, 16, 16)
    if half:
        network, x = network.half(), x.half()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            shapes = ({0: torch.export.Dim("N", min=1)},) if dynamic else None
            settings = {"dynamic_shapes": shapes, "external_data": False, "verbose": False}
            opset = max(opset, 18)
        else:
            settings = {"dynamic_axes": {"x": {0: "N"}} if dynamic else None}
        torch.onnx.export(
            network, (x,), path, dynamo=dynamo, opset_version=opset, input_names=["x"], **settings
        )
    return path
