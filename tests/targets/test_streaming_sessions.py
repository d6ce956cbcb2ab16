"""What every target that streams fulfils. A new one is covered as soon as it names a form."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from stream_graphs import (
    answers,
    compiled_stream,
    displaced,
    in_int8,
    opened,
    other_weights,
    run_alone,
    stepped,
    unidirectional,
    video,
)
from target_graphs import canonical, capability_of, compiled, device_of

from edgevid import targets
from edgevid.contract import Session
from edgevid.errors import TargetError
from edgevid.graph.streaming import stream_graph
from edgevid.graph.verify import compare
from edgevid.targets._profiles import device as find_device
from edgevid.targets._schemes import SCHEMES

COMPUTING = [
    (name, form)
    for name in targets.names()
    if (capability := capability_of(name)).executes
    for form in capability.stream_lowerings
]
BACKBONES = ("resnet50", "mobilenet_v2")


@pytest.fixture(scope="module", params=COMPUTING, ids="-".join)
def artifact(request, tmp_path_factory):
    target, form = request.param
    return compiled_stream(target, tmp_path_factory.mktemp("stream"), form=form)


@pytest.fixture
def session(artifact):
    with opened(artifact) as found:
        yield found


@pytest.fixture(scope="module")
def expected():
    """Backbone to 300 frames, the offline network's answers to them, and to all but the first alone."""
    frames = video(300)
    graphs = {backbone: unidirectional(backbone) for backbone in BACKBONES}
    return {
        backbone: (frames, answers(graph, frames), answers(graph, frames[1:]))
        for backbone, graph in graphs.items()
    }


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize(("target", "form"), COMPUTING)
def test_300_frames_one_by_one_get_the_answers_of_the_offline_network(
    tmp_path, expected, target, form, backbone
):
    frames, wanted, without_the_first = expected[backbone]
    with opened(compiled_stream(target, tmp_path, unidirectional(backbone), form=form)) as session:
        found = stepped(session, frames)
    assert found.dtype == np.float32
    assert compare(wanted, found).max_relative <= 1e-4
    # The frames before matter: else this would hold for any cache.
    assert compare(without_the_first, found[1:]).max_relative > 1e-3


def test_a_session_follows_one_video_by_itself_and_others_beside_it(session, expected):
    assert isinstance(session, Session)
    frames, wanted, _ = expected["resnet50"]
    beside = session.stream()
    for number in range(5):
        assert compare(wanted[number], session.step(frames[number])).max_relative <= 1e-4
        if number > 2:
            found = beside.step(frames[number - 3])
            assert compare(wanted[number - 3], found).max_relative <= 1e-4


def test_streams_that_take_turns_at_random_keep_apart(session):
    videos = [video(12, seed) for seed in range(3)]
    wanted = [stepped(session.stream(), frames) for frames in videos]
    streams, found = [session.stream() for _ in videos], [[], [], []]
    turns = np.random.default_rng(1).permutation(np.repeat(np.arange(3), 12))
    for turn in turns:
        found[turn].append(streams[turn].step(videos[turn][len(found[turn])]))
    np.testing.assert_array_equal(found, wanted)


def test_streams_of_several_threads_keep_apart(session):
    videos = [video(10, seed) for seed in range(4)]
    wanted = [stepped(session.stream(), frames) for frames in videos]
    streams = [session.stream() for _ in videos]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(stepped, streams, videos))
    np.testing.assert_array_equal(found, wanted)


def test_answers_belong_to_the_caller_and_frames_are_only_read(session):
    frames = video(2)
    frames.flags.writeable = False
    first = session.step(frames[0])
    kept = first.copy()
    session.step(frames[1])
    np.testing.assert_array_equal(first, kept)
    first[:] = 0
    session.reset()
    np.testing.assert_array_equal(session.step(frames[0]), kept)


def test_a_frame_may_be_reused_for_the_next_one(session):
    frames, buffer = video(6), np.empty((32, 32, 3), np.uint8)
    wanted = stepped(session.stream(), frames)
    for number, frame in enumerate(frames):
        buffer[...] = frame
        np.testing.assert_array_equal(session.step(buffer), wanted[number])


def test_a_frame_that_is_a_view_is_read_as_it_looks(session):
    frame = video(1)[0]
    turned = frame[::-1, :, ::-1]
    np.testing.assert_array_equal(session.stream().step(turned), session.stream().step(turned.copy()))


def test_a_stream_goes_on_from_its_state_in_another_session(artifact, session):
    frames = video(9)
    wanted = stepped(session.stream(), frames)
    stream = session.stream()
    for frame in frames[:4]:
        stream.step(frame)
    state = stream.save()
    with opened(artifact) as other:
        other.stream().step(frames[7])
        later = other.stream()
        later.restore(state)
        np.testing.assert_array_equal(stepped(later, frames[4:]), wanted[4:])


