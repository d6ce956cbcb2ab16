"""Run a region of a graph on numbered elements, and read from the result where each one went.

What a spelling means is asked of the runtime, not of the spelling: the region is run once on
elements that carry their own number, and the shift that this suggests is proved on random
numbers, exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgevid.errors import ShiftError
from edgevid.graph.movement import Movements, static_sizes
from edgevid.graph.shift_op import OPSET
from edgevid.shift import Layout, Move, ShiftSpec, shift_numpy

__all__ = ["NOTHING_MOVES", "Evaluate", "extract", "probe"]

Evaluate = Callable[[ir.Model, Mapping[str, NDArray[Any]]], list[NDArray[Any]]]
"""Runs a graph on named inputs and returns its outputs in order."""

_DIGIT = 1 << 12
_EXACT = 1 << 24
"""Whole numbers up to here are exact in float32."""

_MOST_ELEMENTS = 1 << 27
"""Half a gigabyte of float32."""

_SEED = 7


def probe(
    movements: Movements, cut: ir.Value, value: ir.Value, evaluate: Evaluate, segments: int | None = None
) -> ShiftSpec | str:
    """The shift that makes ``value`` of ``cut``, or in words what else it does.

    Tensors ``[N*T,C,H,W]`` give a spec of `Layout.FRAMES`, ``[N,C,T,H,W]`` one of
    `Layout.VOLUME`, and ``[N,T,C,H,W]`` one of `Layout.FRAMES` for the frames put together.

    Args:
        movements: of the graph.
        cut: of ``value``.
        value: what is made of it.
        evaluate: runs the region.
        segments: T of a shift that moves nothing in time and so does not show it.
    """
    shape, after = static_sizes(cut), static_sizes(value)
    if shape is None or after is None:
        return "its shape is not known"
    if shape != after:
        return f"the shape changes from {shape} to {after}"
    if len(shape) not in (4, 5):
        return f"a tensor of {len(shape)} axes holds no frames of channels, rows and columns"
    count = math.prod(shape)
    if not 0 < count <= _MOST_ELEMENTS:
        return f"{count} elements are too many to probe" if count else "it is empty"
    region = extract(movements, cut, value)
    numbers = np.arange(1, count + 1, dtype=np.int64).reshape(shape)
    digits = [numbers] if count < _EXACT else [numbers // _DIGIT, numbers % _DIGIT]
    seen = [_run(region, digit.astype(np.float32), evaluate) for digit in digits]
    came = seen[0] if len(seen) == 1 else seen[0] * _DIGIT + seen[1]
    if not np.array_equal(came, np.clip(np.rint(came), 0, count)):
        return _MIXED
    sources = came.astype(np.int64)
    spec = _read(sources, segments)
    if isinstance(spec, str):
        return spec
    noise = np.random.Generator(np.random.PCG64(_SEED)).standard_normal(shape, np.float32)
    moved = _shifted(noise, spec)
    return spec if np.array_equal(_run(region, noise, evaluate), moved) else _MIXED


def extract(movements: Movements, cut: ir.Value, value: ir.Value) -> ir.Model:
    """The region from ``cut`` to ``value`` as a float32 model of its own, ``x`` to ``y``."""
    shape = static_sizes(cut)
    start = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(shape or []))
    copies: dict[ir.Value, ir.Value] = {cut: start}
    initializers: list[ir.Value] = []

    def constant(original: ir.Value, tensor: ir.TensorProtocol) -> ir.Value:
        single = _single(tensor)
        made = ir.Value(
            name=f"c{len(copies)}",
            const_value=single,
            type=ir.TensorType(single.dtype),
            shape=ir.Shape(single.numpy().shape),
        )
        copies[original] = made
        initializers.append(made)
        return made

    def copied(original: ir.Value | None) -> ir.Value | None:
        if original is None or original in copies:
            return None if original is None else copies[original]
        assert original.const_value is not None
        return constant(original, original.const_value)

    nodes = []
    for number, node in enumerate(movements.nodes_between(cut, value)):
        if node.op_type in ("Shape", "Size") and node.inputs[0] is not None:
            sizes = static_sizes(node.inputs[0])
            if sizes is not None:
                constant(node.outputs[0], ir.tensor(_measured(node, sizes)))
                continue
        attributes = [_single_attribute(node, attribute) for attribute in node.attributes.values()]
        copy = ir.Node(
            node.domain,
            node.op_type,
            [copied(each) for each in node.inputs],
            attributes,
            num_outputs=len(node.outputs),
            name=f"n{number}",
        )
        for index, (original, output) in enumerate(zip(node.outputs, copy.outputs, strict=True)):
            output.name = f"n{number}_{index}"
            copies[original] = output
        nodes.append(copy)
    end = copies[value]
    end.type, end.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape(static_sizes(value) or [])
    graph = ir.Graph(
        [start], [end], nodes=nodes, initializers=initializers, opset_imports={"": OPSET}, name="region"
    )
    return ir.Model(graph, ir_version=10)


NOTHING_MOVES = "nothing moves"
"""What `probe` says of an identity."""

_MIXED = "elements are added up, scaled, or the gap is filled with something else than zeros"


def _run(region: ir.Model, numbers: NDArray[np.float32], evaluate: Evaluate) -> NDArray[Any]:
    (result,) = evaluate(region, {"x": numbers})
    return np.asarray(result)


def _read(sources: NDArray[np.int64], segments: int | None) -> ShiftSpec | str:
    """From the number (from 1) of the element that came to each place; 0 where none did."""
    count, shape = sources.size, sources.shape
    if np.array_equal(sources.ravel(), np.arange(1, count + 1)):
        return NOTHING_MOVES
    axes = {4: [(0, 1)], 5: [(2, 1), (1, 2)]}[len(shape)]
    reasons = []
    for time_axis, channel_axis in axes:
        moves = _moves(sources, time_axis, channel_axis)
        if isinstance(moves, str):
            reasons.append(moves)
            continue
        numbers = np.arange(1, count + 1).reshape(shape)
        for spec in _specs(moves, shape, time_axis, segments):
            if np.array_equal(_shifted(numbers, spec), sources):
                return spec
        reasons.append(_why_not(sources, time_axis, channel_axis))
    return reasons[0]


def _moves(sources: NDArray[np.int64], time_axis: int, channel_axis: int) -> list[Move] | str:
    """One move a channel that moves, read from one element of each channel."""
    rows = np.moveaxis(sources, channel_axis, 0).reshape(sources.shape[channel_axis], -1)
    first = (rows != 0).argmax(axis=1)
    taken = rows[np.arange(len(rows)), first] - 1
    if (taken < 0).any():
        return "whole channels are set to zero"
    others = [size for axis, size in enumerate(sources.shape) if axis != channel_axis]
    to = np.insert(np.array(np.unravel_index(first, others)), channel_axis, np.arange(len(rows)), axis=0)
    steps = to - np.array(np.unravel_index(taken, sources.shape))
    if steps[channel_axis].any():
        return "channels change places"
    spatial = range(sources.ndim - 2, sources.ndim)
    moving = {time_axis, *spatial}
    if any(steps[axis].any() for axis in range(sources.ndim) if axis not in moving):
        return "clips change places"
    displacements = steps[[time_axis, *spatial]].T
    return [
        Move(channel, channel + 1, *map(int, step))
        for channel, step in enumerate(displacements)
        if step.any()
    ]


def _specs(
    moves: list[Move], shape: tuple[int, ...], time_axis: int, segments: int | None
) -> list[ShiftSpec]:
    """Specs with these moves: only along the fused axis the number of segments is open."""
    if time_axis == 2:
        return [ShiftSpec(shape[2], tuple(moves), Layout.VOLUME)]
    frames = shape[time_axis]
    if time_axis == 1:
        return [ShiftSpec(frames, tuple(moves))]
    counts = [count for count in range(frames, 0, -1) if frames % count == 0]
    if segments in counts and not any(move.dt for move in moves):
        counts = [segments]
    return [ShiftSpec(count, tuple(moves)) for count in counts]


def _shifted(numbers: NDArray[Any], spec: ShiftSpec) -> NDArray[Any]:
    if spec.layout is Layout.FRAMES and numbers.ndim == 5:
        joined = numbers.reshape(-1, *numbers.shape[2:])
        return shift_numpy(joined, spec).reshape(numbers.shape)
    try:
        return shift_numpy(numbers, spec)
    except ShiftError:
        return np.zeros_like(numbers)


def _why_not(sources: NDArray[np.int64], time_axis: int, channel_axis: int) -> str:
    """What moves the elements, when not all of a channel move alike."""
    filled = sources != 0
    places = np.array(np.nonzero(filled))
    steps = places - np.array(np.unravel_index(sources[filled] - 1, sources.shape))
    if steps[channel_axis].any():
        return "channels change places"
    if filled.all():
        if _is_roll(places, steps, sources.shape, time_axis, channel_axis):
            return "a circular roll: what leaves at one end comes in at the other"
        if np.unique(sources).size < sources.size:
            return "elements are repeated where a shift has zeros"
        return "a permutation: elements of one channel do not all move alike"
    return "elements of one channel do not all move alike"


def _is_roll(
    places: NDArray[np.int64],
    steps: NDArray[np.int64],
    shape: tuple[int, ...],
    time_axis: int,
    channel_axis: int,
) -> bool:
    """Does each channel turn around in time within its clip, by a distance of its own?"""
    if np.delete(steps, time_axis, axis=0).any():
        return False
    frames, times = shape[time_axis], places[time_axis]
    for count in range(frames, 1, -1):
        if frames % count or (times // count != (times - steps[time_axis]) // count).any():
            continue
        turned = steps[time_axis] % count
        lowest, highest = np.full(shape[channel_axis], count), np.zeros(shape[channel_axis], np.int64)
        np.minimum.at(lowest, places[channel_axis], turned)
        np.maximum.at(highest, places[channel_axis], turned)
        if (lowest == highest).all():
            return True
    return False


def _measured(node: ir.Node, sizes: list[int]) -> NDArray[np.int64]:
    if node.op_type == "Size":
        return np.array(math.prod(sizes), np.int64)
    start = node.attributes.get_int("start", 0)
    end = node.attributes.get_int("end", len(sizes))
    return np.array(sizes[start:end], np.int64)


def _single(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    """Floats of every width as float32, in which all probes are exact."""
    if tensor.dtype.is_floating_point() and tensor.dtype != ir.DataType.FLOAT:
        return ir.tensor(tensor.numpy().astype(np.float32))
    return tensor


def _single_attribute(node: ir.Node, attribute: ir.Attr) -> ir.Attr:
    if attribute.type is ir.AttributeType.TENSOR:
        return ir.AttrTensor(attribute.name, _single(attribute.as_tensor()))
    if (
        node.op_type == "Cast"
        and attribute.name == "to"
        and ir.DataType(attribute.as_int()).is_floating_point()
    ):
        return ir.AttrInt64("to", ir.DataType.FLOAT.value)
    return attribute
