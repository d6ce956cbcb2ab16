"""The canonical graph of one clip, for any number of frames, with an answer to each of them.

The time axis is followed through the graph, from the clip to the average over frames (TSN's consensus),
which is taken away: behind it rows stand for frames. Nothing but shifts may mix frames, so that what is
written for T frames holds for one, or for a whole video.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import common as passes

from edgevid.errors import GraphError
from edgevid.graph.infer_node import infer_node
from edgevid.graph.shift_op import DOMAIN, SHIFT, attach_functions, spec_of

__all__ = ["per_frame", "segments_of"]

_UNARY = frozenset(
    {"Abs", "Cast", "Ceil", "Celu", "Clip", "DequantizeLinear", "Dropout", "Elu", "Erf", "Exp", "Floor"}
    | {"Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log", "Mish", "Neg", "QuantizeLinear"}
    | {"Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Tanh"}
)
_BROADCAST = frozenset({"Add", "Div", "Max", "Mean", "Min", "Mul", "PRelu", "Pow", "Sub", "Where"})
_RESHAPING = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})
_WINDOWS = frozenset({"AveragePool", "Conv", "LpPool", "MaxPool"})
_PER_SAMPLE = frozenset({"BatchNormalization", "GlobalAveragePool", "GlobalMaxPool"})
_REDUCING = frozenset({"ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"})
_AFFINE = frozenset(
    {"Add", "Cast", "DequantizeLinear", "Div", "Flatten", "Gemm", "Identity", "MatMul", "Mul"}
)
_AFFINE_TOO = frozenset({"QuantizeLinear", "Reshape", "Squeeze", "Sub", "Unsqueeze"})
"""With `_AFFINE`: what may stand behind the average, since it does the same to each frame's row. Of bytes
that holds up to their rounding."""


def segments_of(model: ir.Model) -> int:
    """T of a canonical graph."""
    shape = model.graph.inputs[0].shape
    assert shape is not None
    return int(shape.numpy()[1])


def per_frame(model: ir.Model, frames: int) -> ir.Model:
    """A copy for one clip of ``frames`` frames that returns ``logits`` ``[frames, classes]``.

    Args:
        model: canonical, in float or with Q/DQ, of one clip ``[1, T, ...]``; static shapes.
        frames: 1 for a graph that looks at one frame.

    Raises:
        GraphError: there are several clips, or something other than a shift mixes frames; the
            message names the operation.
    """
    changed = model.clone()
    _infer_shapes(changed)
    clips = changed.graph.inputs[0]
    sizes = _sizes(clips)
    if len(sizes) != 5 or sizes[0] != 1:
        raise GraphError(
            f"the input {sizes} is not one clip", where=clips.name, fix="give the graph of batch 1"
        )
    retiming = _Retiming(changed.graph, sizes[1], frames)
    retiming.mark(clips, 1)
    for node in list(changed.graph):
        retiming.visit(node)
    (logits,) = changed.graph.outputs
    if retiming.axes.get(logits) != 0 or len(_sizes(logits)) != 2:
        raise GraphError(
            "its logits are not the mean of those of single frames",
            where=logits.name,
            fix="stream it by a sliding window: edgevid stream --window",
        )
    passes.RemoveUnusedNodesPass()(changed)
    attach_functions(changed)
    return changed


def _infer_shapes(model: ir.Model) -> None:
    """Those that are not known, node by node."""
    for node in model.graph:
        if all(output.shape is not None for output in node.outputs):
            continue
        if node.domain == DOMAIN:
            assert node.inputs[0] is not None
            node.outputs[0].shape = node.inputs[0].shape
        else:
            infer_node(node, model.opset_imports)


class _Retiming:
    """Where the time axis of each value is, while the graph is rewritten in order."""

    def __init__(self, graph: ir.Graph, segments: int, frames: int) -> None:
        self.graph, self.segments, self.frames = graph, segments, frames
        self.axes: dict[ir.Value, int] = {}
        self.size = segments
        self._averaged: set[ir.Value] = set()

    def visit(self, node: ir.Node) -> None:
        inside = [value for value in node.inputs if value in self.axes]
        if not inside:
            return
        behind = any(value in self._averaged for value in inside)
        # Rows of frames stand there where the mean of one clip was.
        self.size = 1 if behind else self.segments
        if behind:
            if node.op_type not in _AFFINE | _AFFINE_TOO:
                raise _mixes(node, f"{node.op_type} behind the average over frames")
            divides = node.op_type == "Div" and node.inputs[1] in self.axes
            if divides or (node.op_type == "Mul" and len(inside) > 1):
                # The mean of products is not the product of means.
                raise _mixes(node, f"{node.op_type} by what depends on the clip, behind the average")
            self._averaged.update(node.outputs)
        follow = _FOLLOW.get((node.domain.removeprefix("ai.onnx"), node.op_type))
        if follow is None:
            raise _mixes(node, f"{node.op_type}, which is not known to keep frames apart")
        follow(self, node)

    def mark(self, value: ir.Value, axis: int) -> None:
        """``axis`` of ``value`` is time."""
        sizes = _sizes(value)
        if not 0 <= axis < len(sizes) or sizes[axis] != self.size:
            raise GraphError(f"the axis {axis} of {sizes} is not time", where=value.name)
        self.axes[value] = axis
        value.shape = ir.Shape([*sizes[:axis], self.frames, *sizes[axis + 1 :]])

    def axis(self, node: ir.Node, index: int = 0) -> int:
        """Of an input that must depend on the clip; no other one may."""
        value = node.inputs[index]
        if value is None or value not in self.axes or sum(other in self.axes for other in node.inputs) > 1:
            raise _mixes(node, f"{node.op_type} of several tensors of the clip")
        return self.axes[value]

    def rows(self, node: ir.Node) -> None:
        """Put each frame's row where the mean over frames ``[1, ...]`` was."""
        value, (mean,) = node.inputs[0], node.outputs
        assert value is not None
        axis, sizes = self.axes[value], _sizes(mean)
        if math.prod(_sizes(value)[:axis]) != 1 or not sizes or sizes[0] != 1:
            raise _mixes(node, "an average that leaves no axis for the frames")
        name = f"{node.name}.frames"
        rows = ir.node("Reshape", [value, self.ints([self.frames, *sizes[1:]])], name=name)
        (output,) = rows.outputs
        output.name, output.type = mean.name, mean.type
        ir.convenience.replace_nodes_and_values(self.graph, node, [node], [rows], [mean], [output])
        output.shape = ir.Shape([self.frames, *sizes[1:]])
        self.axes[output] = 0
        self._averaged.add(output)

    def ints(self, values: Sequence[int]) -> ir.Value:
        """A constant of its own; files may use any name."""
        number = len(self.graph.initializers)
        while (name := f"retimed.sizes{number}") in self.graph.initializers:
            number += 1
        tensor = ir.tensor(np.array(values, np.int64), name=name)
        value = ir.Value(
            name=tensor.name,
            const_value=tensor,
            type=ir.TensorType(tensor.dtype),
            shape=ir.Shape([len(values)]),
        )
        self.graph.register_initializer(value)
        return value


