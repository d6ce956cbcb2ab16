"""The input and output of a foreign graph as ours have them.

Ours take ``frames`` float32 ``[N, T, 3, H, W]`` and return ``logits`` float32 ``[N, classes]``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from onnx_ir import tape
from onnx_ir.passes import common as passes

from edgevid.errors import ConfigError, GraphError
from edgevid.graph.clip_input import ClipInput, ClipLayout
from edgevid.graph.place import place

__all__ = ["Logits", "with_frames", "with_logits", "with_one_output"]

_RESHAPES = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})
_OURS = re.compile(r"clips|frames|logits|normalization\.|shift|split\d|decimate\d")
"""Beginnings of names that edgevid gives to values."""


@dataclass(frozen=True)
class Logits:
    """A graph with the output ``logits``, and what had to be done for it.

    Attributes:
        model: the graph.
        averaged: the file gives an answer for each frame; their mean was added.
        softmax: the file ends in a Softmax; it was left out.
    """

    model: ir.Model
    averaged: bool
    softmax: bool


def with_one_output(model: ir.Model, name: str | None = None) -> ir.Model:
    """A copy of ``model`` with the output ``name``, or its only one, and the inputs that it needs.

    Raises:
        ConfigError: there are several outputs, or none of that name.
    """
    changed = model.clone()
    changed.meta.update(model.meta)
    outputs = {str(value.name): value for value in changed.graph.outputs}
    known = ", ".join(outputs) or "none"
    if name is not None and name not in outputs:
        raise ConfigError(f"no output {name!r}", where=place(model), fix=f"the outputs are {known}")
    if name is None and len(outputs) != 1:
        raise ConfigError(
            f"{len(outputs)} outputs: {known}", where=place(model), fix="choose one by --output-name"
        )
    if len(outputs) > 1:
        kept = outputs[str(name)]
        changed.graph.outputs.clear()
        changed.graph.outputs.append(kept)
        passes.RemoveUnusedNodesPass()(changed)
    inputs = list(changed.graph.inputs)
    used = [value for value in inputs if value.uses() or value.is_graph_output()]
    changed.graph.inputs.clear()
    changed.graph.inputs.extend(used or inputs[:1])
    return changed


def with_frames(model: ir.Model, clip: ClipInput) -> ir.Model:
    """A copy of a standardized ``model`` that takes ``frames`` ``[N, T, 3, H, W]``.

    What the graph itself first does to the shape of its input is joined with what is added, so
    that a graph which stacks its frames does it in one Reshape, as ours do.

    Requires:
        The input has the static shape ``clip.shape(N)``.
    """
    changed = model.clone()
    graph = changed.graph
    _free_our_names(graph)
    (old,) = graph.inputs
    batch = _static(old, "input")[0] // clip.shape(1)[0]
    shape = [batch, clip.segments, 3, clip.size, clip.size]
    frames = ir.Value(name="frames", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(shape))
    graph.inputs[0] = frames
    if clip.layout is ClipLayout.VOLUME:
        _transpose_input(graph, old, frames)
    else:
        _reshape_input(graph, old, frames)
    passes.RemoveUnusedNodesPass()(changed)
    return changed


def with_logits(model: ir.Model, segments: int) -> Logits:
    """A copy of ``model`` that returns ``logits`` ``[N, classes]``.

    Answers of each frame, ``[N*T, classes]`` or ``[N, T, classes]``, are averaged over the
    clip's frames as in TSN (Wang et al., ECCV 2016, eq. 1). A Softmax at the end is left out,
    since whoever reads logits applies his own.

    Requires:
        The input ``frames`` ``[N, T, 3, H, W]``; static shapes.

    Raises:
        GraphError: the output has another shape.
    """
    changed = model.clone()
    graph = changed.graph
    batch = _static(graph.inputs[0], "input")[0]
    value = graph.outputs[0]
    shape = _static(value, "output")
    producer = value.producer()
    softmax = producer is not None and _is_softmax(producer, len(shape))
    if producer is not None and softmax:
        given = producer.inputs[0]
        assert given is not None
        value = given
    *before, classes = shape
    per_frame = before in ([batch, segments], [batch * segments]) and segments > 1
    if not per_frame and before not in ([batch], [batch, 1]):
        raise GraphError(
            f"the output {shape} is not [N, classes] for {batch} clip(s) of {segments} frames",
            where=graph.outputs[0].name,
            fix="choose another output by --output-name, or export the network with class scores",
        )
    steps = tape.Tape(graph)

    def step(kind: str, *constants: int, sizes: Sequence[int], **attributes: int) -> ir.Value:
        inputs = [value, _ints(graph, f"logits.{kind}.constants", constants)]
        result = steps.op(kind, inputs, attributes, name=f"logits.{kind}")
        result.name = f"logits.{kind}.out"
        result.type, result.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape(sizes)
        return result

    if per_frame:
        frames = (batch, segments, classes)
        value = step("Reshape", *frames, sizes=frames) if len(before) == 1 else value
        value = step("ReduceMean", 1, sizes=(batch, classes), keepdims=0)
    elif len(before) == 2:
        value = step("Reshape", batch, classes, sizes=(batch, classes))
    value.name = "logits"
    graph.outputs[0] = value
    passes.RemoveUnusedNodesPass()(changed)
    return Logits(changed, per_frame, softmax)


def _reshape_input(graph: ir.Graph, given: ir.Value, frames: ir.Value) -> None:
    """Make each value that is ``given`` in another shape by one Reshape of ``frames``."""
    same = {given: None}
    for node in graph:
        if node.op_type in _RESHAPES and not node.domain and node.inputs[0] in same:
            same[node.outputs[0]] = None
    for value in same:
        if value is frames:
            continue
        replacement = frames
        if value.shape != frames.shape:
            name = f"frames.{value.name}"
            sizes = _ints(graph, f"{name}.sizes", _static(value, "reshaped input"))
            replacement = _first_step(graph, ir.node("Reshape", [frames, sizes], name=name), value)
        ir.convenience.replace_all_uses_with(value, replacement, replace_graph_outputs=True)


def _transpose_input(graph: ir.Graph, given: ir.Value, frames: ir.Value) -> None:
    """Put a Transpose before ``given``, or take one away that undoes it."""
    swap = [0, 2, 1, 3, 4]
    for node in [use.node for use in given.uses()]:
        if node.op_type == "Transpose" and list(node.attributes.get_ints("perm", ())) == swap:
            ir.convenience.replace_all_uses_with(node.outputs[0], frames, replace_graph_outputs=True)
    _reshape_input(graph, frames, frames)
    volume = _first_step(graph, ir.node("Transpose", [frames], {"perm": swap}, name="frames.volume"), given)
    ir.convenience.replace_all_uses_with(given, volume, replace_graph_outputs=True)


def _first_step(graph: ir.Graph, node: ir.Node, like: ir.Value) -> ir.Value:
    """Insert ``node`` before all others; its result has the type and shape of ``like``."""
    first = next(iter(graph), None)
    if first is None:
        graph.append(node)
    else:
        graph.insert_before(first, node)
    (result,) = node.outputs
    result.name, result.type, result.shape = f"{node.name}.out", like.type, like.shape
    return result


def _is_softmax(node: ir.Node, rank: int) -> bool:
    """Over the classes, that is the last axis."""
    return (
        node.op_type == "Softmax"
        and not node.domain
        and node.attributes.get_int("axis", -1) in (-1, rank - 1)
    )


def _free_our_names(graph: ir.Graph) -> None:
    """Rename values of the file whose names edgevid gives to its own."""
    values = [*graph.initializers.values(), *(value for node in graph for value in node.outputs)]
    taken = {value.name for value in values}
    for value in values:
        if value.name and _OURS.match(value.name):
            number = 0
            while (free := f"file{number or ''}.{value.name}") in taken:
                number += 1
            taken.add(free)
            value.name = free


def _ints(graph: ir.Graph, name: str, values: Sequence[int]) -> ir.Value:
    tensor = ir.tensor(np.array(values, np.int64), name=name)
    value = ir.Value(
        name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=ir.Shape([len(values)])
    )
    graph.register_initializer(value)
    return value


def _static(value: ir.Value, kind: str) -> list[int]:
    if value.shape is None or not value.shape.is_static():
        raise GraphError(f"the {kind} has shape {value.shape}, not a static one", where=value.name)
    return [int(size) for size in value.shape.numpy()]
