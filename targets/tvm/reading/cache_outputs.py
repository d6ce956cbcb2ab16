"""What a streaming graph returns for each of its caches, and whether it stands for integers."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgevid.targets.tvm.network import DType, Quantization
from edgevid.targets.tvm.reading.state import State

__all__ = ["Integers", "integers_of", "joined", "newest"]

_MOVING = frozenset(
    {"Concat", "DequantizeLinear", "Identity", "MaxPool", "Reshape", "Shift", "Slice", "Transpose"}
    | {"Where"}
)
"""What takes numbers from one place to another, or stands for the same ones."""

Integers = tuple[DType, Quantization]
"""A type in memory, and what its numbers stand for."""


def joined(output: ir.Value) -> ir.Node | None:
    """The Concat along time of which a cache of several frames comes."""
    node = output.producer()
    joins = node is not None and node.op_type == "Concat" and node.attributes.get_int("axis", 0) == 0
    return node if joins else None


def newest(output: ir.Value) -> ir.Value:
    """What becomes the newest frame of the cache that an output replaces."""
    node, place = output.producer(), None
    if node is not None and joined(output) is node:
        place = 1
    elif node is not None and node.op_type == "Identity":
        place = 0
    found = output if node is None or place is None else node.inputs[place]
    assert found is not None
    return found


def integers_of(
    state: State, value: ir.Value | None, known: dict[ir.Value, Integers | None]
) -> Integers | None:
    """The type and scale of the integers that a value is, or that all of its real numbers stand for."""
    if value is None:
        return None
    if value not in known:
        known[value] = None  # while it is looked for
        known[value] = _found(state, value, known)
    return known[value]


def _found(state: State, value: ir.Value, known: dict[ir.Value, Integers | None]) -> Integers | None:
    node, inputs = value.producer(), list(state.model.graph.inputs)
    if node is None:
        outputs = list(state.model.graph.outputs)
        # There is one output fewer if there are gates.
        place = inputs.index(value) + len(outputs) - len(inputs) if value in inputs else 0
        return integers_of(state, newest(outputs[place]), known) if place > 0 else None
    if node.op_type == "QuantizeLinear":
        scale, zero = state.constant(node, 1), state.constant(node, 2)
        if scale is None or zero is None or scale.size != 1:
            return None
        dtype: DType = "int8" if zero.dtype == np.int8 else "uint8"
        return dtype, Quantization(float(scale.reshape(-1)[0]), int(zero.reshape(-1)[0]))
    if node.op_type not in _MOVING:
        return None
    parts = node.inputs if node.op_type == "Concat" else [node.inputs[1 if node.op_type == "Where" else 0]]
    found = {integers_of(state, part, known) for part in parts}
    return found.pop() if len(found) == 1 else None
