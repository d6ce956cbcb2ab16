"""Frames that are let through, or zeros in their place: what comes from outside of a sequence.

Layouts: source and target ``[1, ceil(C / v), H * W, v]`` of one type; gates uint8 ``[gates]``.
"""

from __future__ import annotations

from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels._write import buffer, function, ramp, spread, unless, when
from edgevid.targets.tvm.network import Gate

__all__ = ["build"]


def build(operation: Gate, name: str) -> Any:
    """The function ``name(source, gates, target)``."""
    target, v = operation.target, operation.target.block
    zero = getattr(T, target.dtype)(0 if target.quantization is None else target.quantization.zero)
    with function(name) as written:
        data = buffer("source", operation.source.shape, operation.source.dtype)
        gates = buffer("gates", operation.gates.shape, operation.gates.dtype)
        out = buffer("target", target.shape, target.dtype)
        with T.parallel(0, target.blocks) as block, T.serial(0, target.positions) as p:
            at, lanes = [0, block, p], ramp(0, v)
            is_open = gates[operation.place] != T.uint8(0)
            with when(is_open):
                T.buffer_store(out, data[(*at, lanes)], [*at, lanes])
            with unless(is_open):
                T.buffer_store(out, spread(zero, v), [*at, lanes])
    return written.get()