def _same(retiming: _Retiming, node: ir.Node) -> None:
    axis = retiming.axis(node)
    if node.op_type in ("QuantizeLinear", "DequantizeLinear") and _size(node.inputs[1]) > 1:
        given = node.inputs[0]
        assert given is not None
        if node.attributes.get_int("axis", 1) % len(_sizes(given)) == axis:
            raise _mixes(node, "a scale for each frame")
    retiming.mark(node.outputs[0], axis)


def _broadcast(retiming: _Retiming, node: ir.Node) -> None:
    (output,) = node.outputs
    rank = len(_sizes(output))
    found = {
        retiming.axes[value] + rank - len(_sizes(value)) for value in node.inputs if value in retiming.axes
    }
    if len(found) != 1:
        raise _mixes(node, "tensors whose frames stand along different axes")
    (axis,) = found
    for value in node.inputs:
        if value is None or value in retiming.axes:
            continue
        sizes = _sizes(value)
        own = axis - (rank - len(sizes))
        if own >= 0 and sizes[own] != 1:
            raise _mixes(node, f"{value.name}, which differs from frame to frame")
    retiming.mark(output, axis)


def _windows(retiming: _Retiming, node: ir.Node) -> None:
    axis = retiming.axis(node)
    place = axis - 2
    if axis == 1:
        raise _mixes(node, f"{node.op_type} over frames as channels")
    if place >= 0:
        given = node.inputs[0]
        assert given is not None
        windows = len(_sizes(given)) - 2
        kernel = list(node.attributes.get_ints("kernel_shape", ()))
        if not kernel and len(node.inputs) > 1 and node.inputs[1] is not None:
            kernel = _sizes(node.inputs[1])[2:]
        strides = list(node.attributes.get_ints("strides", [1] * windows))
        pads = list(node.attributes.get_ints("pads", [0] * 2 * windows))
        along_time = [kernel[place], strides[place], pads[place], pads[place + windows]]
        if along_time != [1, 1, 0, 0] or node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET":
            raise _mixes(node, f"{node.op_type} with windows of several frames")
    for output in node.outputs:
        if output.uses() or output.is_graph_output():
            retiming.mark(output, axis)


