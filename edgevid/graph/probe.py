"""Run a region of a graph on numbered elements, and read from the result where each one went.

What a spelling means is asked of the runtime, not of the spelling: the region is run once on
elements that carry their own number, and the shift that this suggests is proved on random
numbers, exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgevid.errors import ShiftError
from edgevid.graph.index_map import Numbers, apply_spec, read_spec
from edgevid.graph.movement import Movements, static_sizes
from edgevid.graph.shift_op import OPSET
from edgevid.shift import Layout, ShiftSpec

__all__ = ["Evaluate", "extract", "probe"]

Evaluate = Callable[[ir.Model, Mapping[str, NDArray[Any]]], list[NDArray[Any]]]
"""Runs a graph on named inputs and returns its outputs in order."""

_DIGIT = 1 << 12
_EXACT = 1 << 24
"""Whole numbers up to here are exact in float32."""

_MOST_ELEMENTS = 1 << 26
"""A quarter of a gigabyte of float32; numbering takes several times as much."""

_MOST_PROVED = 1 << 29
"""Of a tensor that is only compared with a shift that is known."""

_SEED = 7


def probe(
    movements: Movements,
    cut: ir.Value,
    value: ir.Value,
    evaluate: Evaluate,
    segments: int | None = None,
    known: Sequence[ShiftSpec] = (),
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
        known: specs that are tried first: to prove one takes less memory than to find it.
    """
    if reason := _unfit(cut, value):
        return reason
    shape = static_sizes(cut) or []
    largest = max(_elements(each) for each in (cut, *_made_between(movements, cut, value)))
    if largest > (_MOST_PROVED if known else _MOST_ELEMENTS):
        return f"{largest} elements are too many to probe"
    region = extract(movements, cut, value)
    noise = np.random.Generator(np.random.PCG64(_SEED)).standard_normal(shape, np.float32)
    moved = _run(region, noise, evaluate)
    for spec in known:
        if _is_shifted(noise, moved, spec):
            return spec
    if largest > _MOST_ELEMENTS:
        return f"no known shift, and {largest} elements are too many to probe"
    sources = _sources(region, shape, evaluate)
    if sources is None:
        return _MIXED
    found = read_spec(sources, segments)
    return found if isinstance(found, str) or _is_shifted(noise, moved, found) else _MIXED


def _unfit(cut: ir.Value, value: ir.Value) -> str:
    """Why the shapes cannot be those of a shift; empty where they can."""
    shape, after = static_sizes(cut), static_sizes(value)
    if shape is None or after is None:
        return "its shape is not known"
    if shape != after:
        return f"the shape changes from {shape} to {after}"
    if len(shape) not in (4, 5):
        return f"a tensor of {len(shape)} axes holds no frames of channels, rows and columns"
    return "" if math.prod(shape) else "it is empty"


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


_MIXED = "elements are added up, scaled, or the gap is filled with something else than zeros"


def _made_between(movements: Movements, cut: ir.Value, value: ir.Value) -> list[ir.Value]:
    return [output for node in movements.nodes_between(cut, value) for output in node.outputs]


def _elements(value: ir.Value) -> int:
    return math.prod(static_sizes(value) or [])


def _run(region: ir.Model, numbers: NDArray[np.float32], evaluate: Evaluate) -> NDArray[Any]:
    (result,) = evaluate(region, {"x": numbers})
    return np.asarray(result)


def _is_shifted(numbers: NDArray[Any], moved: NDArray[Any], spec: ShiftSpec) -> bool:
    """Is ``moved`` exactly ``numbers`` shifted by ``spec``? The first clip alone rules most specs out."""
    try:
        if numbers.ndim == 5 and spec.layout is Layout.FRAMES:
            # Whole clips only: frames of two clips are no clip of twice as many.
            spec.check([numbers.shape[1], *numbers.shape[2:]])
            if spec.segments != numbers.shape[1]:
                return False
        else:
            spec.check(numbers.shape)
    except ShiftError:
        return False
    clip = 1 if numbers.ndim == 5 else spec.segments
    if not np.array_equal(apply_spec(numbers[:clip], spec), moved[:clip]):
        return False
    return np.array_equal(apply_spec(numbers, spec), moved)


def _sources(region: ir.Model, shape: list[int], evaluate: Evaluate) -> Numbers | None:
    """The number (from 1) of the element that came to each place, 0 where none did.

    None where something else than one of the numbers came.
    """
    count = math.prod(shape)
    numbers = np.arange(1, count + 1, dtype=np.int32).reshape(shape)
    sources = np.zeros(shape, np.int32)
    for scale in (1,) if count < _EXACT else (_DIGIT, 1):
        digit = numbers if count < _EXACT else numbers // _DIGIT if scale > 1 else numbers % _DIGIT
        came = _run(region, digit.astype(np.float32), evaluate)
        whole = came.astype(np.int32) if np.isfinite(came).all() and (abs(came) <= _EXACT).all() else None
        if whole is None or not np.array_equal(came, whole):
            return None
        sources += whole * scale
    return sources if sources.min() >= 0 and sources.max() <= count else None


def _measured(node: ir.Node, sizes: list[int]) -> NDArray[np.int64]:
    if node.op_type == "Size":
        return np.array(math.prod(sizes), np.int64)
    start = node.attributes.get_int("start", 0)
    end = node.attributes.get_int("end", len(sizes))
    return np.array(sizes[start:end], np.int64)


def _single(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    """The tensor under no name, floats of every width as float32, in which all probes are exact."""
    array = tensor.numpy()
    return ir.tensor(array.astype(np.float32) if tensor.dtype.is_floating_point() else array)


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
