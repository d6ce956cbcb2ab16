"""Engines that take frame by frame, on stand-ins of TensorRT and CUDA: how caches are bound, not how fast."""

import gc

import numpy as np
import pytest
from tensorrt_stand_in import VERSIONS, brightness, remembered
from test_session import installed

from edgevid import targets
from edgevid.contract import Artifact, Cache, RunSettings, Streaming, TensorSpec
from edgevid.errors import TargetError
from edgevid.targets.tensorrt.engine import EngineIdentity, save_identity

FRAME = (1, 1, 8, 8, 3)
CACHES = {"cache0": ((1, 8, 8, 2), np.float32), "cache1": ((2, 4, 4, 3), np.int8)}
SET = 512 + 256
"""Bytes of both, each at a multiple of 256."""
VIDEO = np.random.default_rng(0).integers(0, 256, (7, *FRAME[2:]), np.uint8)
OTHER = VIDEO[::-1] // 2


@pytest.fixture(params=["10", "11", "rtx"])
def trt(request, monkeypatch):
    return streaming(request.param, monkeypatch)


def streaming(name, monkeypatch):
    trt = installed(name, monkeypatch)
    trt.caches, trt.frame = dict(CACHES), FRAME
    return trt


def opened(folder, trt, *, data=b"engine", gates=(), delay=0, caches=CACHES):
    folder.mkdir(exist_ok=True)
    save_identity(
        EngineIdentity(flavor=trt.__name__, version=VERSIONS[trt.name], capabilities=("8.6",)), folder
    )
    (folder / "model.engine").write_bytes(data)
    trt.gates = len(gates)
    described = Streaming(
        3,
        tuple(
            Cache(name, f"{name}.next", shape, np.dtype(kind).name) for name, (shape, kind) in caches.items()
        ),
        delay,
        gates,
        network=data.decode(),
    )
    specs = TensorSpec("clips", FRAME, "uint8"), TensorSpec("logits", (1, 3), "float32")
    artifact = Artifact(
        "tensorrt", folder, "model.engine", "int8", 1, "fused_slice_concat", *specs, streaming=described
    )
    return targets.find("tensorrt").open(artifact, RunSettings())


def expected(video):
    """What the stand-in gives step by step."""
    before, rows = [0, 0], []
    for frame in video:
        rows.append(brightness(frame[None])[0] + before[0] + 2 * before[1])
        before = [remembered(frame, 0), remembered(frame, 1)]
    return np.array(rows)


def follow(stream, video):
    return np.array([stream.step(frame) for frame in video])


def test_each_frame_is_computed_with_what_the_one_before_left(trt, tmp_path):
    with opened(tmp_path, trt) as session:
        np.testing.assert_allclose(follow(session, VIDEO), expected(VIDEO), rtol=1e-6)


def test_streams_of_one_session_do_not_touch(trt, tmp_path):
    with opened(tmp_path, trt) as session:
        streams = [session.stream() for _ in range(3)]
        videos = (VIDEO, OTHER, VIDEO + 1)
        steps = [
            [each.step(f) for each, f in zip(streams, frames, strict=True)]
            for frames in zip(*videos, strict=True)
        ]
        for found, video in zip(zip(*steps, strict=True), videos, strict=True):
            np.testing.assert_allclose(np.array(found), expected(video), rtol=1e-6)


def test_between_frames_only_the_frame_and_the_logits_cross_the_bus(trt, tmp_path):
    with opened(tmp_path, trt) as session:
        stream = session.stream()
        trt.cuda.copied.clear()
        stream.step(VIDEO[0])
        assert trt.cuda.copied == [VIDEO[0].nbytes, 12]


def test_all_streams_share_one_spare_set(trt, tmp_path):
    with opened(tmp_path, trt) as session:
        streams = [session.stream()]
        before = memory(trt)
        streams += [session.stream() for _ in range(4)]
        assert [size for size in memory(trt) if size not in before] == []
        assert memory(trt).count(SET) == before.count(SET) + 4 == len(streams) + 1
        for stream in streams:
            follow(stream, VIDEO)
        assert memory(trt).count(SET) == len(streams) + 1


def memory(trt):
    """Bytes of each piece that is reserved."""
    return [len(block) - 256 for kind, block in trt.cuda.held.values() if kind == "memory"]


def test_the_memory_of_a_stream_that_is_gone_is_the_next_ones(trt, tmp_path):
    with opened(tmp_path, trt) as session:
        clip = VIDEO[None, :3]
        first = session.run(clip)
        before = len(trt.cuda.held)
        for _ in range(4):
            np.testing.assert_array_equal(session.run(clip), first)
        gc.collect()
        assert memory(trt).count(SET) == 2
        assert len(trt.cuda.held) - before <= 2  # graphs of the other pair of places


def test_a_clip_is_stepped_through_and_averaged(trt, tmp_path):
    with opened(tmp_path, trt) as session:
        assert session.input.shape == (1, 3, 8, 8, 3)
        found = session.run(VIDEO[None, :3])
        np.testing.assert_allclose(found, expected(VIDEO[:3]).mean(axis=0, keepdims=True), rtol=1e-6)


