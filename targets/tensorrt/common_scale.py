"""One scale for the weights of an int8 convolution, and its channels' own scales behind the activation.

With a scale a channel, TensorRT for RTX 1.7 writes an int8 convolution's sums in float32 and leaves bias and
activation to the kernel behind, whose source it then keeps in the plan once a layer. With one scale, these
are in the convolution and its result is float16, and layers share the source of the kernels behind. The
numbers are the same: a ReLU and a maximum commute with positive factors.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir import tape
from onnx_ir.passes import common as passes

from edgevid.graph.plain_shift import Writer

__all__ = ["with_common_scales"]

_LARGEST_SUM = 2.0**15
"""What sums stay below whatever the frames: half of float16's range."""
_LEAST = 2.0**-14
"""The smallest normal number of float16."""
_LARGEST_BYTE = 128
_COMMUTE = frozenset({"MaxPool", "Relu"})


def with_common_scales(graph: ir.Model) -> ir.Model:
    """A copy of a graph with Q/DQ pairs in which the weights of each int8 convolution have one scale.

    A convolution stays as it is where a factor or a sum could leave the range of float16.
    """
    changed = graph.clone()
    write = Writer(changed.graph, "common_scale", [], ir.DataType.FLOAT)
    for node in list(changed.graph):
        if node.op_type == "Conv":
            _rewrite(write, node)
    passes.RemoveUnusedNodesPass()(changed)
    return changed


def _rewrite(write: Writer, node: ir.Node) -> None:
    given, weight = (_pair(value) for value in node.inputs[:2])
    if given is None or weight is None:
        return
    step, numbers, scales = (_numbers(value) for value in (given[1], *weight))
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    biases = np.zeros(1) if bias is None else _numbers(bias)
    if step is None or numbers is None or scales is None or biases is None:
        return
    sums = np.abs(numbers).reshape(len(numbers), -1).sum(1)
    live = sums > 0
    if step.size != 1 or scales.size != len(numbers) or not live.any():
        return
    own = np.where(live, scales, scales[live].max())  # without weights any scale will do
    reach = float((_LARGEST_BYTE * step.max() * sums + np.abs(biases) / own).max())
    common = 2.0 ** math.floor(math.log2(_LARGEST_SUM / reach))
    factors = own / common
    if not (min(common, factors.min()) >= _LEAST and max(common, factors.max()) <= _LARGEST_SUM):
        return
    name = str(node.name)
    scale = write.constant(f"{name}.scale", np.array(common, np.float32))
    zero = write.constant("zero_point.int8.0", np.array(0, np.int8))
    restored = write.op("DequantizeLinear", [weight[0], scale, zero])
    old = node.inputs[1]
    assert old is not None
    restored.type, restored.shape = old.type, old.shape
    write.graph.insert_before(node, _steps(write))
    node.replace_input_with(1, restored)
    if bias is not None:
        node.replace_input_with(2, write.constant(f"{name}.bias", (biases / factors).astype(np.float32)))
    _multiply(write, _last_that_commutes(node), factors.astype(np.float32).reshape(1, -1, 1, 1))


def _pair(value: ir.Value | None) -> tuple[ir.Value, ir.Value] | None:
    """Integers and scale that ``value`` is restored from, or that what it is chosen from is."""
    node = None if value is None else value.producer()
    if node is not None and node.op_type == "MaxPool":
        return _pair(node.inputs[0])
    if node is None or node.op_type != "DequantizeLinear" or None in node.inputs[:2]:
        return None
    integers, scale = node.inputs[:2]
    assert integers is not None
    assert scale is not None
    return integers, scale


def _numbers(value: ir.Value | None) -> NDArray[np.float64] | None:
    """Of a constant; None for anything else."""
    known = None if value is None else value.const_value
    return None if known is None else known.numpy().astype(np.float64)


def _last_that_commutes(node: ir.Node) -> ir.Node:
    while len(uses := list(node.outputs[0].uses())) == 1 and uses[0].node.op_type in _COMMUTE:
        if node.outputs[0].is_graph_output():
            break
        node = uses[0].node
    return node


def _multiply(write: Writer, node: ir.Node, factors: NDArray[np.float32]) -> None:
    """Let all that reads the result of an operation read it times ``factors``."""
    value = node.outputs[0]
    uses = list(value.uses())
    product = write.op("Mul", [value, write.constant(f"{value.name}.factors", factors)])
    product.type, product.shape = value.type, value.shape
    write.graph.insert_after(node, _steps(write))
    for use in uses:
        use.node.replace_input_with(use.idx, product)


def _steps(write: Writer) -> list[ir.Node]:
    """The operations written since the last time."""
    nodes = list(write.steps.nodes)
    write.steps = tape.Tape()
    return nodes
