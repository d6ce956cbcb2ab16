"""Copies: another block or type, a shift that no layer takes along, normalized pixels.

Layouts: source ``[frames, ceil(C / a), H * W, a]``, target ``[frames, ceil(C / b), H * W, b]``; of pixels a
further ``[2, C]`` of scales and offsets; a cache as in `_cache`. Between blocks of one size whole vectors
are copied, and pixels become groups of four bytes 16 at a time; all else goes channel by channel, at the
borders of the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product as pairs
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels import _cache
from edgevid.targets.tvm.kernels._dot import GROUP
from edgevid.targets.tvm.kernels._quantized import restored, stored
from edgevid.targets.tvm.kernels._segments import lanes, segments
from edgevid.targets.tvm.kernels._write import (
    Expr,
    buffer,
    clamp,
    function,
    over_tiles,
    pick,
    ramp,
    unless,
    when,
)
from edgevid.targets.tvm.network import Copy, Move

__all__ = ["build", "pack"]

_PIXELS = 16


def pack(operation: Copy, weights: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
    """Scales and offsets of pixels; in steps of the target where pixels become groups."""
    if not operation.pixels:
        return []
    if not _groups_pixels(operation):
        return [np.array(operation.pixels, np.float32).T.copy()]
    assert operation.target.quantization is not None
    steps = np.zeros((2, GROUP))
    steps[:, : len(operation.pixels)] = np.array(operation.pixels).T / operation.target.quantization.scale
    return [np.tile(steps.astype(np.float32), _PIXELS)]


def build(operation: Copy, name: str) -> Any:
    """The function ``name(source[, cache][, pixels], target)``."""
    source, target = operation.source, operation.target
    grouped = _groups_pixels(operation)
    shape = (2, GROUP * _PIXELS if grouped else source.channels)
    with function(name) as written:
        data = buffer("source", source.shape, source.dtype)
        kept = _cache.parameter(operation)
        pixels = buffer("pixels", shape) if operation.pixels else None
        out = buffer("target", target.shape, target.dtype)
        with T.parallel(0, target.frames) as n:
            if grouped:
                _pixels(operation, data, pixels, out, n)
            else:
                for move in segments(source.channels, operation.moves):
                    if _cache.cached(operation, move):
                        _from_cache(operation, move, kept, out)
                    elif pixels is None and source.block == target.block:
                        _vectors(operation, move, data, out, n)
                    else:
                        _channels(operation, move, data, pixels, out, n)
    return written.get()


def _groups_pixels(operation: Copy) -> bool:
    """Whether pixels become groups of four bytes, as the first int8 convolution reads them."""
    target = operation.target
    few = operation.source.channels == operation.source.block <= GROUP == target.block
    return bool(operation.pixels) and not operation.moves and target.quantization is not None and few


def _pixels(operation: Copy, data: Any, pixels: Any, out: Any, n: Expr) -> None:
    """A fused multiplication and addition for each byte; missing colours are the zero point."""
    source, target = operation.source, operation.target
    assert target.quantization is not None
    zero = target.quantization.zero
    least, largest = (limit - zero for limit in ((0, 255) if target.dtype == "uint8" else (-128, 127)))

    def some(count: int) -> None:
        wide, first = count * GROUP, i * _PIXELS
        wanted = pairs(range(count), range(GROUP))
        colours = [pixel * source.block + min(lane, source.block - 1) for pixel, lane in wanted]
        read = T.bind(data[n, 0, first, ramp(0, count * source.block)])
        read = pick(read, count * source.block, colours)
        real = T.call_llvm_pure_intrin(
            f"float32x{wide}",
            "llvm.fma",
            T.Cast(f"float32x{wide}", read),
            *(pixels[row, ramp(0, wide)] for row in (0, 1)),
        )
        whole = T.Cast(f"int32x{wide}", T.nearbyint(clamp(real, least, largest, wide)))
        if zero:
            whole = whole + T.broadcast(T.int32(zero), wide)
        T.buffer_store(out, T.Cast(f"{target.dtype}x{wide}", whole), [n, 0, first, ramp(0, wide)])

    with T.serial(0, -(-source.positions // _PIXELS)) as i:
        over_tiles(i, source.positions, _PIXELS, some)


def _vectors(operation: Copy, move: Move, data: Any, out: Any, n: Expr) -> None:
    """The lanes of a block together; integers of one scale as they are."""
    source, target = operation.source, operation.target
    same = (source.dtype, source.quantization) == (target.dtype, target.quantization)
    zero = 0 if target.quantization is None else target.quantization.zero
    for part in lanes(move.start, move.stop, source.block):
        with (
            T.serial(0, part.count) as i,
            T.serial(0, source.height) as h,
            T.serial(0, source.width) as w,
        ):
            block, lane = part.block + i, ramp(part.first, part.width)
            at = [n, block, h * source.width + w, lane]
            inside = _inside(operation, move, n, h, w)
            with when(*inside):
                value = data[n + move.dt, block, (h + move.dh) * source.width + w + move.dw, lane]
                if not same:
                    value = stored(target, restored(source, value, part.width), part.width)
                T.buffer_store(out, value, at)
            if inside:
                nothing = getattr(T, target.dtype)(zero)
                with unless(*inside):
                    T.buffer_store(out, nothing if part.width == 1 else T.broadcast(nothing, part.width), at)


def _channels(operation: Copy, move: Move, data: Any, pixels: Any, out: Any, n: Expr) -> None:
    """Number by number."""
    source, target = operation.source, operation.target
    with (
        T.serial(0, move.stop - move.start) as k,
        T.serial(0, source.height) as h,
        T.serial(0, source.width) as w,
    ):
        c = move.start + k
        row, column = h + move.dh, w + move.dw
        read = data[n + move.dt, c // source.block, row * source.width + column, c % source.block]
        value = restored(source, read, 1)
        if pixels is not None:
            value = value * pixels[0, c] + pixels[1, c]
        inside = _inside(operation, move, n, h, w)
        if inside:
            there = inside[0]
            for condition in inside[1:]:
                there = T.And(there, condition)
            value = T.if_then_else(there, value, T.float32(0))
        at = [n, c // target.block, h * source.width + w, c % target.block]
        T.buffer_store(out, stored(target, value, 1), at)


def _from_cache(operation: Copy, move: Move, kept: Any, out: Any) -> None:
    """Number by number, of the only frame."""
    cache, target = operation.cache, operation.target
    assert cache is not None
    with T.serial(0, cache.channels) as k, T.serial(0, cache.positions) as p:
        c = move.start + k
        read = kept[0, k // cache.block, p, k % cache.block]
        value = stored(target, restored(cache, read, 1), 1)
        T.buffer_store(out, value, [0, c // target.block, p, c % target.block])


def _inside(operation: Copy, move: Move, n: Expr, h: Expr, w: Expr) -> list[Expr]:
    """The conditions under which what a move reads exists; none where it always does."""
    source = operation.source
    steps = (
        (n % source.segments, move.dt, source.segments),
        (h, move.dh, source.height),
        (w, move.dw, source.width),
    )
    found: list[Expr] = []
    for place, step, size in steps:
        if step:
            found.append(place + step >= 0 if step < 0 else place + step < size)
    return found
