import numpy as np
import onnx
import onnx_ir as ir
import pytest
from shift_graphs import shift_graph
from shift_search import (
    noise,
    search,
    specs_in,
    standardized,
)
from shift_spellings import (
    CHANNELS,
    CLIPS,
    FRAMES,
    GSM,
    PAST_FIRST,
    SEGMENTS,
    SIZE,
    STSM,
    TSM,
    VOLUME,
)
from written_spellings import Nodes, graph_of, moved_on, paddle_slices, splits

from edgevid.graph.find_shift import find_shift
from edgevid.graph.lower import LOWERINGS, lower
from edgevid.graph.shift_op import SHIFT
from edgevid.graph.standardize import standardize
from edgevid.shift import Layout, Move, ShiftSpec, shift_numpy
from edgevid.targets.onnxruntime import evaluate


def test_a_shift_that_is_an_output_too_is_kept_right():
    op, value = graph_of()
    shifted = splits(op, value)
    proto = op.ends(shifted, FRAMES)
    proto.graph.output.append(onnx.helper.make_tensor_value_info(shifted, onnx.TensorProto.FLOAT, FRAMES))
    found = search(proto)
    assert specs_in(found) == [TSM]
    assert [value.name for value in found.model.graph.outputs] == ["y", shifted]


def test_a_shift_between_input_and_output_alone_is_found():
    op = Nodes(20)
    op("Reshape", splits(op, "x"), np.array(FRAMES), outputs=["z"])
    proto = op.ends("z", FRAMES)
    del proto.graph.node[-1]
    proto.graph.output[0].name = "z"
    assert specs_in(search(proto)) == [TSM]


def test_a_candidate_at_an_output_carries_the_name_of_the_output():
    op = Nodes(20)
    proto = op.ends(moved_on(op, "x"), FRAMES)
    del proto.graph.node[-1]
    proto.graph.output[0].name = proto.graph.node[-1].output[0]
    (candidate,) = search(proto).candidates
    assert candidate.where.split()[0] == proto.graph.output[0].name


def test_values_of_the_file_may_have_the_names_that_new_values_would_get():
    op, value = graph_of()
    shifted = moved_on(op, value)
    names = [f"{shifted}{ending}" for ending in (".shifted", ".shift", ".before", ".shift.Reshape1.out")]
    taken = [op("Sigmoid", value, outputs=[name]) for name in names]
    both = op("Sum", op("Relu", shifted), *taken)
    assert specs_in(search(op.ends(both, FRAMES))) == [ShiftSpec(SEGMENTS, (Move(0, CHANNELS, +1),))]


def test_a_mask_that_is_an_input_is_no_constant():
    op, value = graph_of()
    shapes = {"x": FRAMES, "mask": (FRAMES[0], 1, 1, 1)}
    proto = op.ends(op("Mul", moved_on(op, value), "mask"), FRAMES, mask=shapes["mask"])
    found = find_shift(standardize(ir.from_proto(proto), shapes), evaluate)
    assert [node.op_type for node in found.model.graph] == ["Relu", SHIFT, "Mul", "Relu"]


def test_an_inner_tensor_that_is_used_elsewhere_keeps_its_numbers():
    op, value = graph_of()
    shifted = splits(op, value)
    inner = next(node.output[0] for node in op.nodes if node.op_type == "Concat")
    mean = op("ReduceMean", op("Sigmoid", inner), keepdims=0)
    found = search(op.ends(op("Add", shifted, mean), FRAMES))
    assert TSM in specs_in(found)


def test_a_shift_that_is_used_twice_is_written_once():
    op, value = graph_of()
    shifted = splits(op, value)
    both = op("Sub", op("Sigmoid", shifted), op("Reshape", shifted, np.array(FRAMES)))
    assert specs_in(search(op.ends(both, FRAMES))) == [TSM]


