"""Another order of the axes of a row-major tensor. Layouts: plain; any type of number."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels._write import buffer, function
from edgevid.targets.tvm.network import Transposition

__all__ = ["build"]


def build(operation: Transposition, name: str) -> Any:
    """The function ``name(source, target)``."""
    source, target = operation.source, operation.target
    with function(name) as written:
        data = buffer("source", source.shape, source.dtype)
        out = buffer("target", target.shape, target.dtype)
        with ExitStack() as loops:
            loop = T.parallel
            place = []
            for size in target.shape:
                place.append(loops.enter_context(loop(0, size)))
                loop = T.serial
            read = [place[operation.order.index(axis)] for axis in range(len(source.shape))]
            T.buffer_store(out, data[tuple(read)], place)
    return written.get()
