"""Memory of streams, with the target that computes nothing but keeps caches."""

import pytest

from edgevid.bench import stream_memory
from edgevid.bench.artifacts import factory_of
from edgevid.bench.memory import resident_of_this_process
from edgevid.bench.stream_memory import memory_a_stream, memory_over_steps
from edgevid.contract import Artifact, Cache, Streaming, TensorSpec

SIDE = 512


@pytest.fixture
def artifact(tmp_path):
    """Of a network whose only cache has a megabyte."""
    (tmp_path / "shapes.json").write_text("{}")
    clips, logits = TensorSpec("clips", (1, 1, 4, 4, 3), "uint8"), TensorSpec("logits", (1, 5), "float32")
    streaming = Streaming(4, (Cache("cache0", "cache0.next", (1, 1, SIDE, SIDE), "float32"),))
    return Artifact("null", tmp_path, "shapes.json", "fp32", 1, "none", clips, logits, streaming=streaming)


def test_a_stream_takes_its_caches_and_little_more(artifact):
    added = memory_a_stream(artifact, 20)
    assert 0.9 * artifact.streaming.nbytes <= added <= 1.1 * artifact.streaming.nbytes


def test_memory_is_looked_at_as_often_as_asked_and_last_after_the_last_step(artifact):
    found = memory_over_steps(artifact, 25, points=4)
    assert [taken for taken, _ in found] == [6, 12, 19, 25]
    assert all(size > SIDE * SIDE * 4 for _, size in found)


def test_fewer_steps_than_points_are_looked_at_one_by_one(artifact):
    assert [taken for taken, _ in memory_over_steps(artifact, 2)][-1] == 2


def test_what_is_resident_now_is_told_apart_from_the_peak(tmp_path):
    status = tmp_path / "status"
    status.write_text("VmHWM:\t  20 kB\nVmRSS:\t  10 kB\n")
    assert resident_of_this_process(status) == 10 * 1024
    assert resident_of_this_process(tmp_path / "missing") is None


def test_without_a_figure_there_is_none(artifact, monkeypatch):
    answer = type("Answer", (), {"text": "[null, null]"})
    monkeypatch.setattr(stream_memory, "call_apart", lambda *_, **__: answer)
    assert memory_a_stream(artifact) is None


def test_a_sample_of_a_streaming_artifact_is_one_frame_of_one_stream(artifact):
    with factory_of({"stream": artifact}).open() as comparison:
        first, second, third = (comparison.baseline.run() for _ in range(3))
    assert first.shape == (5,)
    # It remembers the frame before.
    assert first.tolist() != second.tolist() == third.tolist()
