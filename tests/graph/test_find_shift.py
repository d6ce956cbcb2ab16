import numpy as np
import onnx
import onnx_ir as ir
import onnxsim
import pytest
from shift_graphs import exported as our_network
from shift_search import (
    assert_found,
    assert_left_alone,
    by_name,
    noise,
    run_file,
    search,
    standardized,
)
from shift_spellings import (
    CLIPS,
    FRAMES,
    FROM_TORCH,
    NO_SHIFT,
    SEGMENTS,
    TSM,
    exported,
    in_place_assignment,
    shape_of,
    zeros_by_subtraction,
)
from written_spellings import WRITTEN, written

from edgevid.graph.find_shift import find_shift
from edgevid.graph.shift_op import shift_nodes, spec_of
from edgevid.graph.standardize import standardize
from edgevid.shift import shift_numpy
from edgevid.targets.onnxruntime import evaluate


@pytest.mark.parametrize("spelling", FROM_TORCH, ids=by_name)
def test_the_spellings_are_what_they_are_said_to_be(spelling):
    import torch

    x = noise(shape_of(spelling))
    with torch.no_grad():
        assert np.array_equal(spelling(torch.from_numpy(x)), shift_numpy(x, FROM_TORCH[spelling]))


@pytest.mark.parametrize("opset", [11, *(pytest.param(n, marks=pytest.mark.slow) for n in (13, 17)), 20])
@pytest.mark.parametrize("spelling", FROM_TORCH, ids=by_name)
def test_every_spelling_is_found_from_the_legacy_exporter(spelling, opset):
    assert_found(exported(spelling, "legacy", opset), FROM_TORCH[spelling], shape_of(spelling))


@pytest.mark.parametrize("spelling", FROM_TORCH, ids=by_name)
def test_every_spelling_is_found_from_the_dynamo_exporter(spelling):
    assert_found(exported(spelling, "dynamo", 20), FROM_TORCH[spelling], shape_of(spelling))


@pytest.mark.parametrize("opset", [12, 14, 15, 16, 18, 19])
def test_the_published_code_is_found_in_the_opsets_between(opset):
    assert_found(exported(in_place_assignment, "legacy", opset), TSM)


def test_the_published_code_is_found_in_the_default_opset_of_the_dynamo_exporter():
    assert_found(exported(in_place_assignment, "dynamo", 18), TSM)


@pytest.mark.parametrize("spelling", FROM_TORCH, ids=by_name)
def test_every_spelling_is_found_after_onnxsim(spelling):
    proto = exported(spelling, "legacy", 13, simplified=True)
    assert_found(proto, FROM_TORCH[spelling], shape_of(spelling))


@pytest.mark.parametrize("spelling", [in_place_assignment, zeros_by_subtraction], ids=by_name)
def test_spellings_of_the_dynamo_exporter_are_found_after_onnxsim(spelling):
    assert_found(exported(spelling, "dynamo", 20, simplified=True), TSM)


@pytest.mark.parametrize("spelling", FROM_TORCH, ids=by_name)
def test_every_spelling_is_found_in_float16(spelling):
    assert_found(exported(spelling, half=True), FROM_TORCH[spelling], shape_of(spelling))


def test_the_published_code_is_found_in_float16_from_the_dynamo_exporter():
    assert_found(exported(in_place_assignment, "dynamo", 20, half=True), TSM)


@pytest.mark.parametrize("clips", [1, 3])
@pytest.mark.parametrize("spelling", FROM_TORCH, ids=by_name)
def test_every_spelling_is_found_in_a_dynamic_batch(spelling, clips):
    first, *rest = shape_of(spelling)
    shape = (first // CLIPS * clips, *rest)
    assert_found(exported(spelling, dynamic=True), FROM_TORCH[spelling], shape)


def test_the_published_code_is_found_in_a_dynamic_batch_of_the_dynamo_exporter():
    shape = (3 * SEGMENTS, *FRAMES[1:])
    assert_found(exported(in_place_assignment, "dynamo", 20, dynamic=True), TSM, shape)


@pytest.mark.parametrize("opset", [11, 12, 13, 16, 18, 20])
@pytest.mark.parametrize("spelling", WRITTEN, ids=by_name)
def test_every_spelling_in_operations_is_found(spelling, opset):
    proto = written(spelling, opset)
    x = noise(FRAMES)
    assert np.array_equal(run_file(proto, x)[0], shift_numpy(np.maximum(x, 0), WRITTEN[spelling]))
    assert_found(proto, WRITTEN[spelling])


@pytest.mark.parametrize("spelling", WRITTEN, ids=by_name)
def test_every_spelling_in_operations_is_found_after_onnxsim(spelling):
    proto, right = onnxsim.simplify(written(spelling, 13))
    assert right
    assert_found(proto, WRITTEN[spelling])


@pytest.mark.parametrize("exporter", ["legacy", "dynamo"])
@pytest.mark.parametrize("movement", NO_SHIFT, ids=by_name)
def test_what_is_no_shift_is_left_alone_and_told_why(movement, exporter):
    opset = 17 if exporter == "legacy" else 20
    assert_left_alone(search(exported(movement, exporter, opset)), NO_SHIFT[movement])


def test_a_candidate_says_where_it_stands_and_how_many_operations_it_takes_away():
    proto = exported(zeros_by_subtraction)
    found = search(proto)
    (candidate,) = found.candidates
    assert candidate.where
    gone = len(standardized(proto).graph) - len(found.model.graph)
    assert candidate.nodes == gone + 1


def test_the_given_graph_stays_as_it_is():
    standard = standardized(exported(in_place_assignment))
    before = ir.to_proto(standard).SerializeToString(deterministic=True)
    find_shift(standard, evaluate)
    assert ir.to_proto(standard).SerializeToString(deterministic=True) == before


def test_the_file_that_a_graph_was_read_from_stays_as_it_is():
    proto = onnx.ModelProto.FromString(exported(zeros_by_subtraction).SerializeToString())
    before = proto.SerializeToString(deterministic=True)
    find_shift(standardize(ir.from_proto(proto), {"x": FRAMES}), evaluate)
    assert proto.SerializeToString(deterministic=True) == before


def test_a_graph_that_is_canonical_already_is_not_changed():
    model = our_network("resnet18")
    found = find_shift(model, evaluate)
    assert [spec_of(node) for node in shift_nodes(found.model)] == [
        spec_of(node) for node in shift_nodes(model)
    ]
    assert len(found.model.graph) == len(model.graph)
