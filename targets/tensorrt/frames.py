"""Frames of bytes: TensorRT 8 takes none, and later ones do nothing with them but cast them to floats.

Source: TensorRT documentation, "Types and precision": UInt8 is for inputs and outputs of the network alone.
"""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir import tape

from edgevid.errors import GraphError

__all__ = ["cast_first", "take_floats"]

_MOVING = frozenset({"Concat", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze"})
_MOVING |= {"Transpose", "Unsqueeze"}
"""What may stand between uint8 frames and the Cast that makes numbers of them."""

_BYTES, _FLOATS = ir.TensorType(ir.DataType.UINT8), ir.TensorType(ir.DataType.FLOAT)


def cast_first(graph: ir.Model) -> ir.Model:
    """A copy in which uint8 inputs are cast to float32 before anything else is done with them.

    Raises:
        GraphError: something is computed with bytes.
    """
    changed = graph.clone()
    names = [value.name for value in changed.graph.inputs if value.type == _BYTES]
    take_floats(changed)
    for index, value in enumerate(list(changed.graph.inputs)):
        if value.name not in names:
            continue
        frames = ir.Value(name=value.name, type=_BYTES, shape=value.shape)
        steps = tape.Tape()
        cast = steps.op("Cast", [frames], {"to": ir.DataType.FLOAT.value}, name=f"{value.name}.cast")
        cast.name, cast.type, cast.shape = f"{value.name}.floats", _FLOATS, value.shape
        ir.convenience.replace_all_uses_with(value, cast)
        changed.graph.insert_before(changed.graph[0], steps.nodes)
        changed.graph.inputs[index] = frames
    return changed


def take_floats(model: ir.Model) -> None:
    """Replace, in place, uint8 inputs by float32 ones that hold the same numbers, and leave out their Casts.

    Raises:
        GraphError: something is computed with bytes.
    """
    moved = [value for value in model.graph.inputs if value.type == _BYTES]
    while moved:
        value = moved.pop()
        value.type = _FLOATS
        for node, _ in list(value.uses()):
            if node.op_type in _MOVING and not node.domain:
                moved += [output for output in node.outputs if output.type == _BYTES]
            elif node.op_type == "Cast":
                _drop_cast(model, node, value)
            else:
                raise GraphError(
                    f"{node.op_type} reads uint8, which TensorRT only casts",
                    where=node.name,
                    fix="cast the frames to float32 first",
                )


def _drop_cast(model: ir.Model, node: ir.Node, value: ir.Value) -> None:
    if node.attributes["to"].as_int() != ir.DataType.FLOAT:
        return
    ir.convenience.replace_all_uses_with(node.outputs[0], value, replace_graph_outputs=True)
    model.graph.remove(node, safe=True)