def test_two_shifts_of_one_tensor_in_different_spellings_are_both_found():
    op, value = graph_of()
    left = op("Sigmoid", splits(op, value))
    right = op("Relu", paddle_slices(op, value))
    specs = specs_in(search(op.ends(op("Add", left, right), FRAMES)))
    assert sorted(specs, key=str) == sorted([TSM, PAST_FIRST], key=str)


def test_a_shift_beside_a_shuffle_is_found():
    op, value = graph_of()
    left, right = op.split(value, [4, CHANNELS - 4], 1)
    left = op("Reshape", left, np.array([CLIPS, SEGMENTS, 4, SIZE, SIZE]))
    left = op("Pad", left, np.array([0, 1, 0, 0, 0, 0, -1, 0, 0, 0]))
    left = op("Reshape", left, np.array([CLIPS * SEGMENTS, 4, SIZE, SIZE]))
    right = op("Gather", right, np.arange(CHANNELS - 4)[::-1].copy(), axis=1)
    found = search(op.ends(op("Concat", left, right, axis=1), FRAMES))
    assert specs_in(found) == [ShiftSpec(SEGMENTS, (Move(0, 4, +1),))]
    assert "channels change places" in {candidate.reason for candidate in found.candidates}


@pytest.mark.parametrize("apart", [False, True])
def test_the_shift_that_gate_shift_writes_for_each_half_is_found_in_each_half(apart):
    """As published: every half is gated, moved, and what its gate held back is added."""
    shape = (CLIPS, 8, SEGMENTS, SIZE, SIZE)
    op, value = graph_of()
    halves = op.split(value, [4, 4], 1)
    ends = [np.array([0, 0, -1, 0, 0, 0, 0, 1, 0, 0]), np.array([0, 0, 1, 0, 0, 0, 0, -1, 0, 0])]
    moved = []
    for half, pads in zip(halves, ends, strict=True):
        gated = op("Mul", half, op("Tanh", half))
        shifted = op("Pad", gated, pads)
        moved.append(op("Add", shifted, op("Sub", half, gated)) if apart else shifted)
    found = search(op.ends(op("Concat", *moved, axis=1), shape), shape)
    assert sorted(specs_in(found), key=str) == sorted(
        (ShiftSpec(SEGMENTS, (Move(0, 4, step),), Layout.VOLUME) for step in (-1, +1)), key=str
    )


def test_frames_that_are_an_axis_of_their_own_are_put_together_for_the_shift():
    shape = (CLIPS, SEGMENTS, CHANNELS, SIZE, SIZE)
    op, value = graph_of()
    future, rest = op.split(value, [3, CHANNELS - 3], 2)
    future = op("Pad", future, np.array([0, -1, 0, 0, 0, 0, 1, 0, 0, 0]))
    found = search(op.ends(op("Concat", future, rest, axis=2), shape), shape)
    assert specs_in(found) == [ShiftSpec(SEGMENTS, (Move(0, 3, -1),))]
    assert {node.op_type for node in found.model.graph} == {"Relu", "Reshape", SHIFT}


def spatial_shift(op, value):
    up, rest = op.split(value, [2, CHANNELS - 2], 1)
    return op("Concat", op("Pad", up, np.array([0, 0, -1, 0, 0, 0, 1, 0])), rest, axis=1)


def test_the_segments_of_a_shift_in_space_alone_are_those_of_the_other_shifts():
    op, value = graph_of()
    shifted = spatial_shift(op, op("Sigmoid", splits(op, value)))
    assert specs_in(search(op.ends(shifted, FRAMES))) == [TSM, ShiftSpec(SEGMENTS, (Move(0, 2, 0, -1),))]


def test_the_segments_of_a_shift_in_space_alone_can_be_given():
    op, value = graph_of()
    found = search(op.ends(spatial_shift(op, value), FRAMES), segments=2)
    assert specs_in(found) == [ShiftSpec(2, (Move(0, 2, 0, -1),))]


