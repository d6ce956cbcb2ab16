"""Expressions against numpy: every function, every way of broadcasting, every vector length."""

import math
from itertools import product

import numpy as np
import pytest

pytest.importorskip("tvm")

from reference import error, pack, random, run, sizes, unpack

from edgevid.targets.tvm.kernels import elementwise
from edgevid.targets.tvm.kernels._functions import FUNCTIONS
from edgevid.targets.tvm.network import Apply, Elementwise, Frames, Quantization, Source

A, B = Source(0), Source(1)

IN_NUMPY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "max": np.maximum,
    "min": np.minimum,
    "neg": np.negative,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "erf": np.vectorize(math.erf),
}


def computed(operation, *values):
    inputs = [pack(value, frames) for value, frames in zip(values, operation.sources, strict=True)]
    return unpack(run(elementwise.build(operation, "kernel"), inputs, operation.target), operation.target)


def test_every_function_is_tested():
    assert set(IN_NUMPY) == set(FUNCTIONS)


@pytest.mark.parametrize("name", ["neg", "sqrt", "exp", "sigmoid", "tanh", "erf"])
@pytest.mark.parametrize("block", [1, 8])
def test_functions_of_one_number_are_exact_to_some_units_in_the_last_place(name, block):
    frames = Frames(1, 1, 8, 1, 500, block)
    values = np.linspace(-80, 80, 4000).reshape(sizes(frames)).astype(np.float32)
    values[..., ::3] /= 40
    if name == "sqrt":
        values = np.abs(values)
    result = computed(Elementwise(Apply(name, (A,)), (frames,), frames), values)
    wanted = IN_NUMPY[name](values.astype(np.float64))
    np.testing.assert_allclose(result, wanted, rtol=3e-7, atol=5e-7 if name == "erf" else 1e-37)


@pytest.mark.parametrize("name", ["exp", "sigmoid", "tanh", "erf"])
def test_functions_of_huge_numbers_stay_finite(name):
    frames = Frames(1, 1, 4, 1, 1, 4)
    values = np.array([-3e38, -200, 200, 3e38], np.float32).reshape(sizes(frames))
    result = computed(Elementwise(Apply(name, (A,)), (frames,), frames), values)
    ends = {"exp": (0, 3.4e38), "sigmoid": (0, 1), "tanh": (-1, 1), "erf": (-1, 1)}[name]
    np.testing.assert_allclose(result.reshape(-1)[[0, 3]], ends, rtol=0.01, atol=1e-37)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "max", "min"])
def test_functions_of_two_numbers(name):
    frames = Frames(2, 3, 13, 3, 5, 8)
    values = random(sizes(frames), 1), random(sizes(frames), 2)
    result = computed(Elementwise(Apply(name, (A, B)), (frames, frames), frames), *values)
    np.testing.assert_allclose(result, IN_NUMPY[name](*values), rtol=1e-6)


@pytest.mark.parametrize("ones", list(product([False, True], repeat=5)))
def test_a_source_may_be_one_along_any_axes(ones):
    block = (1, 4, 16)[sum(ones) % 3]
    target = Frames(2, 3, 19, 4, 5, block)
    small = Frames(*(1 if one else size for one, size in zip(ones, sizes(target), strict=True)), block)
    values = random(sizes(target), 1), random(sizes(small), 2)
    result = computed(Elementwise(Apply("sub", (A, B)), (target, small), target), *values)
    np.testing.assert_array_equal(result, values[0] - values[1])


def test_neither_source_may_be_as_large_as_the_target():
    target = Frames(1, 2, 5, 3, 4, 4)
    rows, columns = Frames(1, 2, 5, 3, 1, 4), Frames(1, 1, 1, 1, 4, 4)
    values = random(sizes(rows), 1), random(sizes(columns), 2)
    result = computed(Elementwise(Apply("mul", (A, B)), (rows, columns), target), *values)
    np.testing.assert_array_equal(result, values[0] * values[1])


def test_expressions_nest_and_take_constants():
    frames, constant = Frames(1, 2, 21, 3, 3, 8), Frames(1, 1, 21, 1, 1, 8)
    gate = Apply("sigmoid", (Apply("add", (Apply("mul", (A, Source(2))), 0.5)),))
    operation = Elementwise(Apply("mul", (gate, B)), (frames, frames, constant), frames, constants=1)
    first, second, scale = random(sizes(frames), 1), random(sizes(frames), 2), random(sizes(constant), 3)
    (packed,) = elementwise.pack(operation, {"constant0": scale})
    inputs = [pack(first, frames), packed, pack(second, frames)]
    result = unpack(run(elementwise.build(operation, "kernel"), inputs, frames), frames)
    assert error(result, IN_NUMPY["sigmoid"](first * scale + 0.5) * second) < 1e-6


def test_bytes_are_restored_and_written_with_their_own_scales():
    bytes_ = Frames(1, 2, 11, 3, 3, 8, "uint8", Quantization(0.05, 100))
    target = Frames(1, 2, 11, 3, 3, 8, "int8", Quantization(0.125, -7))
    values = random(sizes(bytes_), 1, "uint8")
    result = computed(Elementwise(Apply("max", (A, 0.0)), (bytes_,), target), values)
    real = np.maximum((values.astype(np.float32) - 100) * np.float32(0.05), 0)
    wanted = np.clip(np.rint(real / np.float32(0.125)) - 7, -128, 127)
    np.testing.assert_array_equal(result, wanted)
