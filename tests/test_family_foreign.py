"""Networks of GSM, STSM and PSN as foreign files: their shifts are found, and they compute the same."""

import warnings

import numpy as np
import pytest
import torch
from family_members import FRAMES, member
from torch import nn
from torch.nn import functional

from edgevid.foreign import read_foreign
from edgevid.graph.shift_op import shift_nodes, spec_of
from edgevid.models.gate_shift import GateShift
from edgevid.targets.onnxruntime import evaluate

PIXELS = {"mean": (127.5,) * 3, "std": (127.5,) * 3, "color": "RGB"}
SHIFTS = {"gsm": 3 * 2, "stsm": 4, "psn": 4 * 2 * 2}
"""A gate shifts its halves apart; a temporal convolution shifts once in each direction."""


class OverVolumes(nn.Module):
    """A gate as the release writes it: a 3D convolution, and halves that are shifted by joining."""

    def __init__(self, gate):
        super().__init__()
        self.gate = gate

    def forward(self, frames):
        channels, half = frames.shape[1], frames.shape[1] // 2
        weight = self.gate.taps.weight.reshape(2, 3, half, 3, 3).transpose(1, 2).contiguous()
        clips, seen = (
            x.reshape(-1, FRAMES, channels, *x.shape[2:]).permute(0, 2, 1, 3, 4)
            for x in (frames, self.gate.relu(self.gate.bn(frames)))
        )
        gates = torch.tanh(functional.conv3d(seen, weight, self.gate.bias, padding=1, groups=2))
        halves = []
        for number, x in enumerate(clips.split(half, dim=1)):
            y = gates[:, number].unsqueeze(1) * x
            empty = torch.zeros_like(y[:, :, :1])
            parts = (empty, y[:, :, :-1]) if number else (y[:, :, 1:], empty)
            halves.append(torch.cat(parts, dim=2) + (x - y))
        return torch.cat(halves, dim=1).permute(0, 2, 1, 3, 4).reshape(frames.shape)


def foreign(network):
    """The network with its gates as the release writes them."""
    for module in list(network.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, GateShift):
                setattr(module, name, OverVolumes(layer))
    return network


@pytest.mark.parametrize("exporter", ["legacy", pytest.param("dynamo", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", SHIFTS)
def test_the_shifts_of_a_foreign_file_are_found_and_it_computes_the_same(tmp_path, name, exporter):
    network = foreign(member(name))
    size = network.config.size
    clip = torch.randn(1, FRAMES, 3, size, size, generator=torch.Generator().manual_seed(1))
    path = tmp_path / "foreign.onnx"
    more = {"dynamo": False} if exporter == "legacy" else {"dynamo": True, "external_data": False}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (clip,), str(path), opset_version=18, **more)
        wanted = network(clip).numpy()
    graph = read_foreign(path, **PIXELS).graph(1)
    specs = [spec_of(node) for node in shift_nodes(graph)]
    assert len(specs) == SHIFTS[name]
    assert {spec.segments for spec in specs} == {FRAMES}
    (found,) = evaluate(graph, {graph.graph.inputs[0].name: clip.numpy()})
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()
