"""Softmax in float32.

Layouts: source and target ``[outer, numbers]`` or ``[outer, numbers, inner]``, row-major; sums run over the
numbers. The largest number is taken off first, so that no exponential overflows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels._functions import exponential
from edgevid.targets.tvm.kernels._write import Expr, buffer, function, number, over_tiles, ramp, spread
from edgevid.targets.tvm.network import Softmax

__all__ = ["build"]

_LANES = 16
"""LLVM splits these vectors where registers are shorter."""


def build(operation: Softmax, name: str) -> Any:
    """The function ``name(source, target)``."""
    outer, numbers, *across = operation.source.shape
    with function(name) as written:
        data = buffer("source", operation.source.shape)
        out = buffer("target", operation.target.shape)
        if not across:
            with T.parallel(0, outer) as o:
                _along_memory(data, out, o, numbers)
        else:
            (inner,) = across
            chunks = -(-inner // _LANES)
            with T.parallel(0, outer * chunks) as task:
                o, chunk = task // chunks, task % chunks
                over_tiles(
                    chunk, inner, _LANES, lambda lanes: _across(data, out, o, chunk * _LANES, lanes, numbers)
                )
    return written.get()


def _across(data: Any, out: Any, o: Expr, first: Expr, lanes: int, numbers: int) -> None:
    """Each lane its own softmax."""
    largest = T.alloc_buffer((lanes,), "float32", scope="local")
    total = T.alloc_buffer((lanes,), "float32", scope="local")
    every = ramp(0, lanes)
    T.buffer_store(largest, data[o, 0, ramp(first, lanes)], [every])
    with T.serial(0, numbers) as i:
        T.buffer_store(largest, T.max(largest[every], data[o, i, ramp(first, lanes)]), [every])
    T.buffer_store(total, number(0, lanes), [every])
    with T.serial(0, numbers) as i:
        power = T.bind(exponential(data[o, i, ramp(first, lanes)] - largest[every], lanes))
        T.buffer_store(out, power, [o, i, ramp(first, lanes)])
        T.buffer_store(total, total[every] + power, [every])
    with T.serial(0, numbers) as i:
        T.buffer_store(out, out[o, i, ramp(first, lanes)] / total[every], [o, i, ramp(first, lanes)])


def _along_memory(data: Any, out: Any, o: Expr, numbers: int) -> None:
    """One softmax of neighbours: lanes are summed at the end."""
    state = T.alloc_buffer((2,), "float32", scope="local")
    every = ramp(0, _LANES)

    def reduced(
        place: int, start: float, word: Callable[..., Expr], value: Callable[[Expr, int], Expr]
    ) -> None:
        lanes = T.alloc_buffer((_LANES,), "float32", scope="local")
        T.buffer_store(lanes, number(start, _LANES), [every])
        T.buffer_store(state, T.float32(start), [place])
        with T.serial(0, numbers // _LANES) as i:
            T.buffer_store(lanes, word(lanes[every], value(i * _LANES, _LANES)), [every])
        with T.serial(0, numbers % _LANES) as i:
            T.buffer_store(state, word(state[place], value(numbers // _LANES * _LANES + i, 1)), [place])
        with T.serial(0, _LANES) as lane:
            T.buffer_store(state, word(state[place], lanes[lane]), [place])

    def powers(first: Expr, lanes: int) -> Expr:
        largest = spread(state[0], lanes)
        power = T.bind(exponential(data[o, ramp(first, lanes)] - largest, lanes))
        T.buffer_store(out, power, [o, ramp(first, lanes)])
        return power

    reduced(0, -3.4e38, T.max, lambda first, lanes: data[o, ramp(first, lanes)])
    reduced(1, 0, lambda a, b: a + b, powers)
    with T.serial(0, numbers) as i:
        T.buffer_store(out, out[o, i] / state[1], [o, i])