def _per_sample(retiming: _Retiming, node: ir.Node) -> None:
    axis = retiming.axis(node)
    if axis != 0 and (axis == 1 or node.op_type != "BatchNormalization"):
        raise _mixes(node, f"{node.op_type} over frames")
    retiming.mark(node.outputs[0], axis)


def _product(retiming: _Retiming, node: ir.Node) -> None:
    axis = retiming.axis(node)
    given = node.inputs[0]
    assert given is not None
    if axis == len(_sizes(given)) - 1 or node.attributes.get_int("transA", 0) == 1:
        raise _mixes(node, f"{node.op_type} over frames")
    retiming.mark(node.outputs[0], axis)


def _reshape(retiming: _Retiming, node: ir.Node) -> None:
    axis = retiming.axis(node)
    given, output = node.inputs[0], node.outputs[0]
    assert given is not None
    before, sizes = math.prod(_sizes(given)[:axis]), _sizes(output)
    places = [
        place
        for place, size in enumerate(sizes)
        if size == retiming.size and math.prod(sizes[:place]) == before
    ]
    if not places:
        raise _mixes(node, f"{node.op_type} to {sizes} joins frames with something else")
    retiming.mark(output, places[0])
    if node.op_type == "Reshape":
        node.replace_input_with(1, retiming.ints(_sizes(output)))


def _transpose(retiming: _Retiming, node: ir.Node) -> None:
    axis = retiming.axis(node)
    rank = len(_sizes(node.outputs[0]))
    order = list(node.attributes.get_ints("perm", range(rank - 1, -1, -1)))
    retiming.mark(node.outputs[0], order.index(axis))


def _along_another_axis(retiming: _Retiming, node: ir.Node) -> None:
    """Concat, Split, Softmax, Gather: along an axis that is not time."""
    axes = {retiming.axes[value] for value in node.inputs if value in retiming.axes}
    rank = len(_sizes(next(value for value in node.inputs if value in retiming.axes)))
    default = {"Split": 0, "Gather": 0}.get(node.op_type, -1)
    along = node.attributes.get_int("axis", default) % rank
    outside = node.op_type == "Concat" and any(value not in retiming.axes for value in node.inputs)
    if len(axes) != 1 or along in axes or outside:
        raise _mixes(node, f"{node.op_type} along time, or with what differs from frame to frame")
    (axis,) = axes
    if node.op_type == "Gather":
        retiming.axis(node)
        indices = node.inputs[1]
        assert indices is not None
        axis += (len(_sizes(indices)) - 1) if along < axis else 0
    for output in node.outputs:
        retiming.mark(output, axis)


