"""Shift bytes where a Q/DQ graph shifts what bytes stand for.

A shift, and a maximum too, gives the same of numbers as of the bytes of one scale that stand for them. What
is kept from frame to frame is then a quarter as much.
"""

from __future__ import annotations

import onnx_ir as ir

from edgevid.graph.shift_op import DOMAIN, SHIFT, attach_functions

__all__ = ["has_one_scale", "shift_integers"]


def shift_integers(model: ir.Model) -> None:
    """Put each DequantizeLinear that stands before a shift behind it, and behind a maximum between them.

    In place; what the graph computes stays the same to the bit.
    """
    for node in list(model.graph):
        if _is_shift(node) or (_is_maximum(node) and any(map(_is_shift, _users(node)))):
            value = node.inputs[0]
            restored = None if value is None else value.producer()
            if restored is not None and has_one_scale(restored):
                _commute(model.graph, restored, node)
    attach_functions(model)


def _is_shift(node: ir.Node) -> bool:
    return node.domain == DOMAIN and node.op_type == SHIFT


def _is_maximum(node: ir.Node) -> bool:
    return not node.domain and node.op_type == "MaxPool"


def _users(node: ir.Node) -> list[ir.Node]:
    return [use.node for use in node.outputs[0].uses()]


def has_one_scale(node: ir.Node) -> bool:
    """Whether it is a DequantizeLinear of one known scale for the whole tensor."""
    scale = node.inputs[1] if node.op_type == "DequantizeLinear" else None
    tensor = None if scale is None else ir.convenience.get_const_tensor(scale)
    return tensor is not None and tensor.size == 1


def _commute(graph: ir.Graph, restored: ir.Node, node: ir.Node) -> None:
    integers, *parameters = restored.inputs
    old = node.outputs[0]
    assert integers is not None
    attributes = dict(node.attributes)
    zero = ir.convenience.get_const_tensor(parameters[1]) if parameters[1:] and parameters[1] else None
    if _is_shift(node) and zero is not None and zero.numpy().any():
        attributes["zero_point"] = ir.AttrInt64("zero_point", int(zero.numpy().reshape(())))
    moved = ir.Node(
        node.domain, node.op_type, [integers, *node.inputs[1:]], attributes.values(), name=f"{node.name}.int8"
    )
    kept = moved.outputs[0]
    kept.name, kept.type, kept.shape = f"{old.name}.quantized", integers.type, old.shape
    behind = ir.Node("", "DequantizeLinear", [kept, *parameters], name=f"{node.name}.restored")
    floats = behind.outputs[0]
    floats.name, floats.type, floats.shape = f"{old.name}.restored", old.type, old.shape
    ir.convenience.replace_nodes_and_values(graph, node, [node], [moved, behind], [old], [floats])
