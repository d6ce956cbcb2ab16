"""Shapes and types of one node's outputs, asked of onnx only where its answer is safe.

onnx's inference ends the whole process for a Slice through an axis of negative size, or backwards
through an axis of none, which damaged files and wrong input sizes lead to.
"""

from __future__ import annotations

import onnx
import onnx_ir as ir

from edgevid.errors import GraphError
from edgevid.graph.place import reason
from edgevid.graph.without_weights import DAMAGED, SMALL

__all__ = ["infer_node"]

_FIX = "check the sizes that were given for its input, and export it again"


def infer_node(node: ir.Node, opsets: dict[str, int]) -> None:
    """Set the shapes and types of the outputs of ``node`` that its inputs determine.

    Args:
        node: of ONNX's own operations, without subgraphs.
        opsets: version by domain.

    Raises:
        GraphError: it does not fit its inputs.
    """
    inputs = {value.name: value for value in node.inputs if value is not None and value.name}
    if node.op_type == "Constant" or any(value.type is None for value in inputs.values()):
        return
    where = f"{node.op_type} {node.name or '(without a name)'}"
    types: dict[str, onnx.TypeProto] = {}
    data: dict[str, onnx.TensorProto] = {}
    try:
        for name, value in inputs.items():
            assert name is not None
            assert value.type is not None
            types[name] = ir.serde.serialize_type(value.type)
            if value.shape is not None:
                _refuse_empty(node, value, where)
                ir.serde.serialize_shape_into(types[name], value.shape)
            if value.const_value is not None and value.const_value.nbytes <= SMALL:
                data[name] = ir.serde.serialize_tensor(value.const_value)
        schema = onnx.defs.get_schema(node.op_type, opsets[node.domain], node.domain)
        found = onnx.shape_inference.infer_node_outputs(schema, ir.serde.serialize_node(node), types, data)
        for output in node.outputs:
            if output.name in found:
                output.type = ir.serde.deserialize_type_proto_for_type(found[output.name])
                output.shape = ir.serde.deserialize_type_proto_for_shape(found[output.name])
                _refuse_negative(output, where)
    except (*DAMAGED, onnx.defs.SchemaError) as error:
        raise GraphError(
            f"an operation does not fit its inputs: {reason(error)}", where=where, fix=_FIX
        ) from error


def _refuse_empty(node: ir.Node, value: ir.Value, where: str) -> None:
    if node.op_type != "Slice" or value is not node.inputs[0] or len(node.inputs) < 5:
        return
    steps = node.inputs[4].const_value if node.inputs[4] is not None else None
    if steps is not None and steps.numpy().min(initial=1) < 0 and value.shape and 0 in tuple(value.shape):
        raise GraphError(
            f"a slice with negative steps through {value.name}, which is empty: {value.shape}",
            where=where,
            fix=_FIX,
        )


def _refuse_negative(value: ir.Value, where: str) -> None:
    if value.shape is not None and any(isinstance(size, int) and size < 0 for size in value.shape):
        raise GraphError(f"its output {value.name} would be of shape {value.shape}", where=where, fix=_FIX)