@pytest.mark.parametrize("name", ["10", "11"])
def test_both_ways_of_one_stream_are_captured_once_each(name, monkeypatch, tmp_path):
    trt = streaming(name, monkeypatch)
    with opened(tmp_path, trt) as session:
        follow(session, VIDEO)
        assert (trt.cuda.captures, trt.cuda.launches, trt.cuda.runs) == (2, len(VIDEO), 1)


def test_graphs_of_many_streams_are_not_kept_without_end(monkeypatch, tmp_path):
    trt = streaming("10", monkeypatch)
    with opened(tmp_path, trt) as session:
        streams = [session.stream() for _ in range(17)]
        for frame, want in zip(VIDEO, expected(VIDEO), strict=True):
            for stream in streams:
                np.testing.assert_allclose(stream.step(frame), want, rtol=1e-6)
        assert trt.cuda.captures == 16


def test_tensorrt_for_rtx_captures_no_addresses_that_change(monkeypatch, tmp_path):
    trt = streaming("rtx", monkeypatch)
    with opened(tmp_path, trt) as session:
        follow(session, VIDEO)
    assert trt.strategy == trt.CudaGraphStrategy.DISABLED
    assert trt.cuda.captures == 0


def test_a_state_goes_on_in_another_session(trt, tmp_path):
    with opened(tmp_path, trt) as session:
        follow(session, VIDEO[:4])
        state = session._stream().save()
        follow(session, OTHER)
    assert [array.dtype for array in state.caches] == [np.float32, np.int8]
    with opened(tmp_path, trt) as session:
        stream = session.stream()
        stream.restore(state)
        np.testing.assert_allclose(follow(stream, VIDEO[4:]), expected(VIDEO)[4:], rtol=1e-6)


def test_a_state_of_another_network_is_refused_and_nothing_is_changed(trt, tmp_path):
    with opened(tmp_path / "one", trt) as one, opened(tmp_path / "two", trt, data=b"other") as two:
        one.step(VIDEO[0])
        two.step(VIDEO[0])
        with pytest.raises(TargetError, match="of another network"):
            two._stream().restore(one._stream().save())
        np.testing.assert_allclose(two.step(VIDEO[1]), expected(VIDEO)[1], rtol=1e-6)


def test_a_sequence_begins_anew_in_mid_stream(trt, tmp_path):
    with opened(tmp_path, trt) as session:
        follow(session, OTHER[:3])
        session.reset()
        np.testing.assert_allclose(follow(session, VIDEO), expected(VIDEO), rtol=1e-6)


def test_gates_say_which_steps_are_of_the_sequence(trt, tmp_path):
    with opened(tmp_path, trt, gates=(0, 1), delay=1) as session:
        assert session.step(VIDEO[0]) is None
        share = session.step(VIDEO[1]) - (expected(VIDEO)[1] - brightness(VIDEO[1:2])[0])
        np.testing.assert_allclose(share, brightness(VIDEO[1:2])[0], rtol=1e-5)
        (last,) = session.flush()
        before = remembered(VIDEO[1], 0) + 2 * remembered(VIDEO[1], 1)
        np.testing.assert_allclose(last, before, rtol=1e-6)  # a black frame, half of the gates closed


@pytest.mark.parametrize("frame", [VIDEO[0].astype(np.float32), VIDEO[0][:4], None])
def test_another_frame_is_refused(trt, tmp_path, frame):
    with opened(tmp_path, trt) as session, pytest.raises(TargetError, match=r"takes uint8\[8, 8, 3\]"):
        session.step(frame)


@pytest.mark.parametrize(
    "caches",
    [
        {"cache0": CACHES["cache0"]},
        {**CACHES, "cache2": CACHES["cache0"]},
        {**CACHES, "cache1": ((2, 4, 4, 3), np.float32)},
    ],
)
def test_an_engine_of_other_caches_than_described_is_refused(trt, tmp_path, caches):
    with pytest.raises(TargetError, match="others than those that its description speaks of"):
        opened(tmp_path, trt, caches=caches)
    assert trt.cuda.held == {}


def test_closing_gives_everything_back_and_refuses_more(trt, tmp_path):
    session = opened(tmp_path, trt)
    stream = session.stream()
    stream.step(VIDEO[0])
    session.close()
    session.close()
    assert trt.cuda.held == {}
    for refused in (lambda: stream.step(VIDEO[0]), stream.reset, stream.save, session.stream):
        with pytest.raises(TargetError, match="closed"):
            refused()


def test_without_memory_for_another_stream_the_others_go_on(trt, tmp_path):
    with opened(tmp_path, trt) as session:
        session.step(VIDEO[0])
        trt.cuda.memory = 100
        with pytest.raises(TargetError, match="out of memory"):
            session.stream()
        np.testing.assert_allclose(session.step(VIDEO[1]), expected(VIDEO)[1], rtol=1e-6)


def test_a_step_that_fails_leaves_the_stream_where_it_was(trt, tmp_path):
    with opened(tmp_path, trt) as session:
        stream = session.stream()
        trt.fails = True
        with pytest.raises(TargetError, match="does not run the network"):
            stream.step(VIDEO[0])
        trt.fails = False
        np.testing.assert_allclose(follow(stream, VIDEO), expected(VIDEO), rtol=1e-6)
