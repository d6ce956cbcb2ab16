"""Streaming in ONNX Runtime: bound caches, and int8 that is simulated."""

import gc

import numpy as np
import pytest
from stream_graphs import answers, compiled_stream, in_int8, opened, stepped, unidirectional, video

from edgevid.errors import TargetError
from edgevid.targets._profiles import device
from edgevid.targets._schemes import SCHEMES


@pytest.mark.parametrize("backbone", ["resnet50", "mobilenet_v2"])
def test_simulated_int8_answers_as_the_offline_graph_from_caches_of_bytes(tmp_path, backbone):
    graph = in_int8(unidirectional(backbone), SCHEMES["openvino"])
    artifact = compiled_stream(
        "onnxruntime", tmp_path, graph, precision="int8", device=device("tensorrt-simulated")
    )
    assert {cache.dtype for cache in artifact.streaming.caches} == {"uint8"}
    frames = video(60)
    with opened(artifact) as session:
        found = stepped(session, frames)
        assert {layer.precision for layer in session.layers()} == {"int8"}
    wanted = answers(graph, frames)
    assert abs(found - wanted).max() <= 1e-4 * abs(wanted).max()


def test_a_stream_and_the_spare_set_change_places_and_nothing_is_made_anew(tmp_path):
    with opened(compiled_stream("onnxruntime", tmp_path)) as session:
        one, other = session.stream(), session.stream()
        before = {id(cache) for caches in (one._caches, other._caches, session._spare) for cache in caches}
        for frame in video(5):
            one.step(frame)
            other.step(frame)
        gc.collect()
        after = {id(cache) for caches in (one._caches, other._caches, session._spare) for cache in caches}
    assert before == after
    assert len(before) == 3 * len(session.streaming.caches)


def test_what_the_runtime_fails_with_is_told_with_its_artifact(tmp_path, monkeypatch):
    with opened(compiled_stream("onnxruntime", tmp_path)) as session:
        monkeypatch.setattr(session, "_session", None)
        with pytest.raises(TargetError, match="ONNX Runtime fails") as told:
            session.step(video(1)[0])
        assert told.value.where.endswith("model.onnx")


def test_layers_are_named_as_in_the_graph(tmp_path):
    graph = unidirectional()
    names = [node.name for node in graph.graph if node.op_type in ("Conv", "Gemm")]
    with opened(compiled_stream("onnxruntime", tmp_path, graph)) as session:
        assert [layer.name for layer in session.layers()] == names
        assert np.all([layer.precision == "fp32" for layer in session.layers()])
