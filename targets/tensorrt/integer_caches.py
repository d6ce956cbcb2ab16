"""Keep caches in bytes where all that reads them does.

A shift moves numbers, so that it does not matter whether they are rounded to bytes before they are kept or
when they are read: their scale is the same. Kept as bytes they take a quarter of the memory, and rounding
them once more changes nothing, since what bytes stand for is rounded to the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir
from onnx_ir import tape

from edgevid.targets.tensorrt.cache_tensors import caches_of
from edgevid.targets.tensorrt.float_moves import MOVING

__all__ = ["with_integer_caches"]

_FLOAT = ir.DataType.FLOAT


def with_integer_caches(graph: ir.Model) -> ir.Model:
    """A copy in which float32 caches that are only quantized, all by one scale, are int8.

    A graph that takes clips, or in float, stays as it is.
    """
    changed = graph.clone()
    pairs = caches_of(changed)
    following = {after: given for given, after in pairs}
    roundings = [_rounding(given, following) for given, _ in pairs]
    for (given, after), rounding in zip(pairs, roundings, strict=True):
        if rounding is not None:
            _keep_bytes(changed.graph, given, after, rounding)
    return changed


def _rounding(given: ir.Value, following: Mapping[ir.Value, ir.Value]) -> ir.Node | None:
    """The QuantizeLinear that all that is made of a cache goes through; None if something else reads it."""
    if given.dtype != _FLOAT:
        return None
    found: list[ir.Node] = []
    seen, left = {given}, [given]
    while left:
        value = left.pop()
        reached = [following[value]] if value in following else []
        if value.is_graph_output() and not reached:
            return None
        for use in value.uses():
            if use.node.op_type == "QuantizeLinear" and use.idx == 0:
                found.append(use.node)
            elif use.node.op_type in MOVING and not use.node.domain:
                reached += use.node.outputs
            else:
                return None
        left += [each for each in reached if each not in seen]
        seen.update(reached)
    scales = {_scale(node) for node in found}
    return found[0] if len(scales) == 1 and None not in scales else None


def _scale(node: ir.Node) -> float | None:
    """Of symmetric bytes; None of others."""
    if len(node.inputs) < 3:
        return None
    scale, zero = (
        None if value is None else ir.convenience.get_const_tensor(value) for value in node.inputs[1:3]
    )
    if scale is None or zero is None or scale.size != 1:
        return None
    symmetric = zero.dtype == ir.DataType.INT8 and not zero.numpy().any()
    return float(scale.numpy().reshape(())) if symmetric else None


def _keep_bytes(graph: ir.Graph, given: ir.Value, after: ir.Value, rounding: ir.Node) -> None:
    parameters = list(rounding.inputs[1:])
    kind = ir.TensorType(ir.DataType.INT8)
    kept = ir.Value(name=given.name, type=kind, shape=given.shape)
    steps = tape.Tape()
    restored = steps.op("DequantizeLinear", [kept, *parameters], name=f"{given.name}.restored")
    restored.name, restored.type, restored.shape = f"{given.name}.floats", given.type, given.shape
    ir.convenience.replace_all_uses_with(given, restored)
    graph.insert_before(graph[0], steps.nodes)
    graph.inputs[graph.inputs.index(given)] = kept

    name = after.name
    steps = tape.Tape()
    rounded = steps.op("QuantizeLinear", [after, *parameters], name=f"{name}.rounded")
    after.name = f"{name}.floats"
    rounded.name, rounded.type, rounded.shape = name, kind, after.shape
    graph.outputs[graph.outputs.index(after)] = rounded
    maker = after.producer()
    assert maker is not None
    graph.insert_after(maker, steps.nodes)
