"""Typed graphs that take frame by frame, before TensorRT gets them: ONNX Runtime says what they compute."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from typed_graphs import BACKBONES, caches_of, frames, opened, parsed, stepped, streamed

from edgevid.errors import GraphError
from edgevid.graph.retime import per_frame
from edgevid.graph.verify import compare
from edgevid.shift import Move
from edgevid.targets.tensorrt.cache_tensors import held
from edgevid.targets.tensorrt.channels_last import with_channels_last
from edgevid.targets.tensorrt.float_moves import with_float_moves
from edgevid.targets.tensorrt.integer_caches import with_integer_caches

BOTH = pytest.mark.parametrize("backbone", BACKBONES)
DIRECTIONS = pytest.mark.parametrize("direction", ["unidirectional", "bidirectional"])
VIDEO = frames(9)


def offline(graph):
    """What the network of a clip gives for each frame of the whole video."""
    (rows,) = opened(per_frame(graph, len(VIDEO)))({"clips": VIDEO[None]})
    return rows


FURTHER = (Move(0, 2, 2), Move(2, 4, 1, 1, -1), Move(4, 5, 0, 0, 1))
"""Two frames back, one frame and a row and a column aside, and a column aside alone."""


@BOTH
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_longer_moves_and_moves_in_space_too_are_followed(backbone, precision):
    stream = streamed(backbone, precision, moves=FURTHER)
    typed = stream.typed(precision)
    assert {given.shape[0] for given, _ in caches_of(typed)} == {1, 2}
    difference = compare(offline(stream.offline), stepped(typed, stream.streaming, VIDEO))
    assert difference.within(precision)
    assert held(stream.streaming, typed).nbytes * {"fp32": 1, "fp16": 2, "int8": 4}[precision] == (
        streamed(backbone, moves=FURTHER).streaming.nbytes
    )


def kinds(model):
    return {given.dtype.name for given, _ in caches_of(model)}


@BOTH
@DIRECTIONS
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("fp16", 1e-2)])
def test_step_by_step_it_computes_what_the_offline_network_does(backbone, direction, precision, tolerance):
    stream = streamed(backbone, precision, direction)
    found = stepped(stream.typed(precision), stream.streaming, VIDEO)
    assert compare(offline(stream.offline), found).max_relative <= tolerance


@BOTH
@DIRECTIONS
@pytest.mark.parametrize("side", ["integer", "float"])
def test_in_int8_it_computes_what_the_offline_int8_network_does(backbone, direction, side):
    stream = streamed(backbone, "int8", direction, side)
    found = stepped(stream.typed("int8"), stream.streaming, VIDEO)
    assert compare(offline(stream.offline), found).sqnr > 20


@BOTH
@DIRECTIONS
@pytest.mark.parametrize("side", ["integer", "float"])
def test_moving_floats_and_keeping_bytes_changes_no_number(backbone, direction, side):
    stream = streamed(backbone, "int8", direction, side)
    wanted = stepped(stream.plain, stream.streaming, VIDEO)
    for change in (with_float_moves, lambda graph: with_integer_caches(with_float_moves(graph))):
        assert (stepped(change(stream.plain), stream.streaming, VIDEO) == wanted).all()


@BOTH
def test_caches_have_the_type_that_is_computed_in_and_no_byte_more(backbone):
    whole = streamed(backbone).streaming.nbytes
    for precision, kind, share in (("fp32", "FLOAT", 1), ("fp16", "FLOAT16", 2), ("int8", "INT8", 4)):
        stream = streamed(backbone, precision)
        typed = stream.typed(precision)
        assert kinds(typed) == {kind}
        assert held(stream.streaming, typed).nbytes * share == whole


@BOTH
@DIRECTIONS
@pytest.mark.parametrize("flavor", ["tensorrt", "tensorrt_rtx"])
def test_in_int8_what_is_held_back_for_shifts_from_the_future_is_bytes_too(backbone, direction, flavor):
    stream = streamed(backbone, "int8", direction)
    typed = stream.typed("int8", flavor)
    assert kinds(typed) == {"INT8"}
    assert any(cache.waits for cache in stream.streaming.caches) is (direction == "bidirectional")
    whole = streamed(backbone, "fp32", direction).streaming.nbytes
    assert held(stream.streaming, typed).nbytes * 4 == whole


@BOTH
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_typed_graphs_are_valid_and_their_caches_have_channels_last(backbone, precision):
    stream = streamed(backbone, precision)
    typed = stream.typed(precision)
    onnx.checker.check_model(ir.to_proto(typed), full_check=True)
    for (given, after), cache in zip(caches_of(typed), stream.streaming.caches, strict=True):
        lag, channels, height, width = cache.shape
        assert list(given.shape) == list(after.shape) == [lag, height, width, channels]
        assert given.dtype == after.dtype


@BOTH
def test_nothing_converts_half_caches(backbone):
    for given, after in caches_of(streamed(backbone, "fp16").typed("fp16")):
        assert {use.node.op_type for use in given.uses()} == {"Concat"}
        assert after.producer().op_type == "Slice"


@BOTH
def test_bytes_of_caches_are_restored_once_and_rounded_once(backbone):
    for given, after in caches_of(streamed(backbone, "int8").typed("int8")):
        assert [use.node.op_type for use in given.uses()] == ["DequantizeLinear"]
        assert after.producer().op_type == "QuantizeLinear"
        assert not after.uses()


@BOTH
def test_every_convolution_in_int8_reads_what_was_just_restored(backbone):
    for node in streamed(backbone, "int8").typed("int8").graph:
        weights = node.inputs[1].producer() if node.op_type == "Conv" else None
        if weights is not None and weights.op_type == "DequantizeLinear":
            assert node.inputs[0].producer().op_type in ("DequantizeLinear", "MaxPool")


def test_what_else_reads_a_cache_keeps_it_in_floats():
    graph = parsed(
        """(float[1, 4, 8, 8] x, float[1, 2, 8, 8] c) => (float y, float[1, 2, 8, 8] n) {
            n = Slice (x, a, b, one)
            r = Slice (x, b, e, one)
            s = Concat <axis = 1> (c, r)
            q = QuantizeLinear (s, scale, zero)
            d = DequantizeLinear (q, scale, zero)
            y = Add (d, s)
        }""",
        a=np.array([0]), b=np.array([2]), e=np.array([4]), one=np.array([1]),
        scale=np.float32(0.1), zero=np.int8(0),
    )  # fmt: skip
    assert kinds(with_integer_caches(graph)) == {"FLOAT"}
    alone = graph.clone()
    (add,) = (node for node in alone.graph if node.op_type == "Add")
    add.replace_input_with(1, add.inputs[0])
    assert kinds(with_integer_caches(alone)) == {"INT8"}


def test_a_graph_of_clips_stays_as_it_is():
    from typed_graphs import integer

    before = ir.to_proto(integer()).SerializeToString()
    for change in (with_channels_last, with_float_moves, with_integer_caches):
        assert ir.to_proto(change(integer())).SerializeToString() == before


def test_a_description_of_other_caches_is_refused():
    one, other = streamed("resnet50"), streamed("mobilenet_v2")
    with pytest.raises(GraphError, match="others are spoken of"):
        held(other.streaming, one.typed("fp32"))
