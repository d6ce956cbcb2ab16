"""Operations number by number, joined into expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgevid.targets.tvm.network import Apply, Elementwise, Expression, Frames, Layer, Source
from edgevid.targets.tvm.reading.epilogues import bounds_of
from edgevid.targets.tvm.reading.state import State
from edgevid.targets.tvm.reading.values import Value, View

__all__ = ["ELEMENTWISE", "batch_normalization", "elementwise"]

Written = Callable[[State, ir.Node, "list[Expression]"], "Expression | None"]


def elementwise(state: State, node: ir.Node) -> Value | None:
    """An expression of the inputs; those that are expressions themselves, and nobody else's, are taken in."""
    shape = state.shape(node)
    views = {
        index: view for index in range(len(node.inputs)) if (view := state.view(node, index)) is not None
    }
    main = next((view for view in views.values() if view.shape == shape), None)
    if main is None:
        return None
    target = replace(main.frames, block=state.block, dtype="float32", quantization=None)
    terms = _Terms(state, target)
    arguments: list[Expression] = []
    for index, value in enumerate(node.inputs):
        if value is None:
            continue
        constant = state.constant(node, index)
        if constant is not None:
            term = terms.constant(constant, main)
        elif index in views and (aligned := _aligned(views[index], main)) is not None:
            term = terms.view(node, index, aligned)
        else:
            return None
        if term is None:
            return None
        arguments.append(term)
    expression = ELEMENTWISE[node.op_type](state, node, arguments)
    return None if expression is None else terms.layer(expression, str(node.name), main)


def batch_normalization(state: State, node: ir.Node) -> Value | None:
    """One that no convolution took in: a factor and a number a channel."""
    view = state.view(node)
    given = [state.constant(node, index) for index in range(1, 5)]
    if view is None or len(node.outputs) != 1 or view.axes[1] != ("c",):
        return None
    numbers = [array.astype(np.float64) for array in given if array is not None]
    if len(numbers) != 4:
        return None
    scale, bias, mean, variance = numbers
    factor = scale / np.sqrt(variance + node.attributes.get_float("epsilon", 1e-5))
    target = replace(view.frames, block=state.block, dtype="float32", quantization=None)
    terms = _Terms(state, target)
    channels = (-1, *([1] * (len(view.axes) - 2)))
    x = terms.view(node, 0, view)
    a, b = (
        terms.constant(array.astype(np.float32).reshape(channels), view)
        for array in (factor, bias - mean * factor)
    )
    if a is None or b is None:
        return None
    return terms.layer(Apply("add", (Apply("mul", (x, a)), b)), str(node.name), view)


def _aligned(view: View, main: View) -> View | None:
    """A view whose axes are those of ``main``, or 1."""
    axes = ((),) * (len(main.axes) - len(view.axes)) + view.axes
    if len(axes) != len(main.axes):
        return None
    sizes, wanted = view.sizes, main.sizes
    for mine, theirs in zip(axes, main.axes, strict=True):
        have = tuple(label for label in mine if sizes[label] > 1)
        if have and have != tuple(label for label in theirs if wanted[label] > 1):
            return None
        if any(sizes[label] not in (1, wanted[label]) for label in mine):
            return None
    return view


