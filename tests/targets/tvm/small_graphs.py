"""Small networks written as text, read and run by this target, and by ONNX Runtime."""

from dataclasses import replace

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import tvm
from onnx import numpy_helper
from tvm import relax

from edgevid.graph.shift_op import attach_functions
from edgevid.targets.onnxruntime import evaluate
from edgevid.targets.tvm.assemble import assemble, build
from edgevid.targets.tvm.cpus import host_cpu
from edgevid.targets.tvm.read_graph import read_graph

FRAMES = """
    planes = Transpose <perm = [0, 1, 4, 2, 3]> (clips)
    real = Cast <to = 1> (planes)
    centred = Sub (real, mean)
    scaled = Mul (centred, factor)
    frames = Constant <value_ints = [-1, 3, {h}, {w}]> ()
    x = Reshape (scaled, frames)
"""
"""x is [N*T, 3, H, W]."""

VOLUME = """
    planes = Transpose <perm = [0, 4, 1, 2, 3]> (clips)
    real = Cast <to = 1> (planes)
    x = Mul (real, factor)
"""
"""x is [N, 3, T, H, W]."""


SHIFT = 'edgevid.Shift <segments = 2, moves = [0, 2, 1, 0, 0, 2, 3, -1, 0, 0], layout = "{}">'
"""Of two segments, to be filled with the layout."""
STEM = "c = Conv <pads = [1, 1, 1, 1]> (x, w, b)"
WEIGHTS = {"w": (12, 3, 3, 3), "b": (12,)}
"""A convolution c of x with twelve channels, and its constants."""


def ints(**lists):
    """Lines of the graph that name constants."""
    return " ".join(f"{name} = Constant <value_ints = {values}> ()" for name, values in lists.items())


def graph(body, constants=(), clips=(1, 2, 5, 6), head=FRAMES):
    """A model of uint8 clips; ``body`` computes ``y`` of ``x`` and of random constants {name: shape}."""
    n, t, h, w = clips
    text = f"""<ir_version: 10, opset_import: ["": 20, "edgevid": 1]>
    small (uint8[{n}, {t}, {h}, {w}, 3] clips) => (float y) {{ {head.format(h=h, w=w)} {body} }}"""
    proto = onnx.parser.parse_model(text)
    rng = np.random.default_rng(0)
    given = {"mean": np.array([120, 110, 100], np.float32).reshape(3, 1, 1), "factor": np.float32(1 / 60)}
    for name, value in dict(constants).items():
        array = (
            value
            if isinstance(value, np.ndarray | np.generic)
            else rng.standard_normal(value).astype(np.float32)
        )
        given[name] = array
    used = {name for node in proto.graph.node for name in node.input}
    proto.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(array), name) for name, array in given.items() if name in used
    )
    del proto.graph.output[0].type.tensor_type.shape.dim[:]
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    for index, node in enumerate(proto.graph.node):
        node.name = f"{node.op_type}_{index}"
    model = ir.from_proto(proto)
    attach_functions(model)
    proto = onnx.shape_inference.infer_shapes(ir.to_proto(model), data_prop=True)
    return ir.from_proto(proto)


def layers(model, block=8):
    """What the layers are: their operations in order."""
    return [layer.operation for layer in read_graph(model, block).layers]


def kinds(model, block=8):
    """The names of the operations in order."""
    return [type(operation).__name__ for operation in layers(model, block)]


def computed(model, lanes=None):
    """What this target computes of random clips, in vectors of ``lanes``, and what ONNX Runtime does."""
    cpu = host_cpu() if lanes is None else replace(host_cpu(), lanes=lanes)
    clips = np.random.default_rng(1).integers(0, 256, model.graph.inputs[0].shape.numpy(), np.uint8)
    (wanted,) = evaluate(model, {"clips": clips})
    module = assemble(read_graph(model, cpu.lanes), cpu, wanted.shape)
    machine = relax.VirtualMachine(build(module, cpu), tvm.cpu())
    return machine["main"](tvm.runtime.tensor(clips)).numpy(), wanted


def agrees(model, tolerance=1e-4, lanes=None):
    """Whether this target and ONNX Runtime compute the same, and how far they are apart."""
    result, wanted = computed(model, lanes)
    assert result.shape == wanted.shape
    assert np.isfinite(wanted).all()
    spread = np.abs(wanted - wanted.mean()).max()
    apart = np.abs(result - wanted).max() / max(np.abs(wanted).max(), 1e-30)
    assert spread > 1e-6 * np.abs(wanted).max(), "the network computes nothing that could be told apart"
    return bool(apart <= tolerance)
