"""Write a lowered graph in opset 13, the newest that TensorRT 8.0 to 8.2 read.

onnx's own converter skips local functions and knows no way down for half of the operations, so every
operation is rewritten here, or found to have the same form in both opsets, or refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import onnx_ir as ir
from onnx_ir import tape
from onnx_ir.passes import common as passes

from edgevid.errors import GraphError
from edgevid.targets.tensorrt.frames import take_floats

__all__ = ["IR_VERSION", "OPSET", "as_opset13"]

OPSET, IR_VERSION = 13, 7
"""ir_version 7 belongs to opset 13 (onnx, docs/Versioning.md)."""

_NEUTRAL: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "Cast": {"saturate": 1, "round_mode": 0},
        "QuantizeLinear": {"saturate": 1, "block_size": 0, "output_dtype": 0},
        "DequantizeLinear": {"block_size": 0, "output_dtype": 0},
        "BatchNormalization": {"training_mode": 0},
        "Shape": {"start": 0},
        "LSTM": {"layout": 0},
        "GRU": {"layout": 0},
        "RNN": {"layout": 0},
    }
)
"""Attributes that opset 13 has not, with the value that says what it does."""

_REDUCTIONS = frozenset({"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax"})
_REDUCTIONS |= {"ReduceMean", "ReduceMin", "ReduceProd", "ReduceSumSquare"}


def as_opset13(graph: ir.Model) -> ir.Model:
    """A copy in opset 13 and ir_version 7, whose input is float32 and holds what the uint8 one held.

    Args:
        graph: lowered, opset 20, of static shapes; in float32, or in int8 with Q/DQ pairs.

    Raises:
        GraphError: a local function, a shape that is not static, or an operation that has no form in
            opset 13; the message names the node.
    """
    changed = graph.clone()
    if changed.functions:
        raise GraphError(
            "a graph with local functions cannot be written in opset 13",
            where=", ".join(sorted(identifier[1] for identifier in changed.functions)),
            fix="lower it first: see --lowering",
        )
    take_floats(changed)
    for node in list(changed.graph):
        if node.op_type in _REWRITTEN and not node.domain:
            _REWRITTEN[node.op_type](changed, node)
    for node in changed.graph:
        _drop_neutral(node)
        _check_form(node)
    _check_static(changed)
    changed.opset_imports.clear()
    changed.opset_imports[""] = OPSET
    changed.ir_version = IR_VERSION
    passes.RemoveUnusedNodesPass()(changed)
    return changed


def _check_static(model: ir.Model) -> None:
    for value in (*model.graph.inputs, *model.graph.outputs):
        if value.shape is None or not value.shape.is_static():
            raise GraphError(
                f"the shape {value.shape} is not static",
                where=value.name,
                fix="compile for fixed batch sizes",
            )


def _drop_neutral(node: ir.Node) -> None:
    for name, neutral in _NEUTRAL.get(node.op_type, {}).items():
        if node.attributes.get_int(name, neutral) == neutral:
            node.attributes.pop(name, None)
    if node.op_type in ("AveragePool", "LpPool") and set(node.attributes.get_ints("dilations", (1,))) == {1}:
        node.attributes.pop("dilations", None)


def _check_form(node: ir.Node) -> None:
    """Raise `GraphError` unless opset 13 has this operation with these attributes and types."""
    import onnx

    try:
        schema = onnx.defs.get_schema(node.op_type, OPSET, node.domain)
    except onnx.defs.SchemaError as error:
        raise GraphError(
            f"opset {OPSET} has no {node.domain or 'onnx'}::{node.op_type}",
            where=node.name,
            fix="write it in older operations before it is exported",
        ) from error
    if unknown := sorted(set(node.attributes) - set(schema.attributes)):
        raise GraphError(
            f"{node.op_type} of opset {OPSET} has no {', '.join(unknown)}",
            where=node.name,
            fix="export the network without it",
        )
    if not schema.min_input <= len(node.inputs) <= schema.max_input:
        raise GraphError(
            f"{node.op_type} of opset {OPSET} does not take {len(node.inputs)} inputs", where=node.name
        )
    kinds = {
        constraint.type_param_str: constraint.allowed_type_strs for constraint in schema.type_constraints
    }
    for number, value in enumerate(node.inputs):
        formal = schema.inputs[min(number, len(schema.inputs) - 1)]
        allowed = kinds.get(formal.type_str, [formal.type_str])
        if value is not None and value.dtype is not None and f"tensor({_name(value.dtype)})" not in allowed:
            raise GraphError(
                f"{node.op_type} of opset {OPSET} takes no {_name(value.dtype)}", where=node.name
            )


def _name(kind: ir.DataType) -> str:
    """As onnx's schemas call it."""
    return {"FLOAT": "float", "DOUBLE": "double"}.get(kind.name, kind.name.lower())


