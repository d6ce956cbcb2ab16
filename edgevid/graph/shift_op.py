"""``edgevid::Shift``: the shift as one ONNX operation with a local function as its body.

The spec stands in the node's attributes (``segments``, ``moves``, ``layout``). Runtimes that
know nothing of edgevid but do read local functions (ONNX Runtime, onnx's reference evaluator)
run the canonical graph unchanged; the functions are told apart by their ``overload``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir
from onnx_ir import tape

from edgevid.errors import GraphError, ShiftError
from edgevid.shift import Layout, ShiftSpec

__all__ = [
    "DOMAIN",
    "OPSET",
    "SHIFT",
    "attach_functions",
    "replace_specs",
    "shift_nodes",
    "spec_attributes",
    "spec_of",
    "zero_point_of",
]

DOMAIN = "edgevid"
SHIFT = "Shift"
OPSET = 20
"""The opset that is exported. onnx's own default is newer than ONNX Runtime reads."""

_END = np.iinfo(np.int64).max


def shift_nodes(model: ir.Model) -> list[ir.Node]:
    """All shifts of a canonical graph in topological order."""
    return [node for node in model.graph if node.domain == DOMAIN and node.op_type == SHIFT]


def spec_attributes(spec: ShiftSpec) -> dict[str, int | Sequence[int] | str]:
    """The attributes of a Shift node."""
    return {"segments": spec.segments, "moves": list(spec.flat), "layout": spec.layout.value}


def spec_of(node: ir.Node) -> ShiftSpec:
    """The spec in the attributes of a Shift node.

    Raises:
        GraphError: attributes are missing, or no shift; the message names the node.
    """
    try:
        return ShiftSpec.from_flat(
            node.attributes["segments"].as_int(),
            node.attributes["moves"].as_ints() if "moves" in node.attributes else (),
            node.attributes["layout"].as_string(),
        )
    except ShiftError as error:
        raise GraphError(
            f"the attributes of an edgevid::Shift node are no shift: {error.what}", where=node.name
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise GraphError("an edgevid::Shift node without its attributes", where=node.name) from error


def zero_point_of(node: ir.Node) -> int:
    """What comes in from outside: 0, or the zero point of a quantized tensor."""
    return node.attributes.get_int("zero_point", 0)


def replace_specs(model: ir.Model, change: Callable[[ShiftSpec], ShiftSpec]) -> ir.Model:
    """A copy of a canonical graph with ``change`` applied to the spec of every shift."""
    changed = model.clone()
    for node in shift_nodes(changed):
        node.attributes["moves"] = ir.AttrInt64s("moves", change(spec_of(node)).flat)
    attach_functions(changed)
    return changed


def attach_functions(model: ir.Model) -> None:
    """Give every shift the overload of its spec, and the model one function a distinct spec."""
    for identifier in [key for key in model.functions if key[:2] == (DOMAIN, SHIFT)]:
        del model.functions[identifier]
    for node in shift_nodes(model):
        spec, zero = spec_of(node), zero_point_of(node)
        told = f"{spec}, zero point {zero}" if zero else str(spec)
        node.overload = hashlib.sha256(told.encode()).hexdigest()[:12]
        if (DOMAIN, SHIFT, node.overload) not in model.functions:
            function = _function(spec, node.overload, zero)
            model.functions[function.identifier()] = function
    model.opset_imports[DOMAIN] = 1
    model.ir_version = 10


def _function(spec: ShiftSpec, overload: str, zero: int) -> ir.Function:
    """The body: knows T, but neither the batch nor the channels, rows and columns."""
    frames = ir.Value(name="x")
    steps = tape.Tape()

    def ints(*values: int) -> ir.Value:
        return steps.op("Constant", [], {"value": ir.tensor(np.array(values, np.int64))})

    def scalar(value: int) -> ir.Value:
        return steps.op("Constant", [], {"value": ir.tensor(np.array(value, np.int64))})

    volume, channel_axis = frames, 1
    shape = steps.op("Shape", [frames])
    if spec.layout is Layout.FRAMES:
        rest = steps.op("Slice", [shape, ints(1), ints(4)])
        clip = steps.op("Concat", [ints(-1, spec.segments), rest], {"axis": 0})
        volume, channel_axis = steps.op("Reshape", [frames, clip]), 2
    axes = (1, 3, 4) if spec.layout is Layout.FRAMES else (2, 3, 4)

    parts = []
    for start, stop, displacement in spec.pieces(spec.channels_needed):
        part = steps.op("Slice", [volume, ints(start), ints(stop), ints(channel_axis)])
        begins, ends, starts, stops = [0] * 5, [0] * 5, [0] * 5, [_END] * 5
        for axis, step in zip(axes, displacement, strict=True):
            begins[axis], ends[axis] = max(step, 0), max(-step, 0)
            starts[axis], stops[axis] = max(-step, 0), -step if step > 0 else _END
        if any(displacement):
            filling = [steps.op("CastLike", [scalar(zero), part])] if zero else []
            padded = steps.op("Pad", [part, ints(*begins, *ends), *filling])
            part = steps.op("Slice", [padded, ints(*starts), ints(*stops)])
        parts.append(part)
    parts.append(steps.op("Slice", [volume, ints(spec.channels_needed), ints(_END), ints(channel_axis)]))
    moved = steps.op("Concat", parts, {"axis": channel_axis})
    shifted = steps.op("Reshape", [moved, shape])
    shifted.name = "y"

    graph = ir.Graph(
        [frames], [shifted], nodes=steps.nodes, opset_imports={"": OPSET}, name=f"shift_{overload}"
    )
    attributes = [
        ir.Attr(name, kind, None)
        for name, kind in (
            ("segments", ir.AttributeType.INT),
            ("moves", ir.AttributeType.INTS),
            ("layout", ir.AttributeType.STRING),
            *((("zero_point", ir.AttributeType.INT),) if zero else ()),
        )
    ]
    return ir.Function(DOMAIN, SHIFT, overload, graph=graph, attributes=attributes)
