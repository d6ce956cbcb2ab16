"""Normalize frames as they lie in memory: rows of pixels, whose colours stand side by side.

The graph brings the colours into planes first, as networks are written (`edgevid.graph.prelude`). OpenVINO
computes with the channels last, so it would turn every frame around, normalize it, and turn it back:
a twentieth of a frame's time in MobileNetV2. Arithmetic on a row of all its colours is the same, and wide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["normalize_rows"]

_PLANES = [0, 1, 4, 2, 3]
"""From [N, T, H, W, C] to [N, T, C, H, W]."""
_VOLUME = [0, 2, 1, 3, 4]
"""From there to [N, C, T, H, W]."""


def normalize_rows(graph: ir.Model) -> ir.Model:
    """A copy of a graph in plain operations in which planes are made behind the normalization.

    Graphs that begin otherwise come back as they are.
    """
    changed = graph.clone()
    for node in list(changed.graph):
        found = _prelude_of(node)
        if found is not None:
            _rewrite(changed.graph, found)
    return changed


@dataclass(frozen=True)
class _Prelude:
    """Operations from the transposition to the last one of the normalization, and those that read that."""

    nodes: list[ir.Node]
    users: list[ir.Node]


def _prelude_of(node: ir.Node) -> _Prelude | None:
    import onnx_ir as ir

    if node.op_type != "Transpose" or list(node.attributes.get_ints("perm") or ()) != _PLANES:
        return None
    clips = node.inputs[0]
    if (
        clips is None
        or clips.dtype != ir.DataType.UINT8
        or clips.shape is None
        or not clips.shape.is_static()
    ):
        return None
    colours = clips.shape.numpy()[-1]
    nodes = [node]
    for kind in ("Cast", "Sub", "Mul"):
        users = [use.node for use in nodes[-1].outputs[0].uses()]
        if len(users) == 1 and users[0].op_type == kind and _is_of_colours(users[0], colours):
            nodes.append(users[0])
        elif kind == "Cast":
            return None
    users = [use.node for use in nodes[-1].outputs[0].uses()]
    if not users or not all(_makes_frames(user) or _makes_volumes(user) for user in users):
        return None
    if any(value.is_graph_output() for each in (*nodes, *users) for value in each.outputs):
        return None
    return _Prelude(nodes, users)


def _is_of_colours(node: ir.Node, colours: int) -> bool:
    """A cast to float32, or arithmetic with one constant a colour."""
    import onnx_ir as ir

    if node.op_type == "Cast":
        return node.attributes.get_int("to", 0) == ir.DataType.FLOAT.value
    constant = None if node.inputs[1] is None else node.inputs[1].const_value
    return constant is not None and list(constant.shape.numpy()) == [colours, 1, 1]


def _makes_frames(node: ir.Node) -> bool:
    """[N, T, C, H, W] to [N * T, C, H, W]."""
    if node.op_type != "Reshape" or node.inputs[0] is None:
        return False
    before, after = node.inputs[0].shape, node.outputs[0].shape
    if before is None or after is None or not after.is_static():
        return False
    n, t, *rest = before.numpy()
    return list(after.numpy()) == [n * t, *rest]


def _makes_volumes(node: ir.Node) -> bool:
    return node.op_type == "Transpose" and list(node.attributes.get_ints("perm") or ()) == _VOLUME


def _rewrite(graph: ir.Graph, prelude: _Prelude) -> None:
    import onnx_ir as ir
    from onnx_ir import tape

    planes, *arithmetic = prelude.nodes
    clips = planes.inputs[0]
    assert clips is not None
    assert clips.shape is not None
    n, t, height, width, colours = (int(size) for size in clips.shape.numpy())
    steps = tape.Tape()

    def constant(values: np.ndarray, name: str) -> ir.Value:
        tensor = ir.tensor(values)
        value = ir.Value(
            name=f"{planes.name}.{name}",
            const_value=tensor,
            type=ir.TensorType(tensor.dtype),
            shape=ir.Shape(values.shape),
        )
        graph.register_initializer(value)
        return value

    def shaped(value: ir.Value, sizes: list[int], name: str) -> ir.Value:
        return steps.op("Reshape", [value, constant(np.array(sizes), f"{name}.sizes")])

    rows = shaped(clips, [n, t, height, width * colours], "rows")
    for node in arithmetic:
        inputs = [rows]
        if node.op_type != "Cast":
            assert node.inputs[1] is not None
            assert node.inputs[1].const_value is not None
            each = node.inputs[1].const_value.numpy().reshape(colours)
            inputs.append(constant(np.tile(each, width), f"{node.op_type}.row"))
        attributes = {"to": ir.DataType.FLOAT.value} if node.op_type == "Cast" else {}
        rows = steps.op(node.op_type, inputs, attributes, name=f"{node.name}.rows")
    for number, user in enumerate(prelude.users):
        # A volume is turned as one tall frame: the plugin is quick at turning images, not volumes.
        sizes = [n, t * height, width, colours] if _makes_volumes(user) else [n * t, height, width, colours]
        pixels = shaped(rows, sizes, f"pixels{number}")
        turned = steps.op("Transpose", [pixels], {"perm": [0, 3, 1, 2]}, name=f"{user.name}.turned")
        if _makes_volumes(user):
            turned = shaped(turned, [n, colours, t, height, width], f"volume{number}")
        turned.type, turned.shape = user.outputs[0].type, user.outputs[0].shape
        ir.convenience.replace_all_uses_with(user.outputs[0], turned)
    for number, node in enumerate(steps.nodes):
        node.name = node.name or f"{planes.name}.step{number}"
        node.outputs[0].name = f"{node.name}.out"
    graph.insert_before(planes, steps.nodes)
    for node in (*prelude.users, *reversed(prelude.nodes)):
        graph.remove(node, safe=True)
