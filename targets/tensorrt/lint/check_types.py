"""Data types of the graph's values, and ranks beyond all operators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from edgevid.diagnostic import Diagnostic
from edgevid.targets.tensorrt.lint.case import Case, Check, error, warning
from edgevid.targets.tensorrt.lint.facts import array_of, data_input, rank_of, type_of
from edgevid.targets.tensorrt.lint.release import Number

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["CHECKS", "TYPES"]

TYPES: Mapping[str, tuple[Number, str]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("FLOAT", "FLOAT16", "INT8", "BOOL", "INT32", "INT64"),
            ((7, 1), "onnx/onnx-tensorrt, operators.md, TensorRT 7.0 and 7.2"),
        ),
        "DOUBLE": ((8, 0), "onnx/onnx-tensorrt, docs/operators.md, TensorRT 8.0"),
        "UINT8": ((8, 5), "onnx/onnx-tensorrt, docs/Changelog.md, TensorRT 8.5 GA: inputs and outputs"),
        **dict.fromkeys(
            ("BFLOAT16", "FLOAT8E4M3FN"),
            ((10, 0), "onnx/onnx-tensorrt, docs/Changelog.md, TensorRT 9.0 GA"),
        ),
        "INT4": ((10, 0), "onnx/onnx-tensorrt, docs/Changelog.md, TensorRT 10.0 EA"),
        "FLOAT4E2M1": ((10, 15), "onnx/onnx-tensorrt, docs/operators.md, TensorRT 10.15"),
    }
)
"""onnx_ir's name of a type, the first version that knows it, and who says so."""

_NEVER = "onnx/onnx-tensorrt, docs/operators.md: not among the data types of any version"
_CAST_DOWN = "onnx/onnx-tensorrt, docs/operators.md: cast down, values beyond are clamped"
_UINT8 = "onnx/onnx-tensorrt, docs/operators.md, TensorRT 10.15: inputs and outputs only; Cast takes them"
_DIMENSIONS = "NvInfer.h, Dims::MAX_DIMS"
_TYPED = "NVIDIA TensorRT Developer Guide, Strongly Typed Networks: a layer is computed in its own type"

_MOST_AXES = 8
_LARGE = 1 << 20
"""Bytes; larger tensors of integers are no shapes, and not searched."""

_PRODUCTS = frozenset(("Conv", "ConvTranspose", "Gemm", "MatMul"))


def _values(case: Case) -> Iterator[tuple[ir.Node | None, ir.Value]]:
    """Every value with the node that makes it, or first reads it."""
    for graph in case.model.graphs():
        for value in (*graph.inputs, *graph.initializers.values()):
            yield next((use.node for use in value.uses()), None), value
    for node in case.model.graph.all_nodes():
        for value in node.outputs:
            yield node, value


def _known(case: Case) -> Iterator[Diagnostic]:
    seen: set[str] = set()
    for node, value in _values(case):
        kind = type_of(value)
        if not kind or kind in seen or kind == "UNDEFINED":
            continue
        since, source = TYPES.get(kind, ((99, 0), _NEVER))
        if kind == "UINT8" and _is_quantized(value):
            continue
        if since > case.release.number:
            seen.add(kind)
            yield error(
                "data-type",
                node,
                f"{value.name!r} is {kind}, which {case.release.title} does not know",
                "let the network take float32, pixels from 0 to 255"
                if kind == "UINT8"
                else "cast it to float32, or to int32",
                source,
            )
        elif kind == "DOUBLE":
            seen.add(kind)
            yield warning(
                "double", node, f"{value.name!r} is DOUBLE: it is cast to float32", "use float32", _CAST_DOWN
            )


def _uint8(case: Case) -> Iterator[Diagnostic]:
    if case.release.number < TYPES["UINT8"][0]:
        return
    for node in case.nodes():
        value = data_input(node)
        if type_of(value) != "UINT8" or node.op_type in ("Cast", "CastLike", "DequantizeLinear", "Identity"):
            continue
        yield error(
            "uint8",
            node,
            f"{node.op_type} of UINT8, which is a type of inputs and outputs alone",
            "cast the input to float32 before anything else",
            _UINT8,
        )


def _is_quantized(value: ir.Value) -> bool:
    """It stands between a QuantizeLinear and a DequantizeLinear, or is their zero point."""
    maker = value.producer()
    users = {use.node.op_type for use in value.uses()}
    return (maker is not None and maker.op_type == "QuantizeLinear") or (
        bool(users) and users <= {"QuantizeLinear", "DequantizeLinear"}
    )


def _int64(case: Case) -> Iterator[Diagnostic]:
    if case.release.number >= (9, 0):
        return
    limits = np.iinfo(np.int32)
    for node, value in _values(case):
        if type_of(value) != "INT64" or value.const_value is None or value.const_value.nbytes > _LARGE:
            continue
        array = array_of(value)
        if array is not None and array.size and not limits.min <= array.min() <= array.max() <= limits.max:
            yield warning(
                "int64-range",
                node,
                f"{value.name!r} holds {max(array.flat, key=abs)}, beyond 32 bits",
                "nothing, if it stands for the end of an axis: it is clamped",
                _CAST_DOWN,
            )


def _ranks(case: Case) -> Iterator[Diagnostic]:
    for node, value in _values(case):
        rank = rank_of(value)
        if rank is not None and rank > _MOST_AXES:
            yield error(
                "axes",
                node,
                f"{value.name!r} has {rank} axes, a tensor of TensorRT at most {_MOST_AXES}",
                "join axes by Reshape",
                _DIMENSIONS,
            )


def _precision(case: Case) -> Iterator[Diagnostic]:
    """Floats in a typed network that the GPU, or what is offered for it, has no kernels for."""
    if case.board is None or not case.release.known.typed or "fp32" in case.board.precisions:
        return
    found = [node for node in case.nodes() if node.op_type in _PRODUCTS and _is_float(node)]
    if found:
        why = case.board.refused.get("fp32", "it has no kernels for float32")
        yield error(
            "precision",
            found[0],
            f"{len(found)} layers are float32: {why}",
            "compile it with --precision fp16",
            f"{_TYPED}; {case.board.source}",
        )


def _is_float(node: ir.Node) -> bool:
    value = data_input(node)
    maker = None if value is None else value.producer()
    return type_of(value) == "FLOAT" and (maker is None or maker.op_type != "DequantizeLinear")


CHECKS: tuple[Check, ...] = (_known, _uint8, _int64, _ranks, _precision)
