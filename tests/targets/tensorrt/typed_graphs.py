"""Tiny networks as TensorRT gets them: lowered, in float32 or with Q/DQ pairs; and what ONNX Runtime says."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import onnx.parser
import onnx_ir as ir
import onnxruntime
import torch
from exported_once import export

from edgevid.calibration.points import layers_named, points
from edgevid.calibration.quantize import quantize
from edgevid.contract import Normalization, Streaming
from edgevid.graph.lower import lower
from edgevid.graph.prelude import with_uint8_clips
from edgevid.graph.shift_op import replace_specs
from edgevid.graph.streaming import stream_graph
from edgevid.models import NetworkConfig, ShiftConfig, build
from edgevid.shift import ShiftSpec
from edgevid.targets._schemes import SCHEMES
from edgevid.targets.onnxruntime import evaluate
from edgevid.targets.tensorrt._target import scheme_of, typed
from edgevid.targets.tensorrt.boards import board
from edgevid.targets.tensorrt.cache_tensors import caches_of

LOWERING = "fused_slice_concat"
BACKBONES = ("resnet50", "mobilenet_v2")


@cache
def canonical(backbone="resnet50", batch=1, direction="bidirectional"):
    """A canonical graph of 4 frames of 32x32 pixels, with weights that keep the variance."""
    torch.manual_seed(3)
    config = NetworkConfig(
        backbone=backbone,
        channels=(16, 16, 16, 32, 32) if backbone == "resnet50" else (8, 8, 8, 16, 16, 16, 24, 24, 32),
        blocks=(1, 1, 2, 1) if backbone == "resnet50" else (1, 1, 2, 1, 1, 1, 1),
        classes=6,
        segments=4,
        size=32,
        shift=ShiftConfig(direction=direction),
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
def ranges(backbone="resnet50", direction="bidirectional"):
    """The largest magnitude of each tensor that int8 needs one of."""
    graph = canonical(backbone, 1, direction)
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


@dataclass(frozen=True)
class Streamed:
    """A network that takes frame by frame: the graph of a clip, and what the target makes of it."""

    offline: ir.Model
    plain: ir.Model
    streaming: Streaming

    def typed(self, precision, flavor="tensorrt_rtx"):
        return typed(self.plain, precision, flavor)


@cache
def streamed(
    backbone="resnet50", precision="fp32", direction="unidirectional", shift_side="integer", moves=None
):
    """As `edgevid.build.stream` hands it to the target, for RTX GPUs; ``moves`` replace all shifts."""
    graph = canonical(backbone, 1, direction)
    if moves is not None:
        graph = replace_specs(graph, lambda spec: ShiftSpec(spec.segments, moves))
    if precision == "int8":
        scheme = replace(scheme_of(board("rtx-40")), shift_side=shift_side)
        kept = layers_named(graph, ["depthwise"]) if backbone == "mobilenet_v2" else ()
        graph = quantize(graph, ranges(backbone, direction), scheme, float_layers=kept)
    made = stream_graph(graph, lookahead=direction == "bidirectional")
    return Streamed(graph, lower(made.model, "slice_concat"), made.streaming)


def frames(number, seed=0):
    """One video, uint8 [F, 32, 32, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (number, 32, 32, 3)).astype(np.uint8)


def stepped(model, streaming, video):
    """Logits of each frame of a streaming graph, step by step."""
    compute, rows, clips = opened(model), [], model.graph.inputs[0]
    pairs = caches_of(model)
    caches = {given.name: np.zeros(given.shape.numpy(), given.dtype.numpy()) for given, _ in pairs}
    for step in range(len(video) + streaming.delay):
        frame = video[step] if step < len(video) else np.full_like(video[0], 77)
        feeds = {clips.name: frame[None, None].astype(clips.dtype.numpy()), **caches}
        if streaming.gates:
            gates = [0 <= step - gate < len(video) for gate in streaming.gates]
            feeds["valid"] = np.array(gates, model.graph.inputs[1].dtype.numpy())
        logits, *after = compute(feeds)
        rows.append(logits[0])
        caches = dict(zip(caches, after, strict=True))
    return np.array(rows[streaming.delay :])


def opened(model):
    """A function from feeds to all outputs, computed node by node as the graph stands."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    data = ir.to_proto(model).SerializeToString()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return lambda feeds: session.run(None, feeds)
