"""The identity of a network, so that ranges and states are never applied to another one."""

from __future__ import annotations

import hashlib

import onnx_ir as ir

from edgevid.errors import GraphError

__all__ = ["graph_hash"]

_SHAPE_OPERANDS = frozenset({"Expand", "Reshape"})
"""Operations whose second input is the shape of their result, batch included."""


def graph_hash(graph: ir.Model) -> str:
    """SHA-256 of what a float graph computes, as 64 hexadecimal digits.

    Operations, their attributes, how they are connected, weights and shapes count. Names, the
    order of independent operations and the batch, which is the first axis of every shape, do not.

    Args:
        graph: canonical.

    Raises:
        GraphError: an operation uses a value that nothing before it computes.
    """
    known = {
        value: _digest("input", index, value.dtype, _without_batch(value))
        for index, value in enumerate(graph.graph.inputs)
    }
    for node in graph.graph:
        digest = _of_node(node, known, graph.opset_imports.get(node.domain))
        for index, value in enumerate(node.outputs):
            known[value] = _digest(digest, index)
    return _digest(*(_of_value(value, known) for value in graph.graph.outputs))


def _of_node(node: ir.Node, known: dict[ir.Value, str], version: int | None) -> str:
    parts: list[object] = [node.domain, version, node.op_type]
    for index, value in enumerate(node.inputs):
        if node.op_type in _SHAPE_OPERANDS and index == 1 and _without_batch(node.outputs[0]) is not None:
            parts.append(_without_batch(node.outputs[0]))
        else:
            parts.append(None if value is None else _of_value(value, known))
    parts += [_of_attribute(attribute) for _, attribute in sorted(node.attributes.items())]
    return _digest(*parts)


def _of_value(value: ir.Value, known: dict[ir.Value, str]) -> str:
    if value not in known:
        tensor = ir.convenience.get_const_tensor(value)
        if tensor is None:
            raise GraphError("nothing computes this value", where=value.name, fix="export the network again")
        known[value] = _of_tensor(tensor)
    return known[value]


def _of_attribute(attribute: ir.Attr) -> str:
    if attribute.type is ir.AttributeType.TENSOR:
        return _digest(attribute.name, _of_tensor(attribute.as_tensor()))
    return _digest(ir.to_proto(attribute).SerializeToString(deterministic=True))


def _of_tensor(tensor: ir.TensorProtocol) -> str:
    return _digest("tensor", tensor.dtype, tuple(tensor.shape), hashlib.sha256(tensor.tobytes()).hexdigest())


def _without_batch(value: ir.Value) -> tuple[str, ...] | None:
    return None if value.shape is None else tuple(str(size) for size in value.shape[1:])


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()
