"""Clips apart: compute each clip of a batch by itself, one after the other.

In a layout blocked by channels a group of channels of [N,C,T,H,W] is one piece of memory only where
N is 1. A batch that is taken apart keeps that, at no cost: the weights are shared, and a clip
of several frames fills a processor as well as a batch of clips does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir
from onnx_ir import tape

__all__ = ["compute_clips_apart"]


def compute_clips_apart(model: ir.Model, begins: Sequence[ir.Value]) -> bool:
    """Write, in place, each region on volumes once a clip.

    Requires:
        What `edgevid.graph.volume.frames_to_volume` made, and the volumes ``[N,C,T,H,W]`` that it
        returned: regions that end at means over rows and columns; static shapes.

    Ensures:
        The same numbers at every output; inside the regions N is 1. One clip is not touched.

    Returns:
        Whether there was a batch to be taken apart.
    """
    inside: dict[ir.Node, None] = {}
    ends: list[ir.Node] = []
    volumes = set(begins)
    for node in model.graph:
        if any(value in volumes for value in node.inputs):
            if node.op_type == "ReduceMean":
                ends.append(node)
            else:
                inside[node] = None
                volumes.update(node.outputs)
    clips = {_first_axis(value) for value in begins}
    if len(clips) != 1 or clips == {1}:
        return False
    (count,) = clips
    parts = {begin: _split(model.graph, begin, count) for begin in begins}
    copies: list[dict[ir.Value, ir.Value]] = []
    steps: list[ir.Node] = []
    for clip in range(count):
        mapped = {value: pieces[clip] for value, pieces in parts.items()}
        steps.extend(_copy(node, mapped, clip, count) for node in (*inside, *ends))
        copies.append(mapped)
    for end in ends:
        joined = [mapped[end.outputs[0]] for mapped in copies]
        steps.append(_join(end, joined))
    _replace(model.graph, [*inside, *ends], ends, steps)
    return True


def _first_axis(value: ir.Value) -> int:
    assert value.shape is not None
    size = value.shape[0]
    assert isinstance(size, int)
    return size


def _split(graph: ir.Graph, volume: ir.Value, count: int) -> list[ir.Value]:
    begin = volume.producer()
    assert begin is not None
    assert volume.shape is not None
    sizes = _initializer(graph, f"{volume.name}.clips", np.ones(count, np.int64))
    pieces = [
        ir.Value(
            name=f"{volume.name}.clip{clip}", type=volume.type, shape=ir.Shape([1, *volume.shape.numpy()[1:]])
        )
        for clip in range(count)
    ]
    node = ir.Node(
        "", "Split", [volume, sizes], [ir.AttrInt64("axis", 0)], outputs=pieces, name=f"{begin.name}.clips"
    )
    graph.insert_after(begin, node)
    return pieces


def _copy(node: ir.Node, mapped: dict[ir.Value, ir.Value], clip: int, count: int) -> ir.Node:
    """``node`` for one clip, whose values it adds to ``mapped``."""
    outputs = []
    for value in node.outputs:
        shape = None
        if value.shape is not None:
            first, *rest = value.shape.numpy()
            shape = ir.Shape([first // count, *rest])
        piece = ir.Value(name=f"{value.name}.clip{clip}", type=value.type, shape=shape)
        mapped[value] = piece
        outputs.append(piece)
    return ir.Node(
        node.domain,
        node.op_type,
        [_of_clip(value, mapped) for value in node.inputs],
        list(node.attributes.values()),
        overload=node.overload,
        outputs=outputs,
        name=f"{node.name}.clip{clip}",
    )


def _of_clip(value: ir.Value | None, mapped: Mapping[ir.Value, ir.Value]) -> ir.Value | None:
    return None if value is None else mapped.get(value, value)


def _join(end: ir.Node, pieces: list[ir.Value]) -> ir.Node:
    steps = tape.Tape()
    output = end.outputs[0]
    joined = steps.op("Concat", pieces, {"axis": 0}, name=f"{end.name}.clips")
    joined.name, joined.type, joined.shape = f"{output.name}.clips", output.type, output.shape
    (node,) = steps.nodes
    return node


def _replace(graph: ir.Graph, old: list[ir.Node], ends: list[ir.Node], steps: list[ir.Node]) -> None:
    joins = steps[-len(ends) :]
    graph.insert_before(ends[0], steps)
    for end, join in zip(ends, joins, strict=True):
        ir.convenience.replace_all_uses_with(end.outputs[0], join.outputs[0], replace_graph_outputs=True)
    graph.remove(old, safe=True)
    graph.sort()


def _initializer(graph: ir.Graph, name: str, array: np.ndarray) -> ir.Value:
    tensor = ir.tensor(array, name=name)
    value = ir.Value(
        name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=ir.Shape(array.shape)
    )
    graph.register_initializer(value)
    return value
