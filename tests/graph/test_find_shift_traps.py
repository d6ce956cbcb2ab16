import numpy as np
import onnx
import pytest
from shift_search import (
    by_name,
    search,
    specs_in,
)
from shift_spellings import (
    CHANNELS,
    CLIPS,
    FRAMES,
    SEGMENTS,
    SIZE,
)
from written_spellings import graph_of, moved_on

from edgevid.graph.shift_op import SHIFT


def through_whole_numbers(op, value):
    whole = op("Cast", value, to=onnx.TensorProto.INT32)
    return op("Cast", moved_on(op, whole), to=onnx.TensorProto.FLOAT)


def through_clipping(op, value):
    return moved_on(op, op("Clip", value, np.float32(0), np.float32(0.5)))


def through_rounding(op, value):
    return op("Floor", moved_on(op, value))


def chosen_by_sign(op, value):
    positive = op("Greater", op("Sub", value, np.float32(0.5)), np.float32(0))
    return op("Where", positive, moved_on(op, value), value)


def a_little_larger(op, value):
    return op("Mul", moved_on(op, value), np.float32(1.0000002))


def a_little_more(op, value):
    return op("Add", moved_on(op, value), np.float32(1e-3))


def filled_with_ones(op, value):
    clips = op("Reshape", value, np.array([CLIPS, SEGMENTS, CHANNELS, SIZE, SIZE]))
    padded = op("Pad", clips, np.array([0, 1, 0, 0, 0, 0, -1, 0, 0, 0]), np.float32(1))
    return op("Reshape", padded, np.array(FRAMES))


def filled_with_the_mean(op, value):
    mean = op("ReduceMean", value, keepdims=1)
    clips = op("Reshape", value, np.array([CLIPS, SEGMENTS, CHANNELS, SIZE, SIZE]))
    first = op("Expand", mean, np.array([1, 1, 1, 1]))
    first = op("Expand", first, np.array([CLIPS, 1, CHANNELS * SIZE, SIZE]))
    first = op("Reshape", first, np.array([CLIPS, 1, CHANNELS, SIZE, SIZE]))
    kept = op("Slice", clips, np.array([0]), np.array([SEGMENTS - 1]), np.array([1]))
    return op("Reshape", op("Concat", first, kept, axis=1), np.array(FRAMES))


def products(op, value):
    return op("Mul", value, moved_on(op, value))


def quotients(op, value):
    return op("Div", moved_on(op, value), op("Add", value, np.float32(1)))


def square_roots_of_squares(op, value):
    return op("Sqrt", op("Mul", value, moved_on(op, value)))


def remainders(op, value):
    return op("Mod", moved_on(op, value), np.float32(1), fmod=1)


def larger_of_two(op, value):
    return op("Max", value, moved_on(op, value))


def running_sums(op, value):
    return op("CumSum", value, np.int64(0))


def difference_of_frames(op, value):
    return op("Sub", value, moved_on(op, value))


TRAPS = (
    *(through_whole_numbers, through_clipping, through_rounding, chosen_by_sign, a_little_larger),
    *(a_little_more, filled_with_ones, filled_with_the_mean, products, quotients, square_roots_of_squares),
    *(remainders, larger_of_two, running_sums, difference_of_frames),
)


@pytest.mark.parametrize("trap", TRAPS, ids=by_name)
def test_what_only_looks_like_movement_on_whole_positive_numbers_keeps_its_numbers(trap):
    """`search` compares the outputs; a shift inside may be found, if all around it stays."""
    op, value = graph_of()
    kept = "Sigmoid" if trap is not through_whole_numbers else "Relu"
    found = search(op.ends(trap(op, op(kept, value)), FRAMES))
    left = {node.op_type for node in found.model.graph}
    assert specs_in(found) == [] or left - {"Relu", "Sigmoid", SHIFT}
