"""Short words for writing TIR: a function, a vector, a loop over tiles with a remainder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script import builder as T  # noqa: N812  (TVM's own name for it)

__all__ = [
    "Expr",
    "buffer",
    "clamp",
    "function",
    "number",
    "over_tiles",
    "pick",
    "ramp",
    "real",
    "spread",
    "typed",
    "unless",
    "when",
]

Expr = Any
"""An expression of TIR, or a Python number."""


@contextmanager
def function(name: str) -> Iterator[IRBuilder]:
    """A function under construction; its body is what is written inside, its result ``.get()`` after."""
    with IRBuilder() as written, T.prim_func(s_tir=True):
        T.func_name(name)
        # TVM's scheduler must leave the loops as they are.
        T.func_attr({"tirx.noalias": True, "tirx.is_scheduled": True, "global_symbol": name})
        yield written


def buffer(name: str, shape: Sequence[int], dtype: str = "float32") -> Any:
    """A parameter of the function."""
    return T.arg(name, T.buffer(tuple(shape), dtype))


def ramp(start: Expr, lanes: int) -> Expr:
    """``lanes`` neighbouring elements from ``start`` on; one element is no vector."""
    return start if lanes == 1 else T.ramp(start, 1, lanes)


def clamp(value: Expr, least: float | None, largest: float | None, lanes: int) -> Expr:
    """``value`` within its bounds."""
    if least is not None:
        value = T.max(value, number(least, lanes))
    if largest is not None:
        value = T.min(value, number(largest, lanes))
    return value


def spread(value: Expr, lanes: int) -> Expr:
    """A scalar in all lanes."""
    return value if lanes == 1 else T.broadcast(value, lanes)


def number(value: float, lanes: int) -> Expr:
    """A float32 constant in all lanes."""
    return spread(T.float32(value), lanes)


def pick(vector: Expr, lanes: int, places: Sequence[int]) -> Expr:
    """Lanes of a vector of ``lanes``, each as often as ``places`` name it."""
    # A shuffle may have no more lanes than its operands together.
    return T.Shuffle([vector] * -(-len(places) // lanes), list(places))


def real(value: Expr, lanes: int) -> Expr:
    """A vector of float32, of whatever stands in memory."""
    return T.Cast(typed("float32", lanes), value)


def typed(dtype: str, lanes: int) -> str:
    """TVM's name of a vector's type."""
    return dtype if lanes == 1 else f"{dtype}x{lanes}"


def over_tiles(index: Expr, size: int, tile: int, body: Callable[[int], None]) -> None:
    """Write ``body(tile)`` for whole tiles, and once more for a last one that is smaller."""
    whole, rest = divmod(size, tile)
    if not rest:
        body(tile)
    elif not whole:
        body(rest)
    else:
        with T.If(index < whole):
            with T.Then():
                body(tile)
            with T.Else():
                body(rest)


@contextmanager
def when(*conditions: Expr) -> Iterator[None]:
    """Only if all hold; those that hold always (True) cost nothing."""
    whole = _all_of(conditions)
    if whole is None:
        yield
        return
    with T.If(whole), T.Then():
        yield


@contextmanager
def unless(*conditions: Expr) -> Iterator[None]:
    """Only if one does not hold."""
    with T.If(T.Not(_all_of(conditions))), T.Then():
        yield


def _all_of(conditions: Sequence[Expr]) -> Expr | None:
    whole = None
    for condition in conditions:
        if condition is not True:
            whole = condition if whole is None else T.And(whole, condition)
    return whole