@pytest.mark.parametrize("name", LOWERINGS)
@pytest.mark.parametrize("spec", [TSM, STSM, GSM], ids=str)
def test_a_shift_that_was_lowered_is_found_again(name, spec):
    shape = (SEGMENTS, *FRAMES[1:]) if spec.layout is Layout.FRAMES else (1, *VOLUME[1:])
    lowered = lower(shift_graph(spec, shape), name)
    found = find_shift(lowered, evaluate)
    assert specs_in(found) == [spec]
    x = noise(shape)
    assert np.array_equal(evaluate(found.model, {"x": x})[0], shift_numpy(x, spec))


@pytest.mark.slow
def test_a_tensor_of_more_elements_than_float32_can_number_is_probed():
    shape = (SEGMENTS, 8, 1024, 1025)
    op, value = graph_of()
    first, second, rest = op.split(value, [1, 1, 6], 1)
    moved = [
        op("Pad", first, np.array([1, 0, 0, 0, -1, 0, 0, 0])),
        op("Pad", second, np.array([-1, 0, 0, 0, 1, 0, 0, 0])),
    ]
    proto = op.ends(op("Concat", *moved, rest, axis=1), shape)
    found = find_shift(standardized(proto, shape), evaluate)
    assert specs_in(found) == [ShiftSpec(SEGMENTS, (Move(0, 1, +1), Move(1, 2, -1)))]


def test_a_shift_that_is_known_is_proved_where_it_need_not_be_found():
    """And one that is known wrongly is found all the same."""
    shape = (SEGMENTS, 4, 3, 5)
    op, value = graph_of()
    first, rest = op.split(value, [1, 3], 1)
    moved = op("Pad", first, np.array([1, 0, 0, 0, -1, 0, 0, 0]))
    model = standardized(op.ends(op("Concat", moved, rest, axis=1), shape), shape)
    right, wrong = ShiftSpec(SEGMENTS, (Move(0, 1, +1),)), ShiftSpec(SEGMENTS, (Move(0, 2, +1),))
    counted = []

    def counting(region, feeds):
        counted.append(region)
        return evaluate(region, feeds)

    assert specs_in(find_shift(model, counting, known=[wrong, right])) == [right]
    assert len(counted) == 1
    assert specs_in(find_shift(model, counting, known=[wrong])) == [right]


@pytest.mark.slow
def test_the_first_shift_of_resnet_50_is_found_in_a_batch_of_three():
    """More elements than float32 can number: 24 frames of 256 channels of 56 by 56."""
    shape = (24, 256, 56, 56)
    op, value = graph_of()
    clips = op("Reshape", value, np.array([3, 8, 256, 56, 56]))
    first, second, rest = op.split(clips, [32, 32, 192], 2)
    moved = [
        op("Pad", first, np.array([0, -1, 0, 0, 0, 0, 1, 0, 0, 0])),
        op("Pad", second, np.array([0, 1, 0, 0, 0, 0, -1, 0, 0, 0])),
    ]
    joined = op("Reshape", op("Concat", *moved, rest, axis=2), np.array(shape))
    found = find_shift(standardized(op.ends(joined, shape), shape), evaluate)
    assert specs_in(found) == [ShiftSpec(8, (Move(0, 32, -1), Move(32, 64, +1)))]


def test_a_known_shift_of_longer_clips_is_not_tried_across_clips_of_five_axes():
    """Behind a pooling over time two clips of 2 frames look like one of 4."""
    shape = (2, 2, 4, 3, 5)
    op, value = graph_of()
    first, rest = op.split(value, [1, 3], 2)
    moved = op("Pad", first, np.array([0, 1, 0, 0, 0, 0, -1, 0, 0, 0]))
    model = standardized(op.ends(op("Concat", moved, rest, axis=2), shape), shape)
    known = [ShiftSpec(4, (Move(0, 1, +1),)), ShiftSpec(4, (Move(1, 2, -1),))]
    assert specs_in(find_shift(model, evaluate, known=known)) == [ShiftSpec(2, (Move(0, 1, +1),))]