def _ints(value: ir.Value | None, node: ir.Node) -> list[int]:
    tensor = None if value is None else ir.convenience.get_const_tensor(value)
    if tensor is None:
        raise GraphError(
            f"{node.op_type} computes its axes or sizes from data",
            where=node.name,
            fix="export it with constant ones",
        )
    return [int(number) for number in tensor.numpy().reshape(-1)]


def _write_reshape(_: ir.Model, node: ir.Node) -> None:
    """Without ``allowzero`` a 0 stands for the size that there is."""
    if node.attributes.get_int("allowzero", 0) and 0 in _ints(node.inputs[1], node):
        raise GraphError("Reshape to a size of 0", where=node.name, fix="leave empty tensors out")
    node.attributes.pop("allowzero", None)


def _write_reduction(_: ir.Model, node: ir.Node) -> None:
    """Axes are an input from opset 18, and an attribute before."""
    if len(node.inputs) < 2:
        return
    axes = [] if node.inputs[1] is None else _ints(node.inputs[1], node)
    if not axes and node.attributes.get_int("noop_with_empty_axes", 0) != 0:
        raise GraphError(f"{node.op_type} of no axes that does nothing", where=node.name, fix="leave it out")
    node.resize_inputs(1)
    node.attributes.pop("noop_with_empty_axes", None)
    if axes:
        node.attributes["axes"] = ir.AttrInt64s("axes", axes)


def _write_split(model: ir.Model, node: ir.Node) -> None:
    """Before opset 18 parts that are given by their number are equal."""
    node.attributes.pop("num_outputs", None)
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        return
    axis = node.attributes.get_int("axis", 0)
    sizes = []
    for output in node.outputs:
        if output.shape is None or not isinstance(output.shape[axis], int):
            raise GraphError("a Split into parts of unknown size", where=node.name)
        sizes.append(int(output.shape.numpy()[axis]))
    node.resize_inputs(2)
    node.replace_input_with(1, _constant(model, f"{node.name}.sizes", np.array(sizes, np.int64)))


def _write_pad(model: ir.Model, node: ir.Node) -> None:
    """Axes are an input from opset 18; before, the pads of all axes are given."""
    if len(node.inputs) < 4:
        return
    value, axes_input = node.inputs[0], node.inputs[3]
    if axes_input is not None:
        assert value is not None
        assert value.shape is not None
        rank = len(value.shape)
        axes, pads = _ints(axes_input, node), _ints(node.inputs[1], node)
        full = [0] * (2 * rank)
        for place, axis in enumerate(axes):
            full[axis % rank] = pads[place]
            full[rank + axis % rank] = pads[len(axes) + place]
        node.replace_input_with(1, _constant(model, f"{node.name}.pads", np.array(full, np.int64)))
    node.resize_inputs(3 if node.inputs[2] is not None else 2)


def _write_hard_swish(model: ir.Model, node: ir.Node) -> None:
    """``x * max(0, min(1, x / 6 + 1 / 2))`` (onnx, HardSwish-14)."""
    value, old = node.inputs[0], node.outputs[0]
    assert value is not None
    steps = tape.Tape()
    gate = steps.op("HardSigmoid", [value], {"alpha": 1 / 6, "beta": 0.5}, name=f"{node.name}.gate")
    gate.name, gate.type, gate.shape = f"{node.name}.gate", old.type, old.shape
    result = steps.op("Mul", [value, gate], name=node.name)
    result.name, result.type, result.shape = old.name, old.type, old.shape
    ir.convenience.replace_nodes_and_values(model.graph, node, [node], steps.nodes, [old], [result])


def _constant(model: ir.Model, name: str, array: np.ndarray) -> ir.Value:
    tensor = ir.tensor(array, name=name)
    value = ir.Value(
        name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=ir.Shape(array.shape)
    )
    model.graph.register_initializer(value)
    return value


_REWRITTEN: Mapping[str, Callable[[ir.Model, ir.Node], None]] = MappingProxyType(
    {
        **dict.fromkeys(_REDUCTIONS, _write_reduction),
        "Reshape": _write_reshape,
        "Split": _write_split,
        "Pad": _write_pad,
        "HardSwish": _write_hard_swish,
    }
)
"""Operations whose form changed after opset 13."""
