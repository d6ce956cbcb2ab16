"""Which networks a measured choice of lowering holds for: those of the same operations and shapes."""

from __future__ import annotations

import hashlib

import onnx_ir as ir

__all__ = ["network_key"]


def network_key(graph: ir.Model) -> str:
    """SHA-256 of the structure of a graph, as 64 hexadecimal digits.

    Operations, attributes, connections, types and shapes count; names and weights do not, since no kernel
    takes longer for other weights. What works on less than images, as the classifier does, is left out, so
    that a network with other classes is the same.
    """
    known: dict[ir.Value, str] = {
        value: f"input {index} {_kind(value)}" for index, value in enumerate(graph.graph.inputs)
    }
    digest = hashlib.sha256()
    for number, node in enumerate(node for node in graph.graph if _works_on_images(node)):
        inputs = ["" if value is None else known.get(value) or _kind(value) for value in node.inputs]
        attributes = [
            ir.to_proto(attribute).SerializeToString(deterministic=True)
            for _, attribute in sorted(node.attributes.items())
            if attribute.type is not ir.AttributeType.TENSOR
        ]
        digest.update(repr((node.domain, node.op_type, inputs, attributes)).encode())
        for index, value in enumerate(node.outputs):
            known[value] = f"{number}.{index}"
    return digest.hexdigest()


def _works_on_images(node: ir.Node) -> bool:
    ranks = [len(value.shape) for value in node.outputs if value.shape is not None]
    return len(ranks) < len(node.outputs) or max(ranks, default=0) >= 4


def _kind(value: ir.Value) -> str:
    shape = None if value.shape is None else [str(size) for size in value.shape]
    return f"{value.dtype} {shape}"
