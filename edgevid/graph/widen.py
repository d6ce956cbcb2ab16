"""float16, bfloat16 and double graphs as float32, the type that every target starts from."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

__all__ = ["widen"]

_OTHER = frozenset((ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE))
_DTYPE_ATTRIBUTES = ("to", "dtype", "output_dtype")


def widen(model: ir.Model) -> None:
    """Make every other floating type of ``model`` float32 in place, and remove casts between them.

    Requires shapes to be constants already: a size that is computed in double precision may not
    fit into float32.
    """
    for graph in model.graphs():
        for value in (*graph.inputs, *graph.initializers.values()):
            _widen_value(value)
        for node in graph:
            for attribute in list(node.attributes.values()):
                _widen_attribute(node, attribute)
            for output in node.outputs:
                _widen_value(output)
    for node in list(model.graph):
        _remove_cast(model.graph, node)


def _widen_value(value: ir.Value) -> None:
    if value.dtype in _OTHER:
        # A new object: values share their types, with copies of the graph too.
        value.type = ir.TensorType(ir.DataType.FLOAT)
    if value.const_value is not None and value.const_value.dtype in _OTHER:
        value.const_value = _widened(value.const_value)


def _widened(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    array = tensor.numpy()
    finite = np.isfinite(array)
    largest = np.finfo(np.float32).max
    if tensor.dtype is ir.DataType.DOUBLE:
        # Bounds such as the lowest double stay numbers: infinity times zero would be NaN.
        array = np.where(finite, array.clip(-largest, largest), array)
    return ir.tensor(array.astype(np.float32), name=tensor.name)


def _widen_attribute(node: ir.Node, attribute: ir.Attr) -> None:
    if attribute.type is ir.AttributeType.INT and attribute.name in _DTYPE_ATTRIBUTES:
        if attribute.as_int() in {dtype.value for dtype in _OTHER}:
            node.attributes[attribute.name] = ir.AttrInt64(attribute.name, ir.DataType.FLOAT.value)
    elif attribute.type is ir.AttributeType.TENSOR and attribute.as_tensor().dtype in _OTHER:
        node.attributes[attribute.name] = ir.AttrTensor(attribute.name, _widened(attribute.as_tensor()))


def _remove_cast(graph: ir.Graph, node: ir.Node) -> None:
    source = node.inputs[0] if node.op_type in ("Cast", "CastLike") else None
    if source is None or source.dtype is not ir.DataType.FLOAT or node.outputs[0].dtype is not source.dtype:
        return
    if node.outputs[0].is_graph_output() and (source.is_graph_input() or source.is_graph_output()):
        return
    ir.convenience.replace_all_uses_with(node.outputs[0], source, replace_graph_outputs=True)
    graph.remove(node, safe=True)
