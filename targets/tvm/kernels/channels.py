"""Runs of channels of several activations, one after another: concatenations and slices.

Layouts: each source and the target ``[frames, ceil(C / v), H * W, v]``, all of one type. Runs that begin at
a block on both sides are copied by whole vectors, others by parts of vectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels._write import buffer, function, ramp
from edgevid.targets.tvm.network import Channels, Part

__all__ = ["build"]


@dataclass(frozen=True)
class _Run:
    """``width`` lanes of each of ``count`` blocks, from block ``source`` to block ``target`` on."""

    source: int
    target: int
    source_lane: int
    target_lane: int
    width: int
    count: int


def _runs(part: Part, place: int, block: int) -> Iterator[_Run]:
    """Where the channels of a part, which begin at ``place`` of the target, go."""
    pieces: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
    start = part.start
    while start < part.stop:
        width = min(part.stop - start, block - start % block, block - place % block)
        lanes = (start % block, place % block, width)
        pieces.setdefault(lanes, []).append((start // block, place // block))
        start, place = start + width, place + width
    # Pieces of the same lanes are a block apart: one loop.
    for (source_lane, target_lane, width), blocks in pieces.items():
        yield _Run(*blocks[0], source_lane, target_lane, width, len(blocks))


def build(operation: Channels, name: str) -> Any:
    """The function ``name(sources, target)``."""
    target = operation.target
    v = target.block
    with function(name) as written:
        data = [
            buffer(f"source{index}", source.shape, source.dtype)
            for index, source in enumerate(operation.sources)
        ]
        out = buffer("target", target.shape, target.dtype)
        with T.parallel(0, target.frames) as n:
            place = 0
            for part in operation.parts:
                for run in _runs(part, place, v):
                    with T.serial(0, run.count) as i, T.serial(0, target.positions) as p:
                        value = data[part.index][n, run.source + i, p, ramp(run.source_lane, run.width)]
                        T.buffer_store(out, value, [n, run.target + i, p, ramp(run.target_lane, run.width)])
                place += part.stop - part.start
    return written.get()
