"""Small graphs, networks and specs that the tests of this folder share."""

from functools import cache

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import torch
from exported_once import export
from onnx_ir import tape

from edgevid.graph.shift_op import DOMAIN, OPSET, SHIFT, attach_functions, spec_attributes
from edgevid.models import NetworkConfig, ShiftConfig, build
from edgevid.shift import Layout, Move, ShiftSpec

SIZES = ((1, 4), (2, 14), (1, 5), (1, 5))
"""Ranges of clips, channels, rows and columns of a random case."""

SHIFTED = ShiftConfig()


def random_spec(random, channels, layout):
    """Moves along one to three axes, by up to three places, and channels at rest."""
    moves, start = [], 0
    while start < channels:
        stop = min(start + int(random.integers(1, 4)), channels)
        displacement = random.integers(-3, 4, 3) * (random.random(3) < 0.5)
        if displacement.any():
            moves.append(Move(start, stop, *displacement))
        start = stop
    return ShiftSpec(int(random.integers(1, 6)), tuple(moves), layout)


def random_case(random):
    """A spec and the shape of a tensor that it shifts: 1 to 3 clips of 1 to 5 frames."""
    layout = Layout.FRAMES if random.random() < 0.6 else Layout.VOLUME
    clips, channels, height, width = (int(random.integers(low, high)) for low, high in SIZES)
    spec = random_spec(random, channels, layout)
    if layout is Layout.FRAMES:
        return spec, (clips * spec.segments, channels, height, width)
    return spec, (clips, channels, spec.segments, height, width)


def shift_graph(spec, shape, dtype=np.float32, *, symbolic=False):
    """Negate, shift, negate: a canonical graph from ``x`` to ``y``.

    The operations around the shift keep it from touching the graph's ends.
    """
    kind = ir.DataType.from_numpy(np.dtype(dtype))
    sizes = ir.Shape(["N", *shape[1:]] if symbolic else shape)
    x = ir.Value(name="x", type=ir.TensorType(kind), shape=sizes)
    steps = tape.Tape()
    before = steps.op("Neg", [x])
    attributes = {**spec_attributes(spec), "moves": ir.AttrInt64s("moves", spec.flat)}
    shifted = steps.op(SHIFT, [before], attributes, domain=DOMAIN, name="the_shift")
    y = steps.op("Neg", [shifted])
    for name, value in (("before", before), ("shifted", shifted), ("y", y)):
        value.name, value.shape, value.type = name, sizes, ir.TensorType(kind)
    graph = ir.Graph(
        [x], [y], nodes=steps.nodes, opset_imports={"": OPSET, DOMAIN: 1}, name="negate_shift_negate"
    )
    model = ir.Model(graph, ir_version=10)
    attach_functions(model)
    return model


def run_onnx(model, *inputs, optimized=True):
    """The first output of a graph in ONNX Runtime, after onnx's own checker has passed it."""
    proto = model if isinstance(model, onnx.ModelProto) else ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [value.name for value in session.get_inputs()]
    return session.run(None, dict(zip(names, inputs, strict=True)))[0]


def small_network(backbone="resnet18", *, seed=0, shift=SHIFTED, **changes):
    """A network of full depth of kinds, little width, with batch norms that do something."""
    widths = (16, 8, 8, 8, 8, 8, 16, 16, 32) if backbone == "mobilenet_v2" else (16,) * 5
    blocks = (1, 2, 2, 1, 1, 1, 1) if backbone == "mobilenet_v2" else (1, 2, 1, 1)
    settings = {"classes": 5, "segments": 4, "size": 32, "blocks": blocks, "channels": widths}
    torch.manual_seed(seed)
    network = build(NetworkConfig(backbone=backbone, shift=shift, **{**settings, **changes})).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, std=0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.2)
        elif isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, std=0.3)
    return network


def frames_for(network, clips=1, seed=0):
    """Normalized frames ``[N, T, 3, H, W]`` that the network takes."""
    config = network.config
    shape = (clips, config.segments, 3, config.size, config.size)
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def logits_of(network, frames):
    """What PyTorch says."""
    with torch.no_grad():
        return network(torch.from_numpy(frames)).numpy()


def exported(backbone, batch=1):
    """``small_network(backbone)`` as a canonical graph; exporting takes seconds. Do not change it."""
    return _exported(backbone, batch)


@cache
def _exported(backbone, batch):
    return export(small_network(backbone), batch=batch)


def frames_and_logits(backbone, batch=1):
    """Frames for ``small_network(backbone)``, and what PyTorch says to them."""
    network = small_network(backbone)
    frames = frames_for(network, batch)
    return frames, logits_of(network, frames)
