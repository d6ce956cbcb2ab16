"""Channels cut, put in another order, and joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import onnx_ir as ir

from edgevid.targets.tvm.axes import without
from edgevid.targets.tvm.network import Channels, Part
from edgevid.targets.tvm.reading.state import State
from edgevid.targets.tvm.reading.values import Value, View

__all__ = ["concatenation", "gather", "slices", "split"]

_MOST_PARTS = 64
"""Beyond that a kernel of one loop a part would be too long."""


def concatenation(state: State, node: ir.Node) -> Value | None:
    """Concat along channels."""
    views = [view for index in range(len(node.inputs)) if (view := state.view(node, index)) is not None]
    if len(views) != len(node.inputs):
        return None
    axis = node.attributes.get_int("axis", 0)
    # Channels that are one may stand nowhere: the others say where they are.
    first = max(views, key=lambda view: view.frames.channels)
    if any(not _is_channels(view, axis) or not _beside(view, first, axis) for view in views):
        return None
    views = [state.ready(view) for view in views]
    if len({(view.frames.dtype, view.frames.quantization) for view in views}) > 1:
        views = [state.ready(view, real=True) for view in views]
    names = list(dict.fromkeys(view.name for view in views))
    parts = tuple(Part(names.index(view.name), 0, view.frames.channels) for view in views)
    of_name = {view.name: view.frames for view in views}
    target = replace(views[0].frames, channels=state.shape(node)[axis])
    operation = Channels(tuple(of_name[name] for name in names), parts, target)
    return state.frames(operation, names, str(node.name), first.axes)


def _beside(view: View, other: View, axis: int) -> bool:
    """Whether two views differ in their channels alone."""
    if len(view.axes) != len(other.axes):
        return False
    left = [
        labels
        for place, labels in enumerate(without(view.axes, view.sizes))
        if place != axis % len(view.axes)
    ]
    right = [
        labels
        for place, labels in enumerate(without(other.axes, other.sizes))
        if place != axis % len(view.axes)
    ]
    return left == right and {**view.sizes, "c": 0} == {**other.sizes, "c": 0}


def _is_channels(view: View, axis: int) -> bool:
    labels = view.axes[axis]
    return labels == ("c",) or (labels == () and view.frames.channels == 1)


def _taken(state: State, view: View, parts: Sequence[Part], name: str) -> View:
    """Some channels of a view."""
    view = state.ready(view)
    target = replace(view.frames, channels=sum(part.stop - part.start for part in parts))
    return state.frames(Channels((view.frames,), tuple(parts), target), [view.name], name, view.axes)


def slices(state: State, node: ir.Node) -> Value | None:
    """Slice of neighbouring channels."""
    view = state.view(node)
    starts, stops, axes, steps = (state.constant(node, index) for index in range(1, 5))
    if view is None or starts is None or stops is None or starts.size != 1:
        return None
    axis = 0 if axes is None else int(axes.reshape(-1)[0])
    step = 1 if steps is None else int(steps.reshape(-1)[0])
    if view.axes[axis] != ("c",) or step != 1:
        return None
    size = view.frames.channels
    start, stop, _ = slice(int(starts.reshape(-1)[0]), int(stops.reshape(-1)[0])).indices(size)
    return None if stop <= start else _taken(state, view, [Part(0, start, stop)], str(node.name))


def split(state: State, node: ir.Node) -> Sequence[Value] | None:
    """Split of channels; outputs that nobody reads are left out."""
    view = state.view(node)
    axis = node.attributes.get_int("axis", 0)
    if view is None or view.axes[axis] != ("c",):
        return None
    found: list[Value] = []
    start = 0
    for index in range(len(node.outputs)):
        stop = start + state.shape(node, index)[axis]
        if node.outputs[index].uses() or node.outputs[index].is_graph_output():
            found.append(_taken(state, view, [Part(0, start, stop)], f"{node.name}.{index}"))
        start = stop
    return found


def gather(state: State, node: ir.Node) -> Value | None:
    """Gather of channels in a known order."""
    view, order = state.view(node), state.constant(node, 1)
    axis = node.attributes.get_int("axis", 0)
    if view is None or order is None or order.ndim != 1 or view.axes[axis] != ("c",):
        return None
    parts: list[Part] = []
    for channel in (order % view.frames.channels).tolist():
        if parts and parts[-1].stop == channel:
            parts[-1] = replace(parts[-1], stop=channel + 1)
        else:
            parts.append(Part(0, channel, channel + 1))
    return None if len(parts) > _MOST_PARTS else _taken(state, view, parts, str(node.name))
