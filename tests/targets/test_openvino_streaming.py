"""Streaming in OpenVINO: where and in which type its caches lie, and what int8 and bf16 answer."""

import dataclasses

import numpy as np
import pytest
from clip_graphs import CHANNELS, SIZE, clip_graph
from stream_graphs import (
    answers,
    compiled_stream,
    in_int8,
    offline_int8,
    opened,
    stepped,
    unidirectional,
    video,
)
from target_graphs import capability_of, device_of

from edgevid import targets
from edgevid.contract import CompileOptions, RunSettings
from edgevid.errors import LoweringError
from edgevid.graph.lower import lower
from edgevid.graph.retime import per_frame
from edgevid.graph.streaming import stream_graph
from edgevid.graph.verify import compare
from edgevid.shift import Layout, Move, ShiftSpec
from edgevid.targets import _openvino_one_cache
from edgevid.targets.onnxruntime import evaluate

pytest.importorskip("openvino")

HOST = device_of("openvino")
SCHEME = capability_of("openvino").scheme
has_bf16 = pytest.mark.skipif("bf16" not in HOST.precisions, reason="this processor has no bf16 arithmetic")
has_int8 = pytest.mark.skipif(SCHEME is None, reason="this processor has no int8 arithmetic")


def test_caches_have_the_channels_last_and_the_same_bytes(tmp_path):
    artifact = compiled_stream("openvino", tmp_path)
    of_graph = stream_graph(unidirectional()).streaming.caches
    for held, canonical in zip(artifact.streaming.caches, of_graph, strict=True):
        lag, channels, height, width = canonical.shape
        assert held.shape == (lag, height, width, channels)
        assert (held.name, held.dtype, held.nbytes) == (canonical.name, "float32", canonical.nbytes)


def test_every_convolution_of_a_float32_stream_is_float32(tmp_path):
    with opened(compiled_stream("openvino", tmp_path)) as session:
        assert {precision for _, precision in session.kernels()} == {"f32"}
        assert {layer.kind for layer in session.layers()} == {"Conv", "Dense"}


@pytest.mark.parametrize(("backbone", "apart"), [("resnet50", 4), ("mobilenet_v2", 0)])
def test_caches_are_convolved_apart_where_that_writes_less(tmp_path, backbone, apart):
    graph = unidirectional(backbone)
    names = [node.name for node in graph.graph if node.op_type == "Conv"]
    with opened(compiled_stream("openvino", tmp_path, graph)) as session:
        layers = [layer.name for layer in session.layers() if layer.kind == "Conv"]
    of_caches = [name for name in layers if name.endswith(".of_cache")]
    # All blocks of the ResNet but the first have fewer channels behind their first convolution.
    assert len(of_caches) == apart
    # A convolution whose channels are kept apart is two layers, which are both there once.
    moved = [name.removesuffix(".moved") for name in layers if name.endswith(".moved")]
    kept = [name.removesuffix(".kept") for name in layers if name.endswith(".kept")]
    assert sorted(moved) == sorted(kept)
    whole = [name for name in layers if not name.endswith((".of_cache", ".moved", ".kept"))]
    assert sorted([*whole, *kept]) == sorted(names)


@has_bf16
def test_in_bf16_the_caches_are_bf16_and_hold_all_that_the_network_does(tmp_path):
    artifact = compiled_stream("openvino", tmp_path, precision="bf16")
    assert {cache.dtype for cache in artifact.streaming.caches} == {"bfloat16"}
    assert 2 * artifact.streaming.nbytes == stream_graph(unidirectional()).streaming.nbytes
    frames = video(40)
    with opened(artifact) as session:
        found = stepped(session.stream(), frames)
        stream = session.stream()
        stream.step(frames[0])
        state = stream.save()
        assert {array.dtype for array in state.caches} == {np.dtype(np.uint16)}
        stream.reset()
        stream.restore(state)
        np.testing.assert_array_equal(stepped(stream, frames[1:]), found[1:])
        assert {precision for _, precision in session.kernels()} == {"bf16"}
    assert compare(answers(unidirectional(), frames), found).max_relative <= 2e-2


@has_int8
@pytest.mark.parametrize("backbone", ["resnet50", "mobilenet_v2"])
def test_in_int8_every_layer_and_every_cache_has_bytes(tmp_path, backbone):
    graph = in_int8(unidirectional(backbone), SCHEME)
    artifact = compiled_stream("openvino", tmp_path, graph, precision="int8")
    assert {cache.dtype for cache in artifact.streaming.caches} == {"uint8"}
    assert 4 * artifact.streaming.nbytes == stream_graph(unidirectional(backbone)).streaming.nbytes
    frames = video(300)
    with opened(artifact) as session:
        found = stepped(session, frames)
        assert {layer.precision for layer in session.layers()} == {"int8"}
    (tmp_path / "offline").mkdir()
    difference = compare(offline_int8(tmp_path / "offline", graph, frames), found)
    assert difference.sqnr > 40
    assert difference.top1_agreement >= 0.99
    assert compare(answers(graph, frames), found).sqnr > 20


