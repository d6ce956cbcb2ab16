"""Maxima and averages over time, height and width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import onnx_ir as ir

from edgevid.targets.tvm.axes import FRAMES, VOLUME, matches
from edgevid.targets.tvm.network import Frames, Pool
from edgevid.targets.tvm.reading.state import State
from edgevid.targets.tvm.reading.values import Value
from edgevid.targets.tvm.reading.windows import triple, window

__all__ = ["pool", "reduce"]

_KINDS: dict[str, Literal["max", "average"]] = {
    "MaxPool": "max",
    "GlobalMaxPool": "max",
    "ReduceMax": "max",
    "AveragePool": "average",
    "GlobalAveragePool": "average",
    "ReduceMean": "average",
}


def pool(state: State, node: ir.Node) -> Value | None:
    """Over windows, or over everything."""
    view = state.view(node)
    if view is None or len(node.outputs) != 1:
        return None
    volume = len(view.axes) == 5
    axes = VOLUME if volume else FRAMES
    if not matches(view.axes, axes, view.sizes):
        return None
    view, kind = state.ready(view), _KINDS[node.op_type]
    f, shape = view.frames, state.shape(node)
    everything = (f.segments, f.height, f.width)[0 if volume else 1 :]
    kernel: Sequence[int] = everything
    if not node.op_type.startswith("Global"):
        kernel = node.attributes.get_ints("kernel_shape")
    around = window(node, kernel, everything, shape[2:])
    if max(around.dilations) > 1:
        return None
    target = replace(f, segments=shape[2] if volume else f.segments, height=shape[-2], width=shape[-1])
    operation = Pool(
        kind,
        f,
        target if kind == "max" else replace(target, dtype="float32", quantization=None),
        triple(kernel, 1),
        around.strides,
        around.pads,
        node.attributes.get_int("count_include_pad", 0) == 1,
        around.ends,
    )
    return state.frames(operation, [view.name], str(node.name), axes)


def reduce(state: State, node: ir.Node) -> Value | None:
    """Over whole axes: height and width, time, or all three."""
    view, given = state.view(node), state.constant(node, 1)
    chosen = node.attributes.get_ints("axes", ()) if given is None else given.reshape(-1).tolist()
    if view is None or not chosen:
        return None
    reduced = {int(axis) % len(view.axes) for axis in chosen}
    labels = {label for axis in reduced for label in view.axes[axis] if view.sizes[label] > 1}
    if not labels <= {"t", "h", "w"}:
        return None
    view, kind = state.ready(view), _KINDS[node.op_type]
    f = view.frames
    kernel = (
        f.segments if "t" in labels else 1,
        f.height if "h" in labels else 1,
        f.width if "w" in labels else 1,
    )
    keep = node.attributes.get_int("keepdims", 1)
    axes = tuple(
        () if index in reduced else axis
        for index, axis in enumerate(view.axes)
        if keep or index not in reduced
    )
    target = Frames(
        f.clips, f.segments // kernel[0], f.channels, f.height // kernel[1], f.width // kernel[2], f.block
    )
    if kind == "max":
        target = replace(target, dtype=f.dtype, quantization=f.quantization)
    operation = Pool(kind, f, target, kernel, kernel, (0, 0, 0))
    return state.frames(operation, [view.name], str(node.name), axes)
