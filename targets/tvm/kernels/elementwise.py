"""Expressions of numbers at one position: activation functions, sums, gates.

Layouts: each source and the target ``[frames, ceil(C / v), H * W, v]``. A source that is 1 along an axis is
read at place 0 of it, for all; one of a single channel is broadcast over lanes. Constants are sources
like all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels._functions import written
from edgevid.targets.tvm.kernels._quantized import restored, stored
from edgevid.targets.tvm.kernels._write import Expr, buffer, function, ramp, spread
from edgevid.targets.tvm.network import Elementwise, Frames

__all__ = ["build", "pack"]


def pack(operation: Elementwise, weights: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
    """``constant0``, ``constant1`` ... [n, t, c, h, w] as frames."""
    constants = operation.sources[len(operation.sources) - operation.constants :]
    return [_packed(weights[f"constant{i}"], frames) for i, frames in enumerate(constants)]


def _packed(values: NDArray[Any], frames: Frames) -> NDArray[np.float32]:
    whole = np.zeros((frames.frames, frames.blocks * frames.block, frames.positions), np.float32)
    whole[:, : frames.channels] = values.reshape(frames.frames, frames.channels, frames.positions)
    blocked = whole.reshape(frames.frames, frames.blocks, frames.block, frames.positions)
    return np.ascontiguousarray(blocked.transpose(0, 1, 3, 2))


def build(operation: Elementwise, name: str) -> Any:
    """The function ``name(source, constants, other sources, target)``."""
    target = operation.target
    v = target.block
    count = len(operation.sources)
    inputs = count - operation.constants
    order = [0, *range(inputs, count), *range(1, inputs)]
    with function(name) as kernel:
        buffers: dict[int, Any] = {}
        for index in order:
            buffers[index] = buffer(
                f"source{index}", operation.sources[index].shape, operation.sources[index].dtype
            )
        out = buffer("target", target.shape, target.dtype)
        with (
            T.parallel(0, target.frames * target.blocks) as task,
            T.serial(0, target.height) as h,
            T.serial(0, target.width) as w,
        ):
            n, block = task // target.blocks, task % target.blocks
            values = [
                T.bind(_read(buffers[index], operation.sources[index], target, (n, block, h, w)))
                for index in range(count)
            ]
            result = stored(target, written(operation.expression, values, v), v)
            T.buffer_store(out, result, [n, block, h * target.width + w, ramp(0, v)])
    return kernel.get()


def _read(data: Any, source: Frames, target: Frames, at: tuple[Expr, Expr, Expr, Expr]) -> Expr:
    """A vector of channels of a source, for that place of the target."""
    n, block, h, w = at
    clip = n // target.segments if source.clips > 1 else 0
    moment = n % target.segments if source.segments > 1 else 0
    frame = n if source.frames == target.frames else clip * source.segments + moment
    position = (h * source.width if source.height > 1 else 0) + (w if source.width > 1 else 0)
    if source.channels == 1 < target.channels:
        return spread(restored(source, data[frame, 0, position, 0], 1), target.block)
    return restored(source, data[frame, block, position, ramp(0, target.block)], target.block)