@has_int8
def test_an_int8_stream_begins_with_the_zero_point(tmp_path):
    graph = in_int8(unidirectional("mobilenet_v2"), SCHEME)
    artifact = compiled_stream("openvino", tmp_path, graph, precision="int8")
    assert {cache.fill for cache in artifact.streaming.caches} == {128}
    frames = video(2)
    with opened(artifact) as session:
        found = stepped(session.stream(), frames)
        # What another stream left is not the beginning.
        np.testing.assert_array_equal(stepped(session.stream(), frames), found)
    assert compare(answers(graph, frames), found).sqnr > 20


def test_one_stream_goes_to_and_fro_between_two_requests_that_are_bound_once(tmp_path):
    frames = video(8)
    with opened(compiled_stream("openvino", tmp_path)) as session:
        stream = session.stream()
        for frame in frames[:2]:
            stream.step(frame)
        bound = [(id(one.taken), id(one.given)) for one in session._requests]
        for frame in frames[2:]:
            stream.step(frame)
        assert [(id(one.taken), id(one.given)) for one in session._requests] == bound
        assert bound[0] == bound[1][::-1]


@pytest.mark.parametrize("form", ["slice_concat", "cache_inputs@blocked"])
def test_a_form_that_there_is_not_is_refused_with_the_one_that_there_is(tmp_path, form):
    with pytest.raises(LoweringError, match="unknown form of a streaming network") as refused:
        compiled_stream("openvino", tmp_path, form=form)
    assert refused.value.fix == "one_cache or cache_inputs"


def test_small_caches_are_one_tensor_and_large_ones_are_not_copied(tmp_path, monkeypatch):
    capability = capability_of("openvino")
    with opened(compiled_stream("openvino", tmp_path)) as session:
        assert session.artifact.lowering == capability.stream_lowerings[0] == "one_cache"
        assert len(session._model.inputs) == len(session._model.outputs) == 2
        assert [tensor.byte_size for tensor in session._tensors(session.new_caches().held)] == [
            session.artifact.streaming.nbytes
        ]
    monkeypatch.setattr(_openvino_one_cache, "_MOST_BYTES", session.artifact.streaming.nbytes - 1)
    with pytest.raises(LoweringError, match="bytes of caches in one tensor, which is copied") as refused:
        compiled_stream("openvino", tmp_path)
    assert refused.value.fix == "take cache_inputs"


def test_the_forms_answer_the_same_to_the_last_bit(tmp_path):
    frames, found = video(5), []
    for form in capability_of("openvino").stream_lowerings:
        with opened(compiled_stream("openvino", tmp_path, form=form)) as session:
            found.append(stepped(session, frames))
    assert len(found) == 2
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("ahead", [0, 1])
def test_shifts_of_volumes_stream_where_caches_are_apart(tmp_path, ahead):
    moves = (Move(0, 2, 1), *((Move(2, 4, -1), Move(4, 5, 2, 1, 0)) if ahead else ()))
    graph = clip_graph([ShiftSpec(4, moves, Layout.VOLUME)] * 2)
    frames = np.random.default_rng(1).normal(size=(9, CHANNELS, SIZE, SIZE)).astype(np.float32)
    made = stream_graph(graph, lookahead=bool(ahead))

    def compiled(form):
        plain, settings = lower(made.model, "slice_concat"), RunSettings(threads=1)
        place = tmp_path / form
        place.mkdir()
        options = CompileOptions(HOST, place, "fp32", 1, form, settings, streaming=made.streaming)
        return targets.find("openvino").compile(plain, options)

    with pytest.raises(LoweringError, match="more axes than frames have"):
        compiled("one_cache")
    with opened(compiled("cache_inputs")) as session:
        found = stepped(session, frames)
    (wanted,) = evaluate(per_frame(graph, len(frames)), {"clips": frames[None]})
    assert compare(wanted, found).max_relative <= 1e-4


def test_settings_given_at_opening_reach_the_runtime(tmp_path):
    artifact = compiled_stream("openvino", tmp_path)
    settings = dataclasses.replace(artifact.settings, hint="throughput")
    with targets.find("openvino").open(artifact, settings) as session:
        assert session._model.get_property("PERFORMANCE_HINT") == "THROUGHPUT"
        assert session._model.get_property("INFERENCE_NUM_THREADS") == 1
