"""Which frame of the source an output frame reads."""

from __future__ import annotations

from edgevid.targets.tvm.kernels._write import Expr
from edgevid.targets.tvm.network import Convolution

__all__ = ["source_frame"]


def source_frame(operation: Convolution, n: Expr, tap: int, dt: int) -> tuple[Expr, list[Expr]]:
    """The frame that tap ``tap`` of output frame ``n`` reads of channels that come from ``dt``
    frames later, and the conditions under which it exists: the oldest of a cache always does."""
    if operation.cache is not None and dt:
        return 0, []
    source, target = operation.source, operation.target
    stride = operation.strides[0]
    shift = tap * operation.dilations[0] - operation.pads[0]
    moment = n % target.segments
    exists: list[Expr] = []
    last = (target.segments - 1) * stride
    for offset in sorted({shift, shift + dt}):
        if offset < 0:
            exists.append(moment * stride >= -offset)
        if last + offset >= source.segments:
            exists.append(moment * stride < source.segments - offset)
    if source.segments == target.segments and stride == 1:
        return n + (shift + dt), exists
    return n // target.segments * source.segments + moment * stride + (shift + dt), exists
