"""Tiny networks as TensorRT gets them: lowered, in float32 or with Q/DQ pairs; and what ONNX Runtime says."""

from functools import cache

import numpy as np
import onnx.parser
import onnx_ir as ir
import torch

from edgevid.calibration.points import points
from edgevid.calibration.quantize import quantize
from edgevid.contract import Normalization
from edgevid.graph.export import export
from edgevid.graph.lower import lower
from edgevid.graph.prelude import with_uint8_clips
from edgevid.models import NetworkConfig, ShiftConfig, build
from edgevid.targets._schemes import SCHEMES
from edgevid.targets.onnxruntime import evaluate

LOWERING = "fused_slice_concat"
BACKBONES = ("resnet50", "mobilenet_v2")


@cache
def canonical(backbone="resnet50", batch=1):
    """A canonical graph of 4 frames of 32x32 pixels, with weights that keep the variance."""
    torch.manual_seed(3)
    config = NetworkConfig(
        backbone=backbone,
        channels=(16, 16, 16, 32, 32) if backbone == "resnet50" else (8, 8, 8, 16, 16, 16, 24, 24, 32),
        blocks=(1, 1, 2, 1) if backbone == "resnet50" else (1, 1, 2, 1, 1, 1, 1),
        classes=6,
        segments=4,
        size=32,
        shift=ShiftConfig(),
    )
    network = build(config).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.bias, 0, 0.1)
        elif isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, std=0.3)
    return with_uint8_clips(export(network, batch=batch), Normalization())


@cache
def lowered(backbone="resnet50", batch=1):
    return lower(canonical(backbone, batch), LOWERING)


@cache
def ranges(backbone="resnet50"):
    """The largest magnitude of each tensor that int8 needs one of."""
    graph = canonical(backbone)
    watched = graph.clone()
    values = {value.name: value for node in watched.graph for value in node.outputs}
    watched.graph.outputs.extend(values[name] for name in points(graph))
    _, *found = evaluate(watched, {"clips": clips(seed=1)})
    return {name: float(abs(each).max()) for name, each in zip(points(graph), found, strict=True)}


@cache
def integer(backbone="resnet50"):
    """In int8, lowered."""
    return lower(quantize(canonical(backbone), ranges(backbone), SCHEMES["tensorrt"]), LOWERING)


def clips(batch=1, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (batch, 4, 32, 32, 3)).astype(np.uint8)


def run(model, given):
    return evaluate(model, {model.graph.inputs[0].name: given})[0]


def parsed(text, opset=20, **constants):
    """A graph written as text, as ``(float[2, 3] x) => (float y) { y = Relu (x) }``; shapes are inferred."""
    proto = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": {opset}]> small {text}')
    for name, array in constants.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), name))
    for value in proto.graph.output:
        value.type.tensor_type.ClearField("shape")
    model = ir.serde.deserialize_model(onnx.shape_inference.infer_shapes(proto, data_prop=True))
    for number, node in enumerate(model.graph):
        node.name = node.name or f"{node.op_type}{number}"
    return model
