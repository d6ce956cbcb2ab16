"""Frames to volume: hold a clip as [N,C,T,H,W] instead of T images [N*T,C,H,W].

The arithmetic is the same: a 2D convolution over frames is a 3D one whose kernel spans one
frame. What changes is the memory: in a layout blocked by channels, all frames of a group of
channels lie in one piece, so that a runtime can take the group out without copying it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import onnx_ir as ir
from onnx_ir import tape

from edgevid.errors import LoweringError
from edgevid.graph.shift_op import DOMAIN, SHIFT, attach_functions, spec_of
from edgevid.shift import Layout

__all__ = ["frames_to_volume"]

_ELEMENTWISE = frozenset(
    {"Abs", "Add", "Ceil", "Celu", "Clip", "Div", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid"}
    | {"HardSwish", "Identity", "LeakyRelu", "Log", "Max", "Min", "Mish", "Mul", "Neg", "PRelu", "Pow"}
    | {"Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Sub", "Tanh"}
)


def frames_to_volume(model: ir.Model) -> tuple[ir.Value, ...]:
    """Rewrite, in place, every region of ``model`` that works on the stacked frames of clips.

    A region begins at a Reshape from ``[N,T,C,H,W]`` to ``[N*T,C,H,W]`` and ends at the means
    over rows and columns; in it stand convolutions, poolings, elementwise operations, shifts,
    and channels that are taken out or joined.

    Requires:
        Static shapes; constant convolution weights.

    Ensures:
        The same numbers at every output, for every N; each region computes on
        ``[N,C,T,H,W]``, its shifts have `Layout.VOLUME`, and nothing outside it changes.

    Returns:
        The volumes that the regions begin with; none if there was no such region.

    Raises:
        LoweringError: an operation of a region cannot be rewritten; the message names it, and
            the model is left half rewritten, so give a copy.
    """
    regions = _Regions(model)
    for node in list(model.graph):
        regions.visit(node)
    attach_functions(model)
    return tuple(regions.begins)


class _Regions:
    """The values that are volumes already, and how each kind of node follows its inputs."""

    def __init__(self, model: ir.Model) -> None:
        self.graph = model.graph
        self.segments: dict[ir.Value, int] = {}
        self.begins: list[ir.Value] = []
        self._widened: dict[ir.Value, ir.Value] = {}

    def visit(self, node: ir.Node) -> None:
        inside = [value for value in node.inputs if value in self.segments]
        if not inside:
            if _fuses_time(node):
                self._open(node)
            return
        kind = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
        follow = _elementwise if kind in _ELEMENTWISE else _FOLLOW.get(kind)
        if follow is None:
            raise _refusal(node, f"{kind} on the frames of a clip")
        follow(self, node)

    def follow(self, node: ir.Node) -> None:
        """Mark the only output as a volume."""
        if len(node.outputs) != 1:
            raise _refusal(node, f"{node.op_type} with {len(node.outputs)} outputs")
        (output,) = node.outputs
        segments = {self.segments[value] for value in node.inputs if value in self.segments}
        if len(segments) != 1:
            raise _refusal(node, f"clips of {' and '.join(map(str, sorted(segments)))} frames together")
        (count,) = segments
        sizes = _sizes(output, node)
        if len(sizes) != 4:
            raise _refusal(node, f"the rank changes to {len(sizes)}")
        if output.is_graph_output():
            raise _refusal(node, "an output of the graph that still has frames along its first axis")
        frames, channels, rows, columns = sizes
        output.shape = ir.Shape([frames // count, channels, count, rows, columns])
        self.segments[output] = count

    def with_time(self, value: ir.Value) -> ir.Value:
        """The constant ``value`` with an axis of one frame before rows and columns; made once."""
        if value not in self._widened:
            constant = ir.convenience.get_const_tensor(value)
            assert constant is not None
            array = np.expand_dims(constant.numpy(), -3)
            self._widened[value] = self.initializer(f"{value.name}.volume", array)
        return self._widened[value]

    def initializer(self, name: str, array: np.ndarray) -> ir.Value:
        tensor = ir.tensor(array, name=name)
        value = ir.Value(
            name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=ir.Shape(array.shape)
        )
        self.graph.register_initializer(value)
        return value

    def _open(self, node: ir.Node) -> None:
        value, output = node.inputs[0], node.outputs[0]
        assert value is not None
        clips, segments, *rest = _sizes(value, node)
        channels, rows, columns = rest
        steps = tape.Tape()
        volume = steps.op("Transpose", [value], {"perm": [0, 2, 1, 3, 4]}, name=f"{node.name}.volume")
        ir.convenience.replace_nodes_and_values(self.graph, node, [node], steps.nodes, [output], [volume])
        volume.shape = ir.Shape([clips, channels, segments, rows, columns])
        self.segments[volume] = segments
        self.begins.append(volume)


def _fuses_time(node: ir.Node) -> bool:
    """A Reshape from [N,T,C,H,W] to [N*T,C,H,W]."""
    if node.op_type != "Reshape" or node.domain:
        return False
    shapes = [value.shape for value in (node.inputs[0], node.outputs[0]) if value is not None]
    if any(shape is None or not shape.is_static() for shape in shapes):
        return False
    before, after = (tuple(shape.numpy()) for shape in shapes if shape is not None)
    return len(before) == 5 and after == (before[0] * before[1], *before[2:])


def _elementwise(regions: _Regions, node: ir.Node) -> None:
    for index, value in enumerate(node.inputs):
        if value is not None and value not in regions.segments:
            node.replace_input_with(index, _aligned(regions, value, node))
    regions.follow(node)


def _aligned(regions: _Regions, value: ir.Value, node: ir.Node) -> ir.Value:
    """A constant that broadcasts against [N,C,T,H,W] as it did against [N*T,C,H,W]."""
    if ir.convenience.get_const_tensor(value) is None:
        raise _refusal(node, f"{value.name} is neither constant nor computed from the same frames")
    sizes = _sizes(value, node)
    if len(sizes) < 3:
        return value
    if len(sizes) == 4 and sizes[0] != 1:
        raise _refusal(node, f"the constant {value.name} differs from frame to frame")
    return regions.with_time(value)


def _convolution(regions: _Regions, node: ir.Node) -> None:
    weight = node.inputs[1]
    if weight is None or ir.convenience.get_const_tensor(weight) is None:
        raise _refusal(node, "a convolution whose weight is not constant")
    node.replace_input_with(1, regions.with_time(weight))
    _pooling(regions, node)


def _pooling(regions: _Regions, node: ir.Node) -> None:
    """Windows that span one frame."""
    for name in ("kernel_shape", "strides", "dilations"):
        if name in node.attributes:
            node.attributes[name] = ir.AttrInt64s(name, [1, *node.attributes[name].as_ints()])
    if "pads" in node.attributes:
        top, left, bottom, right = node.attributes["pads"].as_ints()
        node.attributes["pads"] = ir.AttrInt64s("pads", [0, top, left, 0, bottom, right])
    regions.follow(node)


def _join(regions: _Regions, node: ir.Node) -> None:
    """Along channels, the second axis of both forms."""
    if node.attributes.get_int("axis", 0) not in (1, -3):
        raise _refusal(node, "a Concat along another axis than the channels")
    if any(value not in regions.segments for value in node.inputs):
        raise _refusal(node, "a Concat with what is not computed from the same frames")
    node.attributes["axis"] = ir.AttrInt64("axis", 1)
    regions.follow(node)


def _slice(regions: _Regions, node: ir.Node) -> None:
    """Of channels alone."""
    value = node.inputs[3] if len(node.inputs) > 3 else None
    axes = None if value is None else ir.convenience.get_const_tensor(value)
    if axes is None or axes.numpy().tolist() not in ([1], [-3]):
        raise _refusal(node, "a Slice of another axis than the channels")
    node.replace_input_with(3, regions.initializer(f"{node.name}.channels", np.array([1], np.int64)))
    regions.follow(node)


def _shift(regions: _Regions, node: ir.Node) -> None:
    spec = spec_of(node)
    regions.follow(node)
    segments = regions.segments[node.outputs[0]]
    if spec.layout is not Layout.FRAMES or spec.segments != segments:
        raise _refusal(node, f"{spec} on clips of {segments} frames")
    node.attributes["layout"] = ir.AttrString("layout", Layout.VOLUME.value)


def _spatial_mean(regions: _Regions, node: ir.Node) -> None:
    """The end of a region: means [N,C,T], from which the frames are stacked again."""
    value, output = node.inputs[0], node.outputs[0]
    assert value is not None
    if node.op_type == "ReduceMean" and _mean_axes(node) != {2, 3}:
        raise _refusal(node, "a mean over other axes than rows and columns")
    sizes = _sizes(output, node)
    steps = tape.Tape()

    def step(kind: str, inputs: Iterable[ir.Value], **attributes: int | Sequence[int]) -> ir.Value:
        result = steps.op(kind, list(inputs), attributes, name=f"{node.name}.{kind}")
        result.name = f"{output.name}.{kind}"
        return result

    axes = regions.initializer(f"{output.name}.axes", np.array([3, 4], np.int64))
    stacked = regions.initializer(f"{output.name}.sizes", np.array(sizes, np.int64))
    means = step("ReduceMean", [value, axes], keepdims=0)
    frames = step("Reshape", [step("Transpose", [means], perm=[0, 2, 1]), stacked])
    ir.convenience.replace_nodes_and_values(regions.graph, node, [node], steps.nodes, [output], [frames])


def _mean_axes(node: ir.Node) -> set[int]:
    if len(node.inputs) < 2 or node.inputs[1] is None:
        return set()
    axes = ir.convenience.get_const_tensor(node.inputs[1])
    return set() if axes is None else {int(axis) % 4 for axis in axes.numpy()}


_FOLLOW: Mapping[str, Callable[[_Regions, ir.Node], None]] = MappingProxyType(
    {
        "Conv": _convolution,
        "MaxPool": _pooling,
        "AveragePool": _pooling,
        "Concat": _join,
        "Slice": _slice,
        "ReduceMean": _spatial_mean,
        "GlobalAveragePool": _spatial_mean,
        f"{DOMAIN}::{SHIFT}": _shift,
    }
)


def _sizes(value: ir.Value, node: ir.Node) -> list[int]:
    if value.shape is None or not value.shape.is_static():
        raise _refusal(node, f"{value.name} has shape {value.shape}, not a static one")
    return [int(size) for size in value.shape.numpy()]


def _refusal(node: ir.Node, what: str) -> LoweringError:
    return LoweringError(
        f"clips cannot be held as [N,C,T,H,W]: {what}",
        where=node.name or node.outputs[0].name,
        fix="use another lowering, such as negative_pad or fused_slice_concat",
    )
