"""Between bytes in memory and the real numbers that they stand for."""

from __future__ import annotations

from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels._write import Expr, number, typed
from edgevid.targets.tvm.network import Frames

__all__ = ["restored", "stored"]


def restored(frames: Frames, value: Expr, lanes: int) -> Expr:
    """What stands in memory as float32: ONNX's DequantizeLinear of bytes."""
    real = value if frames.dtype == "float32" else T.Cast(typed("float32", lanes), value)
    if frames.quantization is None:
        return real
    return (real - number(frames.quantization.zero, lanes)) * number(frames.quantization.scale, lanes)


def stored(frames: Frames, value: Expr, lanes: int) -> Expr:
    """Float32 as it stands in memory: ONNX's QuantizeLinear for bytes."""
    if frames.quantization is None:
        return value
    least, largest = (0, 255) if frames.dtype == "uint8" else (-128, 127)
    steps = T.nearbyint(value / number(frames.quantization.scale, lanes)) + number(
        frames.quantization.zero, lanes
    )
    within = T.min(T.max(steps, number(least, lanes)), number(largest, lanes))
    return T.Cast(typed(frames.dtype, lanes), within)