def test_a_state_is_a_copy_that_can_be_gone_back_to(session):
    frames = video(6)
    stream = session.stream()
    stream.step(frames[0])
    state = stream.save()
    wanted = [stream.step(frame) for frame in frames[1:]]
    stream.restore(state)
    np.testing.assert_array_equal([stream.step(frame) for frame in frames[1:]], wanted)
    assert state.steps == 1
    sizes = [array.nbytes for array in state.caches]
    assert sizes == [cache.nbytes for cache in session.artifact.streaming.caches]


def test_the_state_of_another_network_is_refused_and_changes_nothing(session, tmp_path):
    frames = video(4)
    wanted = stepped(session.stream(), frames)
    stream = session.stream()
    for frame in frames[:2]:
        stream.step(frame)
    other = compiled_stream(session.artifact.target, tmp_path, displaced(), form=session.artifact.lowering)
    with opened(other) as stranger:
        stranger.step(frames[0])
        foreign = stranger._stream().save()
    mine = stream.save()
    for state in (foreign, dataclasses.replace(mine, caches=mine.caches[:-1])):
        with pytest.raises(TargetError, match="the state is of another network") as refused:
            stream.restore(state)
        assert "saved with this bundle" in refused.value.fix
    np.testing.assert_array_equal([stream.step(frame) for frame in frames[2:]], wanted[2:])


@pytest.mark.parametrize(("target", "form"), COMPUTING)
def test_a_state_goes_over_to_the_same_network_compiled_again_and_not_to_one_with_other_weights(
    tmp_path, target, form
):
    frames = video(5)
    with opened(compiled_stream(target, tmp_path, form=form)) as session:
        stream = session.stream()
        stream.step(frames[0])
        state = stream.save()
        wanted = stepped(stream, frames[1:])
    with opened(compiled_stream(target, tmp_path, form=form)) as again:
        stream = again.stream()
        stream.restore(state)
        np.testing.assert_array_equal(stepped(stream, frames[1:]), wanted)
    with (
        opened(compiled_stream(target, tmp_path, other_weights(), form=form)) as other,
        pytest.raises(TargetError, match="the state is of another network"),
    ):
        other.stream().restore(state)


def test_a_state_of_an_artifact_that_does_not_say_its_network_is_refused(artifact):
    unnamed = dataclasses.replace(artifact.streaming, network="")
    with opened(dataclasses.replace(artifact, streaming=unnamed)) as session:
        with pytest.raises(TargetError, match="does not say which network") as refused:
            session.stream().save()
        assert "compile it again" in refused.value.fix


def test_frames_of_another_size_or_type_are_refused_and_leave_the_stream_as_it_was(session):
    frames = video(3)
    wanted = stepped(session.stream(), frames)
    stream = session.stream()
    stream.step(frames[0])
    for wrong, words in (
        (frames[0][:16], "uint8[16, 32, 3]"),
        (frames[:1], "uint8[1, 32, 32, 3]"),
        (frames[0].transpose(2, 0, 1), "uint8[3, 32, 32]"),
        (frames[0].astype(np.float32), "float32[32, 32, 3]"),
        (frames[0].tolist(), "list"),
        (None, "NoneType"),
    ):
        with pytest.raises(TargetError) as refused:
            stream.step(wrong)
        assert f"the frame is {words}, the network takes uint8[32, 32, 3]" in refused.value.what
    np.testing.assert_array_equal(stream.step(frames[1]), wanted[1])


def test_a_reset_in_mid_stream_begins_anew(session):
    frames = video(5)
    wanted = stepped(session.stream(), frames)
    stream, other = session.stream(), session.stream()
    for number, frame in enumerate(frames[::-1]):
        stream.step(frame)
        np.testing.assert_array_equal(other.step(frames[number]), wanted[number])
    stream.reset()
    np.testing.assert_array_equal(stepped(stream, frames), wanted)


def test_nothing_follows_a_flush_but_a_reset(session):
    frame = video(1)[0]
    first = session.step(frame)
    assert session.flush().shape == (0, 5)
    with pytest.raises(TargetError, match="was flushed"):
        session.step(frame)
    with pytest.raises(TargetError, match="was flushed"):
        session._stream().save()
    session.reset()
    np.testing.assert_array_equal(session.step(frame), first)


def test_a_clip_gets_the_mean_of_its_frames_answers_as_offline(artifact, session, tmp_path):
    clip = video(4, seed=3)[None]
    with opened(compiled("onnxruntime", tmp_path, lowering="function", graph=unidirectional())) as offline:
        wanted = offline.run(clip)
    session.step(clip[0, 2])
    assert session.input.shape == (1, 4, 32, 32, 3)
    assert compare(wanted, session.run(clip)).max_relative <= 1e-4
    assert artifact.input.shape == (1, 1, 32, 32, 3)


def test_a_closed_session_takes_no_frames(artifact):
    session = opened(artifact)
    stream = session.stream()
    session.close()
    for call in (session.stream, session.reset, session.flush, stream.save):
        with pytest.raises(TargetError, match="closed"):
            call()
    for step in (session.step, stream.step):
        with pytest.raises(TargetError, match="closed"):
            step(video(1)[0])
    session.close()


