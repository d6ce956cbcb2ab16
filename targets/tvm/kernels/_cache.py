"""The cache of a shift in a network that takes frame by frame: its oldest frame is read, and a newest left.

Layout ``[lag, C / a, H * W, a]``, the oldest frame first: whole blocks, so that it holds no byte but its
channels'. In kernels of convolutions they are the source's first channels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels._segments import Lanes, lanes
from edgevid.targets.tvm.kernels._write import Expr, buffer, ramp
from edgevid.targets.tvm.network import Convolution, Copy, Frames, Move

__all__ = [
    "cached",
    "channels_of",
    "keep",
    "keep_tile",
    "keeps_tiles",
    "lane_of",
    "last_bytes",
    "leave",
    "parameter",
]


def parameter(operation: Convolution | Copy) -> Any:
    """The cache as the parameter behind the source; None where there is none."""
    cache = operation.cache
    return None if cache is None else buffer("cache", cache.shape, cache.dtype)


def cached(operation: Convolution | Copy, move: Move) -> bool:
    """Whether the channels of a move are read from the cache."""
    return operation.cache is not None and move.dt != 0


def channels_of(operation: Convolution, move: Move, data: Any, kept: Any) -> tuple[Any, Iterator[Lanes]]:
    """The buffer that the channels of a move are read from, and their blocks there."""
    if operation.cache is not None and move.dt:
        return kept, lanes(0, operation.cache.channels, operation.cache.block)
    return data, lanes(move.start, move.stop, operation.source.block)


def lane_of(cache: Frames, source: Frames, block: Expr, lane: int) -> tuple[Expr, Expr]:
    """Where in a cache of the first channels that lane of the source's ``block`` stands."""
    if cache.block == source.block:
        return block, lane
    return 0, block * source.block + lane  # the cache is one block


def last_bytes(operation: Convolution, kept: Any, start: int, position: Expr) -> Expr:
    """The bytes of the oldest frame's channels from ``start`` on, fewer than four, in an int32.

    Beside them stands what is not theirs, or nothing at all.
    """
    cache = operation.cache
    assert cache is not None
    count, size = cache.channels - start, math.prod(cache.shape)
    wanted = position * cache.channels + start  # fewer than a group do not fill blocks: it is one
    if size < 4:
        word = T.int32(0)
        for k in range(count):
            byte = T.reinterpret("uint8", kept[0, 0, 0, wanted + k])
            word = T.bitwise_or(word, T.shift_left(T.Cast("int32", byte), T.int32(8 * k)))
        return word
    # Four at once, but none behind the last one.
    first = T.min(wanted, T.int32(size - 4))
    word = T.shift_right(T.reinterpret("int32", kept[0, 0, 0, ramp(first, 4)]), (wanted - first) * 8)
    return T.bitwise_and(word, T.int32((1 << 8 * count) - 1))


def leave(operation: Convolution, kept: Any, data: Any) -> None:
    """What a convolution that keeps does last."""
    if operation.cache is not None and operation.keeps:
        keep(operation.cache, kept, operation.source, data)


def keep(cache: Frames, kept: Any, source: Frames, data: Any, start: int = 0) -> None:
    """Write the loops by which the channels from ``start`` on become the newest; after all else is read."""
    with T.parallel(0, cache.height) as row:
        first = row * cache.width
        if cache.segments > 1:
            with (
                T.serial(0, cache.segments - 1) as frame,
                T.serial(0, cache.blocks) as b,
                T.serial(0, cache.width) as w,
                T.serial(0, cache.block) as lane,
            ):
                T.buffer_store(kept, kept[frame + 1, b, first + w, lane], [frame, b, first + w, lane])
        if not _in_lanes(cache, source, start):
            _one_by_one(cache, kept, source, data, start, first)
            return
        for part in lanes(start, start + cache.channels, source.block):
            with T.serial(0, part.count) as i, T.serial(0, cache.width) as w:
                _store(cache, kept, source, data, start, part, part.block + i, first + w)


def keeps_tiles(operation: Convolution) -> bool:
    """Whether what it leaves at a position can be left as soon as the position is computed.

    It stands in the processor's nearest cache then: written at the end, it would be fetched again.
    """
    cache = operation.cache
    if cache is None or not operation.keeps or cache.segments > 1 or operation.kernel != (1, 1, 1):
        return False
    return _in_lanes(cache, operation.source, 0)


def keep_tile(operation: Convolution, kept: Any, data: Any, first: Expr, positions: int) -> None:
    """Write the newest at ``positions`` from ``first`` on."""
    cache, source = operation.cache, operation.source
    assert cache is not None
    for part in lanes(0, cache.channels, source.block):
        with T.serial(0, part.count) as i:
            for k in range(positions):
                _store(cache, kept, source, data, 0, part, part.block + i, first + k)


def _in_lanes(cache: Frames, source: Frames, start: int) -> bool:
    """Whether neighbouring lanes of the source are neighbours in the cache."""
    return cache.blocks == 1 or _aligned(cache, source, start)


def _aligned(cache: Frames, source: Frames, start: int) -> bool:
    return cache.block == source.block and start % cache.block == 0


def _store(
    cache: Frames, kept: Any, source: Frames, data: Any, start: int, part: Lanes, block: Expr, position: Expr
) -> None:
    value = data[0, block, position, ramp(part.first, part.width)]
    to, lane = 0, block * source.block + part.first - start
    if _aligned(cache, source, start):
        to, lane = block - start // cache.block, part.first
    T.buffer_store(kept, value, [cache.segments - 1, to, position, ramp(lane, part.width)])


def _one_by_one(cache: Frames, kept: Any, source: Frames, data: Any, start: int, first: Expr) -> None:
    with T.serial(0, cache.channels) as c, T.serial(0, cache.width) as w:
        value = data[0, (start + c) // source.block, first + w, (start + c) % source.block]
        T.buffer_store(kept, value, [cache.segments - 1, c // cache.block, first + w, c % cache.block])