class _Terms:
    """Sources of an expression under construction: inputs, and constants numbered from -1 down."""

    def __init__(self, state: State, target: Frames) -> None:
        self.state, self.target = state, target
        self.inputs: list[View] = []
        self.constants: list[NDArray[Any]] = []
        self.absorbed: list[Layer] = []

    def view(self, node: ir.Node, index: int, view: View) -> Expression:
        """What input ``index`` adds to the expression."""
        layer = self.state.own(node, index)
        if layer is not None and isinstance(layer.operation, Elementwise):
            operation = layer.operation
            # A gate computed once must not be computed again at every position.
            if operation.target == self.target:
                self.absorbed.append(layer)
                taken = zip(layer.inputs, operation.sources, strict=False)
                inputs = [self._input(View(name, frames, view.axes)) for name, frames in taken]
                constants = [self._constant(array) for array in layer.weights.values()]
                return _renumbered(operation.expression, [*inputs, *constants])
        return self._input(self.state.ready(view))

    def constant(self, values: NDArray[Any], main: View) -> Expression | None:
        """A number, or a constant source laid out as ``main``'s axes say."""
        if values.dtype.kind != "f" or values.ndim > len(main.axes):
            return None
        if values.size == 1:
            return float(values.reshape(-1)[0])
        sizes = main.sizes
        labels: list[str] = []
        shape: list[int] = []
        padded = (1,) * (len(main.axes) - values.ndim) + values.shape
        for size, axis in zip(padded, main.axes, strict=True):
            for label in axis:
                labels.append(label)
                shape.append(1 if size == 1 else sizes[label])
        labelled = values.reshape(shape)
        order = [labels.index(label) for label in "ntchw" if label in labels]
        kept = [label for label in "ntchw" if label in labels]
        ordered = labelled.transpose(order)
        full = [ordered.shape[kept.index(label)] if label in kept else 1 for label in "ntchw"]
        return self._constant(ordered.reshape(full))

    def _input(self, view: View) -> Expression:
        names = [known.name for known in self.inputs]
        if view.name not in names:
            self.inputs.append(view)
            return Source(len(self.inputs) - 1)
        return Source(names.index(view.name))

    def _constant(self, values: NDArray[Any]) -> Expression:
        self.constants.append(np.asarray(values, np.float32))
        return Source(-len(self.constants))

    def layer(self, expression: Expression, name: str, main: View) -> View:
        """The layer of the whole expression."""
        for layer in self.absorbed:
            self.state.remove(layer)
        count = len(self.inputs)
        places: dict[int, Expression] = {-1 - i: Source(count + i) for i in range(len(self.constants))}
        places |= {i: Source(i) for i in range(count)}
        fixed = [
            Frames(n, t, c, h, w, self.state.block)
            for n, t, c, h, w in (array.shape for array in self.constants)
        ]
        operation = Elementwise(
            _renumbered(expression, places),
            (*(view.frames for view in self.inputs), *fixed),
            self.target,
            len(fixed),
        )
        weights = {f"constant{i}": array for i, array in enumerate(self.constants)}
        return self.state.frames(operation, [view.name for view in self.inputs], name, main.axes, weights)


def _renumbered(expression: Expression, places: Mapping[int, Expression] | list[Expression]) -> Expression:
    if isinstance(expression, Source):
        return places[expression.index]
    if isinstance(expression, Apply):
        return replace(expression, arguments=tuple(_renumbered(a, places) for a in expression.arguments))
    return expression


# What ONNX's operations are as expressions.


def _plain(name: str) -> Written:
    return lambda _state, _node, arguments: Apply(name, tuple(arguments))


def _many(name: str) -> Written:
    """Of any number of inputs."""

    def written(_state: State, _node: ir.Node, arguments: list[Expression]) -> Expression:
        result = arguments[0]
        for argument in arguments[1:]:
            result = Apply(name, (result, argument))
        return result

    return written


def _within(x: Expression, least: float | None, largest: float | None) -> Expression:
    if least is not None:
        x = Apply("max", (x, least))
    return x if largest is None else Apply("min", (x, largest))


def _clip(state: State, node: ir.Node, arguments: list[Expression]) -> Expression | None:
    limits = bounds_of(state, node)
    return None if limits is None else _within(arguments[0], *limits)


def _leaky(_state: State, node: ir.Node, arguments: list[Expression]) -> Expression:
    slope: Expression = node.attributes.get_float("alpha", 0.01)
    slope = arguments[1] if node.op_type == "PRelu" else slope
    below = Apply("mul", (slope, Apply("min", (arguments[0], 0.0))))
    return Apply("add", (Apply("max", (arguments[0], 0.0)), below))