@pytest.mark.parametrize("target", sorted({name for name, _ in COMPUTING}))
def test_an_offline_artifact_takes_no_frames(tmp_path, target):
    artifact = compiled(target, tmp_path)
    assert artifact.streaming is None
    with opened(artifact) as session:
        for call in (session.stream, session.reset, session.flush, lambda: session.step(video(1)[0])):
            with pytest.raises(TargetError, match="takes whole clips") as refused:
                call()
            assert "--streaming" in refused.value.fix


@pytest.mark.parametrize(("target", "form"), COMPUTING)
@pytest.mark.parametrize("length", [1, 20])
def test_with_lookahead_the_answers_come_late_and_are_those_of_the_whole_video(
    tmp_path, target, form, length
):
    both, frames = canonical(1, "resnet50"), video(length)
    artifact = compiled_stream(target, tmp_path, both, form=form, lookahead=True)
    delay = artifact.streaming.delay
    assert delay > 1
    with opened(artifact) as session:
        rows = [session.step(frame) for frame in frames]
        late = session.flush()
        again = stepped(session.stream(), frames)
    assert all(row is None for row in rows[:delay])
    assert all(row is not None for row in rows[delay:])
    assert len(late) == min(delay, length)
    found = np.array([*rows[delay:], *late])
    assert compare(answers(both, frames), found).max_relative <= 1e-4
    np.testing.assert_array_equal(again, found)


INT8 = [
    (name, form, device)
    for name, form, device in (
        ("openvino", "cache_inputs", None),
        ("onnxruntime", None, "tensorrt-simulated"),
        ("tvm", None, None),
    )
    if "int8" in targets.find(name).probe(find_device(device) if device else device_of(name)).precisions
]


@pytest.mark.parametrize(("target", "form", "device"), INT8)
def test_in_int8_lookahead_holds_back_bytes_and_answers_as_the_whole_video_would(
    tmp_path, target, form, device
):
    graph = in_int8(canonical(1, "mobilenet_v2"), SCHEMES["tvm" if target == "tvm" else "openvino"])
    place, frames = find_device(device) if device else None, video(12)
    artifact = compiled_stream(
        target, tmp_path, graph, precision="int8", lookahead=True, form=form, device=place
    )
    plain = stream_graph(canonical(1, "mobilenet_v2"), lookahead=True).streaming
    assert artifact.streaming.nbytes * 4 == plain.nbytes
    with opened(artifact) as session:
        found = stepped(session, frames)
    assert compare(answers(graph, frames), found).sqnr > 20


@pytest.mark.parametrize(("target", "form"), COMPUTING)
def test_what_is_displaced_in_space_too_streams(tmp_path, target, form):
    frames = video(6)
    with opened(compiled_stream(target, tmp_path, displaced(), form=form)) as session:
        assert compare(answers(displaced(), frames), stepped(session, frames)).max_relative <= 1e-4


@pytest.mark.parametrize("lookahead", [False, True])
@pytest.mark.parametrize(("target", "form"), COMPUTING)
def test_the_example_beside_a_streaming_artifact_takes_two_frames_without_edgevid(
    tmp_path, target, form, lookahead
):
    frames, graph = video(2, seed=5), canonical(1, "resnet50") if lookahead else unidirectional()
    artifact = compiled_stream(target, tmp_path, graph, form=form, lookahead=lookahead)
    np.save(artifact.folder / "clip.npy", frames[None])
    program = (artifact.folder / "example.py").read_text()
    assert "edgevid" not in program.partition('"""\n')[2]
    assert sum(bool(line.strip()) for line in program.splitlines()) <= 23
    if lookahead:
        assert run_alone(artifact.folder).startswith("class ["), "without a clip it makes one"
        return
    with opened(artifact) as session:
        wanted = [session.step(frame) for frame in frames][1]
    assert run_alone(artifact.folder, "clip.npy") == f"class [{wanted.argmax()}]\n"


def test_the_null_target_remembers_the_frame_before(tmp_path):
    artifact = compiled_stream("null", tmp_path)
    black, white = np.zeros((32, 32, 3), np.uint8), np.full((32, 32, 3), 255, np.uint8)
    with opened(artifact) as session:
        _, second, third = (session.step(frame) for frame in (white, black, black))
        beside = session.stream().step(black)
    assert second.any()
    assert not third.any()
    assert not beside.any()


@pytest.mark.parametrize("target", targets.names())
def test_a_graph_and_a_description_of_two_networks_are_refused(tmp_path, target, monkeypatch):
    if not capability_of(target).compiles or not capability_of(target).stream_lowerings:
        pytest.skip("it compiles no streaming network here")
    from edgevid.graph import streaming

    def mixed_up(graph, *, lookahead):
        found = streaming.stream_graph(graph, lookahead=lookahead)
        caches = found.streaming.caches[:-1]
        return dataclasses.replace(found, streaming=dataclasses.replace(found.streaming, caches=caches))

    monkeypatch.setattr("stream_graphs.stream_graph", mixed_up)
    with pytest.raises(TargetError, match="the graph does not take"):
        compiled_stream(target, tmp_path)
