"""Maximum and average pooling over time, height and width, of float32 or bytes.

Layouts: source ``[frames, ceil(C / b), H * W, b]``, target ``[frames, ceil(C / b), OH * OW, b]``. A maximum
of bytes is a byte of the same scale; an average is float32. Places outside count for nothing, or,
with ``count_pads``, as zeros of an average.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels._write import Expr, buffer, function, ramp, when
from edgevid.targets.tvm.network import Pool

__all__ = ["build"]

_LEAST = {"float32": -math.inf, "uint8": 0, "int8": -128}


def build(operation: Pool, name: str) -> Any:
    """The function ``name(source, target)``."""
    source, target = operation.source, operation.target
    v = target.block
    average = operation.kind == "average"
    restored = source.quantization if average else None
    with function(name) as written:
        data = buffer("source", source.shape, source.dtype)
        out = buffer("target", target.shape, target.dtype)

        def number(value: float, dtype: str) -> Expr:
            scalar = T.float32(value) if dtype == "float32" else getattr(T, dtype)(int(value))
            return scalar if v == 1 else T.broadcast(scalar, v)

        with (
            T.parallel(0, target.frames * target.blocks) as task,
            T.serial(0, target.height) as row,
            T.serial(0, target.width) as column,
        ):
            n, block = task // target.blocks, task % target.blocks
            place = (n % target.segments, row, column)
            begins = [
                at * stride - pad
                for at, stride, pad in zip(place, operation.strides, operation.pads, strict=True)
            ]
            summed = "int32" if average and source.dtype != "float32" else target.dtype
            result = T.alloc_buffer((v,), summed, scope="local")
            T.buffer_store(result, number(0 if average else _LEAST[source.dtype], summed), [ramp(0, v)])
            clip = n // target.segments
            with (
                T.serial(0, operation.kernel[0]) as t,
                T.serial(0, operation.kernel[1]) as y,
                T.serial(0, operation.kernel[2]) as x,
            ):
                at = [begin + offset for begin, offset in zip(begins, (t, y, x), strict=True)]
                with when(*(inside for axis in range(3) for inside in _inside(operation, axis, at[axis]))):
                    position = at[1] * source.width + at[2]
                    value = data[clip * source.segments + at[0], block, position, ramp(0, v)]
                    if average:
                        value = value if source.dtype == "float32" else T.Cast(_vector("int32", v), value)
                        if restored is not None and restored.zero:
                            value = value - number(restored.zero, "int32")
                        value = result[ramp(0, v)] + value
                    else:
                        value = T.max(result[ramp(0, v)], value)
                    T.buffer_store(result, value, [ramp(0, v)])
            value = result[ramp(0, v)]
            if average:
                count, step = _count(operation, begins), 1.0 if restored is None else restored.scale
                if isinstance(count, int):
                    scale = T.float32(step / count)
                else:
                    scale = T.float32(step) / T.Cast("float32", count)
                real = value if source.dtype == "float32" else T.Cast(_vector("float32", v), value)
                value = real * (scale if v == 1 else T.broadcast(scale, v))
            T.buffer_store(out, value, [n, block, row * target.width + column, ramp(0, v)])
    return written.get()


def _count(operation: Pool, begins: Sequence[Expr]) -> Expr:
    """What the sum of a window that begins there is divided by."""
    source, target = operation.source, operation.target
    sizes = (source.segments, source.height, source.width)
    outputs = (target.segments, target.height, target.width)
    count: Expr = 1
    for axis, (begin, size, reach) in enumerate(zip(begins, sizes, operation.kernel, strict=True)):
        first = 0
        if operation.count_pads:
            first, size = -operation.pads[axis], size + operation.ends[axis]
        last = (outputs[axis] - 1) * operation.strides[axis] - operation.pads[axis] + reach
        whole = first <= -operation.pads[axis] and last <= size
        count = count * (reach if whole else T.min(begin + reach, size) - T.max(begin, first))
    return count


def _vector(dtype: str, lanes: int) -> str:
    return dtype if lanes == 1 else f"{dtype}x{lanes}"


def _inside(operation: Pool, axis: int, place: Expr) -> list[Expr]:
    """The conditions under which a window's place is inside; none where it always is."""
    source, target = operation.source, operation.target
    size = (source.segments, source.height, source.width)[axis]
    outputs = (target.segments, target.height, target.width)[axis]
    first = -operation.pads[axis]
    last = (outputs - 1) * operation.strides[axis] + operation.kernel[axis] - 1 + first
    return [*([place >= 0] if first < 0 else []), *([place < size] if last >= size else [])]
