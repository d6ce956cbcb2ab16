"""Int8 graphs with shifts on bytes, written as TensorRT reads them: all that moves numbers moves floats.

The tables of its parser have no Slice and Concat of bytes (onnx/onnx-tensorrt, docs/operators.md, TensorRT
10.15), and calibration caches know none; TensorRT moves the rounding to where it is cheapest by itself. The
numbers are the same: rounding commutes with moving.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from onnx_ir import tape
from onnx_ir.passes import common as passes

from edgevid.targets.tensorrt.cache_tensors import caches_of

__all__ = ["MOVING", "with_float_moves"]

MOVING = frozenset({"Concat", "Identity", "Pad", "Reshape", "Slice", "Split", "Squeeze", "Transpose"})
MOVING |= {"Unsqueeze", "Where"}
"""What gives nothing but numbers that it was given, or zeros."""
_OF_BYTES = MOVING | {"ConstantOfShape", "MaxPool"}
"""What streaming graphs hold between bytes; rounding commutes with a maximum too."""
_BYTES, _FLOATS = ir.TensorType(ir.DataType.INT8), ir.TensorType(ir.DataType.FLOAT)


def with_float_moves(graph: ir.Model) -> ir.Model:
    """A copy in which pairs stand behind what moves bytes, right before the layers; caches are floats.

    Requires symmetric bytes. A float graph, or one whose shifts stand on floats already, stays as it is.
    """
    changed = graph.clone()
    for cache, _ in caches_of(changed):
        if cache.type == _BYTES:
            cache.type = _FLOATS
            _round_before_reading(changed.graph, cache)
    for node in list(changed.graph):
        if node.op_type in _OF_BYTES and node.outputs[0].type == _BYTES:
            _move_floats(changed.graph, node)
    passes.RemoveUnusedNodesPass()(changed)
    return changed


def _move_floats(graph: ir.Graph, node: ir.Node) -> None:
    if node.op_type == "ConstantOfShape":
        node.attributes["value"] = ir.AttrTensor("value", ir.tensor(np.zeros(1, np.float32)))
    for index, value in enumerate(node.inputs):
        maker = None if value is None else value.producer()
        if value is None or value.type != _BYTES:
            continue
        if value.const_value is not None:  # zeros that come from outside
            node.replace_input_with(index, _zeros(graph, value))
        elif maker is not None and maker.op_type == "QuantizeLinear":
            node.replace_input_with(index, maker.inputs[0])
    for output in node.outputs:
        output.type = _FLOATS
        _round_before_reading(graph, output)


def _round_before_reading(graph: ir.Graph, value: ir.Value) -> None:
    """Let the DequantizeLinear that read ``value`` as bytes read it rounded."""
    for use in list(value.uses()):
        if use.node.op_type == "DequantizeLinear" and use.idx == 0:
            steps = tape.Tape()
            name = f"{use.node.name or value.name}.rounded"
            rounded = steps.op("QuantizeLinear", [value, *use.node.inputs[1:]], name=name)
            rounded.name, rounded.type, rounded.shape = name, _BYTES, value.shape
            graph.insert_before(use.node, steps.nodes)
            use.node.replace_input_with(0, rounded)


def _zeros(graph: ir.Graph, value: ir.Value) -> ir.Value:
    name = f"{value.name}.float"
    if name not in graph.initializers:
        assert value.const_value is not None
        tensor = ir.tensor(np.zeros(value.const_value.shape.numpy(), np.float32), name=name)
        graph.register_initializer(ir.Value(name=name, const_value=tensor, type=_FLOATS, shape=value.shape))
    return graph.initializers[name]
