"""From a canonical graph, float or Q/DQ, to a short list of fused layers.

The graph is read once, in order. A value is a *view* of frames: reshapes, shifts, normalization and
restored integers change the view and compute nothing; the layer that reads a view takes its shift and
its pixels along. Bounds, residuals and quantization go back into the epilogue of the layer that made the
value, where nobody else reads it in between. What no kernel of ours computes is left to TVM.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import onnx_ir as ir

from edgevid.errors import TargetError
from edgevid.graph.shift_op import DOMAIN, SHIFT
from edgevid.targets.tvm.network import Frames, Network
from edgevid.targets.tvm.reading import (
    caches,
    channels,
    elementwise,
    epilogues,
    pooling,
    products,
    tensors,
    views,
)
from edgevid.targets.tvm.reading.keeping import with_keeps
from edgevid.targets.tvm.reading.state import State
from edgevid.targets.tvm.reading.values import Value, View

__all__ = ["read_graph"]

Reader = Callable[[State, ir.Node], Value | Sequence[Value] | None]
"""The value of an operation, those of all its outputs that are used, or None: another reader may know it."""


def read_graph(graph: ir.Model, block: int) -> Network:
    """The layers of a graph, for vectors of ``block`` lanes.

    Args:
        graph: canonical, with uint8 clips [N, T, H, W, 3], or the streaming form of such a graph; static
            shapes.

    Raises:
        TargetError: an operation or a shape that is not known; the message names the operation.
    """
    clips, *others = graph.graph.inputs
    if clips.shape is None or len(clips.shape) != 5 or clips.dtype != ir.DataType.UINT8:
        raise TargetError(f"the input is {clips.dtype} {clips.shape}, not uint8 clips", where=clips.name)
    n, t, h, w, c = (int(size) for size in clips.shape.numpy())
    frames = Frames(n, t, c, h, w, c, "uint8")
    state = State(graph, block, n)
    source = str(clips.name)
    state.activations[source] = frames
    axes = (("n",), ("t",), ("h",), ("w",), ("c",))
    state.values[clips] = View(source, frames, axes, pixels=tuple((1.0, 0.0) for _ in range(c)))
    names = caches.declare(state, others)
    skipped = caches.moving_up(graph)
    for node in graph.graph:
        if node not in skipped:
            _read(state, node)
    logits = graph.graph.outputs[0]
    if logits not in state.values:
        raise TargetError("the output does not depend on the input", where=logits.name)
    output = state.tensor(state.values[logits]).name
    return with_keeps(state, source, output, names)


def _read(state: State, node: ir.Node) -> None:
    """One operation, by the first reader that knows it as it stands."""
    if not any(value in state.values for value in node.inputs if value is not None):
        return  # A constant, which is looked up when an operation needs it.
    known = READERS.get((node.domain.removeprefix("ai.onnx"), node.op_type), ())
    for reader in (*known, tensors.fallback):
        found = reader(state, node)
        if isinstance(found, Sequence):
            used = [output for output in node.outputs if output.uses() or output.is_graph_output()]
            state.values.update(zip(used, found, strict=True))
            return
        if found is not None:
            state.values[node.outputs[0]] = found
            return


_ONNX: Mapping[str, tuple[Reader, ...]] = MappingProxyType(
    {
        **dict.fromkeys(elementwise.ELEMENTWISE, (elementwise.elementwise,)),
        **dict.fromkeys(("Identity", "Dropout", "Cast", "DequantizeLinear"), (views.same,)),
        **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), (views.reshape,)),
        "Transpose": (views.transpose,),
        "Add": (views.affine, epilogues.residual, epilogues.offset, elementwise.elementwise),
        **dict.fromkeys(("Sub", "Mul", "Div"), (views.affine, elementwise.elementwise)),
        **dict.fromkeys(("Relu", "Clip"), (epilogues.bounds, elementwise.elementwise)),
        "BatchNormalization": (elementwise.batch_normalization,),
        "QuantizeLinear": (epilogues.quantize,),
        "Conv": (products.convolution,),
        "Gemm": (products.dense,),
        "MatMul": (products.dense, tensors.matrix_product),
        **dict.fromkeys(("MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool"), (pooling.pool,)),
        **dict.fromkeys(("ReduceMax", "ReduceMean"), (pooling.reduce,)),
        "Gather": (views.colours, channels.gather),
        "Slice": (caches.oldest, channels.slices),
        "Split": (channels.split,),
        "Concat": (caches.shifted, channels.concatenation),
        "Softmax": (tensors.softmax,),
        "Where": (caches.gated,),
    }
)
READERS: Mapping[tuple[str, str], tuple[Reader, ...]] = MappingProxyType(
    {(DOMAIN, SHIFT): (views.shift,)} | {("", name): readers for name, readers in _ONNX.items()}
)
"""By domain and operation: what is tried in turn; TVM computes what none of them takes."""