def _exponential(_state: State, node: ir.Node, arguments: list[Expression]) -> Expression:
    """Elu, Selu and Celu: ``gain * (max(x, 0) + alpha * (e ** (min(x, 0) / width) - 1))``."""
    x, kind = arguments[0], node.op_type
    alpha = node.attributes.get_float("alpha", 1.6732632 if kind == "Selu" else 1.0)
    width = alpha if kind == "Celu" else 1.0
    power = Apply("exp", (Apply("mul", (Apply("min", (x, 0.0)), 1 / width)),))
    below = Apply("mul", (Apply("sub", (power, 1.0)), alpha))
    gain = node.attributes.get_float("gamma", 1.0507010) if kind == "Selu" else 1.0
    return Apply("mul", (Apply("add", (Apply("max", (x, 0.0)), below)), gain))


def _swish(_state: State, node: ir.Node, arguments: list[Expression]) -> Expression:
    x, slope = arguments[0], node.attributes.get_float("alpha", 1.0)
    return Apply("mul", (x, Apply("sigmoid", (Apply("mul", (x, slope)),))))


def _hard(_state: State, node: ir.Node, arguments: list[Expression]) -> Expression:
    swish = node.op_type == "HardSwish"
    slope = 1 / 6 if swish else node.attributes.get_float("alpha", 0.2)
    start = 0.5 if swish else node.attributes.get_float("beta", 0.5)
    gate = _within(Apply("add", (Apply("mul", (arguments[0], slope)), start)), 0.0, 1.0)
    return Apply("mul", (arguments[0], gate)) if swish else gate


def _gelu(_state: State, node: ir.Node, arguments: list[Expression]) -> Expression:
    x = arguments[0]
    if node.attributes.get_string("approximate", "none") == "tanh":
        cube = Apply("mul", (Apply("mul", (x, x)), x))
        inner = Apply("mul", (Apply("add", (x, Apply("mul", (cube, 0.044715)))), 0.7978845608))
        gate = Apply("tanh", (inner,))
    else:
        gate = Apply("erf", (Apply("mul", (x, 0.7071067812)),))
    return Apply("mul", (Apply("mul", (x, 0.5)), Apply("add", (gate, 1.0))))


def _power(_state: State, _node: ir.Node, arguments: list[Expression]) -> Expression | None:
    x, exponent = arguments
    if exponent == 2.0:
        return Apply("mul", (x, x))
    return Apply("sqrt", (x,)) if exponent == 0.5 else None


def _absolute(_state: State, _node: ir.Node, arguments: list[Expression]) -> Expression:
    return Apply("max", (arguments[0], Apply("neg", (arguments[0],))))


def _reciprocal(_state: State, _node: ir.Node, arguments: list[Expression]) -> Expression:
    return Apply("div", (1.0, arguments[0]))


ELEMENTWISE: Mapping[str, Written] = MappingProxyType(
    {
        **{name: _plain(name.lower()) for name in ("Add", "Sub", "Mul", "Div", "Neg", "Sqrt", "Exp")},
        **{name: _plain(name.lower()) for name in ("Sigmoid", "Tanh", "Erf")},
        **{name: _many(name.lower()) for name in ("Max", "Min")},
        "Sum": _many("add"),
        **dict.fromkeys(("Relu", "Clip"), _clip),
        **dict.fromkeys(("LeakyRelu", "PRelu"), _leaky),
        **dict.fromkeys(("HardSigmoid", "HardSwish"), _hard),
        **dict.fromkeys(("Elu", "Selu", "Celu"), _exponential),
        "Swish": _swish,
        "Gelu": _gelu,
        "Pow": _power,
        "Abs": _absolute,
        "Reciprocal": _reciprocal,
    }
)
"""By ONNX's name: the expression of its inputs, or None where it has another meaning."""
