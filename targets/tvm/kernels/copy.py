"""Copies: another block or type, a shift that no layer takes along, normalized pixels.

Layouts: source ``[frames, ceil(C / a), H * W, a]``, target ``[frames, ceil(C / b), H * W, b]``; of pixels a
further ``[2, C]`` of scales and offsets. Channel by channel: copies are for borders of the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels._segments import segments
from edgevid.targets.tvm.kernels._write import Expr, buffer, function
from edgevid.targets.tvm.network import Copy, Frames

__all__ = ["build", "pack"]


def pack(operation: Copy, weights: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
    """Scales and offsets of pixels."""
    return [np.array(operation.pixels, np.float32).T.copy()] if operation.pixels else []


def build(operation: Copy, name: str) -> Any:
    """The function ``name(source[, pixels], target)``."""
    source, target = operation.source, operation.target
    with function(name) as written:
        data = buffer("source", source.shape, source.dtype)
        pixels = buffer("pixels", (2, source.channels)) if operation.pixels else None
        out = buffer("target", target.shape, target.dtype)
        with T.parallel(0, source.frames) as n:
            for move in segments(source.channels, operation.moves):
                with (
                    T.serial(0, move.stop - move.start) as k,
                    T.serial(0, source.height) as h,
                    T.serial(0, source.width) as w,
                ):
                    c = move.start + k
                    moment, row, column = n % source.segments + move.dt, h + move.dh, w + move.dw
                    read = data[
                        n + move.dt, c // source.block, row * source.width + column, c % source.block
                    ]
                    value = _real(source, read)
                    if pixels is not None:
                        value = value * pixels[0, c] + pixels[1, c]
                    if move.dt or move.dh or move.dw:
                        there = T.And(0 <= moment, moment < source.segments)
                        for place, size in ((row, source.height), (column, source.width)):
                            there = T.And(there, T.And(0 <= place, place < size))
                        value = T.if_then_else(there, value, T.float32(0))
                    at = [n, c // target.block, h * source.width + w, c % target.block]
                    T.buffer_store(out, _stored(target, value), at)
    return written.get()


def _real(frames: Frames, value: Expr) -> Expr:
    """The number that stands in memory, in float32."""
    real = value if frames.dtype == "float32" else T.Cast("float32", value)
    if frames.quantization is None:
        return real
    return (real - T.float32(frames.quantization.zero)) * T.float32(frames.quantization.scale)


def _stored(frames: Frames, value: Expr) -> Expr:
    """A number as it stands in memory: ONNX's QuantizeLinear for bytes."""
    if frames.quantization is None:
        return value
    least, largest = (0, 255) if frames.dtype == "uint8" else (-128, 127)
    steps = T.nearbyint(value / T.float32(frames.quantization.scale)) + T.float32(frames.quantization.zero)
    return T.Cast(frames.dtype, T.min(T.max(steps, T.float32(least)), T.float32(largest)))
