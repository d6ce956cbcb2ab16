"""Convolve what comes from a cache apart, where that is less to write than putting it beside the rest.

A convolution is a sum over its input channels, so that the channels of the frame before and the others of
this one need not be put together first (as `edgevid.graph.split_conv` does for clips). Together they are
written once more; apart, the sum is. Bottlenecks of ResNets have a quarter as many channels behind the
convolution as before it, inverted residuals of MobileNetV2 six times as many.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["constant_of", "gains", "split_convolutions_of_caches"]


def split_convolutions_of_caches(graph: ir.Model, caches: Collection[str]) -> ir.Model:
    """A copy of a streaming graph in float in which such convolutions are sums of two.

    Args:
        graph: its shifts are concatenations along the channels.
        caches: names of the inputs that they begin with.
    """
    from onnx_ir.passes import common as passes

    changed = graph.clone()
    for node in list(changed.graph):
        if node.op_type != "Concat" or len(node.inputs) != 2 or _name(node.inputs[0]) not in caches:
            continue
        users = [use.node for use in node.outputs[0].uses()]
        if len(users) == 1 and gains(users[0], node.outputs[0]):
            _split(changed.graph, node, users[0])
    passes.RemoveUnusedNodesPass()(changed)
    return changed


def _name(value: ir.Value | None) -> str | None:
    return None if value is None else value.name


def gains(conv: ir.Node, together: ir.Value) -> bool:
    """Has it fewer channels behind it than before it, and all of them in one group?"""
    weight = conv.inputs[1] if conv.op_type == "Conv" else None
    if weight is None or weight.const_value is None or conv.inputs[0] is not together:
        return False
    outputs, inputs, *_ = weight.const_value.shape.numpy()
    return bool(conv.attributes.get_int("group", 1) == 1 and outputs < inputs)


def _split(graph: ir.Graph, together: ir.Node, conv: ir.Node) -> None:
    import onnx_ir as ir

    before, rest = together.inputs
    weight, name, total = conv.inputs[1], str(conv.name), conv.outputs[0]
    assert before is not None
    assert before.shape is not None
    assert weight is not None
    assert weight.const_value is not None
    count = int(before.shape.numpy()[1])
    of_cache, of_rest = (
        constant_of(graph, f"{weight.name}.{part}", array)
        for part, array in zip(
            ("of_cache", "of_rest"), np.split(weight.const_value.numpy(), [count], axis=1), strict=True
        )
    )
    attributes = tuple(conv.attributes.values())
    cached = ir.Node("", "Conv", [before, of_cache], attributes, name=f"{name}.of_cache")
    others = ir.Node("", "Conv", [rest, of_rest, *conv.inputs[2:]], attributes, name=name)
    # In this order: the plugin lets the second one add to the first one's result.
    both = ir.Node("", "Add", [cached.outputs[0], others.outputs[0]], name=f"{name}.sum")
    for node in (cached, others, both):
        node.outputs[0].name = f"{node.name}.out"
        node.outputs[0].type, node.outputs[0].shape = total.type, total.shape
    ir.convenience.replace_nodes_and_values(
        graph, conv, [conv], [cached, others, both], [total], both.outputs
    )


def constant_of(graph: ir.Graph, name: str, array: np.ndarray) -> ir.Value:
    """An initializer that was not there before."""
    import onnx_ir as ir

    tensor = ir.tensor(np.ascontiguousarray(array), name=name)
    value = ir.Value(
        name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=ir.Shape(array.shape)
    )
    graph.register_initializer(value)
    return value