def _slice(retiming: _Retiming, node: ir.Node) -> None:
    axis = retiming.axis(node)
    given = node.inputs[0]
    assert given is not None
    rank = len(_sizes(given))
    axes = _constant(node, 3)
    along = range(len(_required(node, 1))) if axes is None else [each % rank for each in axes]
    if axis in along:
        raise _mixes(node, "a Slice of frames")
    retiming.mark(node.outputs[0], axis)


def _pad(retiming: _Retiming, node: ir.Node) -> None:
    axis = retiming.axis(node)
    pads = _required(node, 1)
    rank = len(pads) // 2
    axes = _constant(node, 3)
    if axes is None and (pads[axis] or pads[axis + rank]):
        raise _mixes(node, "a Pad along time")
    if axes is not None and axis in [each % len(_sizes(node.outputs[0])) for each in axes]:
        raise _mixes(node, "a Pad along time")
    retiming.mark(node.outputs[0], axis)


def _reduce(retiming: _Retiming, node: ir.Node) -> None:
    axis = retiming.axis(node)
    given, output = node.inputs[0], node.outputs[0]
    assert given is not None
    rank = len(_sizes(given))
    named = node.attributes.get_ints("axes", ()) or _constant(node, 1)
    if not named:
        raise _mixes(node, f"{node.op_type} over all axes")
    axes = {each % rank for each in named}
    if axis not in axes:
        gone = 0 if node.attributes.get_int("keepdims", 1) else sum(each < axis for each in axes)
        retiming.mark(output, axis - gone)
    elif node.op_type == "ReduceMean" and axes == {axis}:
        retiming.rows(node)
    else:
        raise _mixes(node, f"{node.op_type} over frames and more")


def _shift(retiming: _Retiming, node: ir.Node) -> None:
    spec = spec_of(node)
    if spec.segments != retiming.segments:
        raise _mixes(node, f"a shift of {spec.segments} frames in a clip of {retiming.segments}")
    node.attributes["segments"] = ir.AttrInt64("segments", retiming.frames)
    _same(retiming, node)


_Follow = Callable[[_Retiming, ir.Node], None]


def _all(names: Iterable[str], follow: _Follow) -> dict[tuple[str, str], _Follow]:
    return {("", name): follow for name in names}


_FOLLOW: Mapping[tuple[str, str], _Follow] = MappingProxyType(
    {
        **_all(_UNARY, _same),
        **_all(_BROADCAST, _broadcast),
        **_all(_WINDOWS, _windows),
        **_all(_PER_SAMPLE, _per_sample),
        **_all(_RESHAPING, _reshape),
        **_all(_REDUCING, _reduce),
        **_all(("Gemm", "MatMul"), _product),
        **_all(("Concat", "Gather", "LogSoftmax", "Softmax", "Split"), _along_another_axis),
        **_all(("Pad",), _pad),
        **_all(("Slice",), _slice),
        **_all(("Transpose",), _transpose),
        (DOMAIN, SHIFT): _shift,
    }
)


def _constant(node: ir.Node, index: int) -> list[int] | None:
    """The numbers of a constant input; None where there is none."""
    value = node.inputs[index] if index < len(node.inputs) else None
    if value is None:
        return None
    tensor = ir.convenience.get_const_tensor(value)
    if tensor is None:
        raise _mixes(node, f"{node.op_type} by computed numbers")
    return [int(each) for each in tensor.numpy().reshape(-1)]


def _required(node: ir.Node, index: int) -> list[int]:
    found = _constant(node, index)
    if found is None:
        raise _mixes(node, f"{node.op_type} without its numbers")
    return found


def _size(value: ir.Value | None) -> int:
    return 1 if value is None else math.prod(_sizes(value))


def _sizes(value: ir.Value | None) -> list[int]:
    assert value is not None
    if value.shape is None or not value.shape.is_static():
        raise GraphError(f"{value.name} has shape {value.shape}, not a static one", where=value.name)
    return [int(size) for size in value.shape.numpy()]


def _mixes(node: ir.Node, what: str) -> GraphError:
    return GraphError(
        f"the network cannot be taken frame by frame: {what}",
        where=node.name or node.op_type,
        fix="compile it without --streaming; a sliding window runs any network: edgevid stream --window",
    )
