"""Functions of one or two numbers as vector instructions, the same on every CPU.

Exponentials are polynomials: LLVM would call the C library lane by lane. Errors are of a few units in the
last place (exp, tanh, sigmoid), or 5e-7 (erf). Sources: S. Moshier, Cephes (exp, tanh);
M. Abramowitz and I. Stegun, Handbook of Mathematical Functions, 7.1.26 (erf).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels._write import Expr, number, spread, typed
from edgevid.targets.tvm.network import Apply, Expression, Source

__all__ = ["FUNCTIONS", "exponential", "written"]


class _Vector:
    """Words for vectors of ``lanes`` numbers."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes

    def number(self, value: float) -> Expr:
        return number(value, self.lanes)

    def whole(self, value: int) -> Expr:
        return spread(T.int32(value), self.lanes)

    def polynomial(self, x: Expr, coefficients: Sequence[float]) -> Expr:
        """The highest power's coefficient first."""
        result = self.number(coefficients[0])
        for coefficient in coefficients[1:]:
            result = result * x + self.number(coefficient)
        return result


def exponential(x: Expr, lanes: int) -> Expr:
    """``e ** x``; 0 and 3.4e38 beyond what float32 holds."""
    v = _Vector(lanes)
    x = T.bind(T.min(T.max(x, v.number(-87.33)), v.number(88.72)))
    whole = T.bind(T.floor(x * v.number(1.44269504088896341) + v.number(0.5)))
    # log(2) in two parts, the first exact in float32 times any such whole number.
    rest = T.bind(x - whole * v.number(0.693359375) - whole * v.number(-2.12194440e-4))
    series = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5)
    power = T.bind(v.polynomial(rest, series) * rest * rest + rest + v.number(1))
    # Twice half the exponent: the whole of it may be 128, which no float32 holds.
    steps = T.bind(T.Cast(typed("int32", lanes), whole))
    half = T.bind(T.shift_right(steps, v.whole(1)))
    return power * _power_of_two(v, half) * _power_of_two(v, steps - half)


def _power_of_two(v: _Vector, exponent: Expr) -> Expr:
    bits = T.shift_left(exponent + v.whole(127), v.whole(23))
    return T.reinterpret(typed("float32", v.lanes), bits)


def _sigmoid(v: _Vector, x: Expr) -> Expr:
    return v.number(1) / (v.number(1) + exponential(v.number(0) - x, v.lanes))


def _tanh(v: _Vector, x: Expr) -> Expr:
    x = T.bind(x)
    size = T.bind(T.max(x, v.number(0) - x))
    square = T.bind(x * x)
    series = (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
    near = T.bind(v.polynomial(square, series) * square * x + x)
    far = T.bind(v.number(1) - v.number(2) / (exponential(size + size, v.lanes) + v.number(1)))
    signed = T.Select(x < v.number(0), v.number(0) - far, far)
    return T.Select(size < v.number(0.625), near, signed)


def _erf(v: _Vector, x: Expr) -> Expr:
    x = T.bind(x)
    size = T.bind(T.max(x, v.number(0) - x))
    t = T.bind(v.number(1) / (v.number(1) + v.number(0.3275911) * size))
    series = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592, 0.0)
    far = T.bind(v.number(1) - v.polynomial(t, series) * exponential(v.number(0) - size * size, v.lanes))
    return T.Select(x < v.number(0), v.number(0) - far, far)


FUNCTIONS: Mapping[str, Callable[..., Expr]] = MappingProxyType(
    {
        "add": lambda _, a, b: a + b,
        "sub": lambda _, a, b: a - b,
        "mul": lambda _, a, b: a * b,
        "div": lambda _, a, b: a / b,
        "max": lambda _, a, b: T.max(a, b),
        "min": lambda _, a, b: T.min(a, b),
        "neg": lambda v, a: v.number(0) - a,
        "sqrt": lambda _, a: T.sqrt(a),
        "exp": lambda v, a: exponential(a, v.lanes),
        "sigmoid": _sigmoid,
        "tanh": _tanh,
        "erf": _erf,
    }
)
"""By the names that `Apply` uses; the first argument knows the lanes."""


def written(expression: Expression, sources: Sequence[Expr], lanes: int) -> Expr:
    """The expression of vectors ``sources``."""
    vector = _Vector(lanes)

    def value(part: Expression) -> Expr:
        if isinstance(part, Source):
            return sources[part.index]
        if isinstance(part, Apply):
            return T.bind(FUNCTIONS[part.function](vector, *(value(argument) for argument in part.arguments)))
        return vector.number(part)

    return value(expression)
