"""QuantizeLinear and DequantizeLinear: what TensorRT takes of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from edgevid.diagnostic import Diagnostic
from edgevid.targets.tensorrt.lint.case import COMPILE, Case, Check, error, warning
from edgevid.targets.tensorrt.lint.check_types import TYPES
from edgevid.targets.tensorrt.lint.facts import array_of, input_of, type_of

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["CHECKS"]

_GUIDE = "NVIDIA TensorRT Developer Guide, Working with Quantized Types (8.x: Working with INT8)"
_TABLE = "onnx/onnx-tensorrt, docs/operators.md, TensorRT 8.2 to 10.15, QuantizeLinear and DequantizeLinear"
_EIGHT = "onnx/onnx-tensorrt, docs/Changelog.md, TensorRT 8.0: tensor scales, per-axis quantization"
_RTX = "layer log of TensorRT for RTX 1.7: int8 depthwise convolutions are expanded to dense ones"
_QUANTIZED = ("INT8", "INT4", "FLOAT8E4M3FN", "FLOAT4E2M1")
_NODES = ("QuantizeLinear", "DequantizeLinear")
_PER_AXIS = f"quantize activations per tensor, weights alone per channel; or {COMPILE}"


def _pairs(case: Case) -> Iterator[ir.Node]:
    return (node for node in case.nodes() if node.op_type in _NODES)


def _hardware(case: Case) -> Iterator[Diagnostic]:
    first = next(_pairs(case), None)
    if first is None or case.board is None or "int8" in case.board.precisions:
        return
    why = case.board.refused.get("int8", "it has no hardware for int8")
    yield error(
        "int8-hardware", first, f"a quantized network: {why}", "use --precision fp16", case.board.source
    )


def _zero_points(case: Case) -> Iterator[Diagnostic]:
    for node in _pairs(case):
        zero = array_of(input_of(node, 2))
        if zero is not None and np.any(zero != 0):
            yield error(
                "zero-point",
                node,
                f"its zero point is {zero.flat[int(np.argmax(zero != 0))]}; TensorRT takes 0 alone",
                f"quantize symmetrically (ActivationSymmetric, WeightSymmetric), or {COMPILE}",
                f"{_TABLE}; {_GUIDE}",
            )


def _types(case: Case) -> Iterator[Diagnostic]:
    allowed = [kind for kind in _QUANTIZED if TYPES[kind][0] <= case.release.number]
    for node in _pairs(case):
        kind = type_of(node.outputs[0] if node.op_type == "QuantizeLinear" else input_of(node, 0))
        kind = kind or type_of(input_of(node, 2))
        if not kind or kind in allowed:
            continue
        bias = kind == "INT32"
        yield error(
            "quantized-type",
            node,
            f"{'a bias in INT32' if bias else kind}; {case.release.title} takes {', '.join(allowed)}",
            f"{'leave biases in float (QuantizeBias=False)' if bias else 'quantize to int8'}, or {COMPILE}",
            f"{_TABLE}; {_GUIDE}",
        )


def _scales(case: Case) -> Iterator[Diagnostic]:
    for node in _pairs(case):
        scale = array_of(input_of(node, 1))
        if scale is None:
            continue
        if np.any(scale <= 0) or not np.all(np.isfinite(scale)):
            yield error(
                "scale",
                node,
                f"a scale of {np.min(scale)}; it must be above 0",
                "calibrate again, with clips in which that tensor is not all zero",
                "NvInfer.h, IQuantizeLayer: the scale is positive",
            )
        if scale.size <= 1:
            continue
        if case.release.number < (8, 0):
            yield error(
                "per-channel", node, f"{scale.size} scales; {case.release.title} takes one", _PER_AXIS, _EIGHT
            )
        elif not case.facts.is_constant(input_of(node, 0)):
            yield (error if case.release.number < (10, 0) else warning)(
                "per-channel",
                node,
                f"an activation with {scale.size} scales, one a channel: no int8 kernel takes it",
                _PER_AXIS,
                _GUIDE,
            )
        if node.attributes.get_int("block_size", 0) and case.release.number < (10, 0):
            yield error(
                "block-scale",
                node,
                f"scales of blocks; {case.release.title} has them per tensor and per channel",
                _PER_AXIS,
                _GUIDE,
            )


def _depthwise(case: Case) -> Iterator[Diagnostic]:
    if not case.release.rtx:
        return
    for node in case.nodes():
        weights = input_of(node, 1)
        maker = None if weights is None else weights.producer()
        groups = node.attributes.get_int("group", 1)
        if (
            node.op_type == "Conv"
            and groups > 1
            and maker is not None
            and maker.op_type == "DequantizeLinear"
        ):
            yield warning(
                "depthwise-int8",
                node,
                f"a quantized convolution of {groups} groups: {case.release.title} makes a dense one of it",
                "leave it in float: its inputs and weights without QuantizeLinear",
                _RTX,
            )


CHECKS: tuple[Check, ...] = (_hardware, _zero_points, _types, _scales, _depthwise)
