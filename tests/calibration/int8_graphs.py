"""Tiny canonical graphs and ranges that the tests of int8 share."""

from functools import cache

import numpy as np
import torch
from exported_once import export

from edgevid.calibration.points import points
from edgevid.contract import Normalization
from edgevid.graph.prelude import with_uint8_clips
from edgevid.models import NetworkConfig, ShiftConfig, build
from edgevid.targets._schemes import SCHEMES
from edgevid.targets.onnxruntime import evaluate

OPENVINO, TENSORRT = SCHEMES["openvino"], SCHEMES["tensorrt"]


@cache
def tiny_graph(backbone="resnet50", batch=1, shifted=True):
    """A canonical graph of 4 frames of 32x32 pixels, with weights that keep the variance."""
    torch.manual_seed(3)
    config = NetworkConfig(
        backbone=backbone,
        channels=(16, 16, 16, 32, 32) if backbone == "resnet50" else (8, 8, 8, 16, 16, 16, 24, 24, 32),
        blocks=(1, 1, 2, 1) if backbone == "resnet50" else (1, 1, 2, 1, 1, 1, 1),
        classes=6,
        segments=4,
        size=32,
        shift=ShiftConfig() if shifted else None,
    )
    network = build(config).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.bias, 0, 0.1)
    return with_uint8_clips(export(network, batch=batch), Normalization())


def clips(count=1, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 32, 32, 3)).astype(np.uint8)


def observed(graph, clip):
    """Every point's values on a clip, by name."""
    watched = graph.clone()
    values = {value.name: value for node in watched.graph for value in node.outputs}
    watched.graph.outputs.extend(values[name] for name in points(graph))
    _, *found = evaluate(watched, {watched.graph.inputs[0].name: clip})
    return dict(zip(points(graph), found, strict=True))


@cache
def thresholds(backbone="resnet50", shifted=True):
    """The largest magnitudes over two clips."""
    graph = tiny_graph(backbone, 1, shifted)
    seen = [observed(graph, clips(seed=seed)) for seed in range(2)]
    return {name: float(max(abs(each[name]).max() for each in seen)) for name in points(graph)}


def run(model, clip):
    return evaluate(model, {model.graph.inputs[0].name: clip})[0]
