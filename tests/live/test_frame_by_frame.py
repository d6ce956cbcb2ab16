"""A streaming network behind a source: answers belong to their frames, whatever the delay."""

from dataclasses import replace

import pytest
from live_fakes import SAMPLING, FrameSession, artifact_of, frames

from edgevid.errors import TargetError
from edgevid.live import FrameByFrame


def recognizer(folder, delay=0, state=None):
    return FrameByFrame(
        FrameSession(artifact_of(folder, delay=delay)).stream(), SAMPLING, state=state, delay=delay
    )


def told(answers):
    return [(answer.time, answer.number, int(answer.probabilities.argmax())) for answer in answers]


def all_of(network, source):
    return told([answer for frame in source for answer in network.take(frame)])


def test_each_frame_is_answered_at_once_without_a_delay(tmp_path):
    assert all_of(recognizer(tmp_path), frames([2, 4, 1], 0.5)) == [(0.0, 0, 2), (0.5, 1, 4), (1.0, 2, 1)]


def test_probabilities_sum_to_one(tmp_path):
    answers = recognizer(tmp_path).take(frames([3])[0])
    assert answers[0].probabilities.sum() == pytest.approx(1)


@pytest.mark.parametrize("delay", [1, 3])
def test_with_look_ahead_answers_come_late_with_the_time_of_their_own_frame(tmp_path, delay):
    network, source = recognizer(tmp_path, delay), frames([2, 4, 1, 0, 3], 0.5)
    at_once = [len(network.take(frame)) for frame in source[:delay]]
    assert at_once == [0] * delay
    rest = all_of(network, source[delay:])
    assert rest + told(network.finish()) == [(0.0, 0, 2), (0.5, 1, 4), (1.0, 2, 1), (1.5, 3, 0), (2.0, 4, 3)]


def test_a_source_shorter_than_the_delay_is_answered_at_its_end(tmp_path):
    network = recognizer(tmp_path, 3)
    assert all_of(network, frames([2, 4])) == []
    assert [answer[1:] for answer in told(network.finish())] == [(0, 2), (1, 4)]


def test_a_new_sequence_knows_nothing_of_the_frames_before(tmp_path):
    network = recognizer(tmp_path, 1)
    network.take(frames([4, 4])[1])
    network.restart()
    assert all_of(network, frames([0, 1])) == [(0.0, 0, 0)]


@pytest.mark.parametrize("delay", [0, 2])
def test_a_saved_state_goes_on_as_if_nothing_had_been_between(tmp_path, delay):
    labels = [2, 4, 1, 0, 3, 2]
    whole = recognizer(tmp_path, delay)
    expected = [label for _, _, label in all_of(whole, frames(labels)) + told(whole.finish())]
    first = recognizer(tmp_path, delay)
    begun = all_of(first, frames(labels[:3]))
    second = recognizer(tmp_path, delay, first.save())
    rest = all_of(second, frames(labels[3:])) + told(second.finish())
    assert [label for _, _, label in begun + rest] == expected
    assert [(time, number) for time, number, _ in rest[:delay]] == [(None, n) for n in range(-delay, 0)]
    assert [number for _, number, _ in rest[delay:]] == [0, 1, 2]


@pytest.mark.parametrize("in_place", [False, True])
def test_after_a_step_that_failed_half_way_a_stream_goes_on_only_where_its_caches_are_whole(
    tmp_path, monkeypatch, in_place
):
    session = FrameSession(artifact_of(tmp_path, delay=0))
    monkeypatch.setattr(FrameSession, "in_place", in_place)
    stream, frame = session.stream(), frames([1])[0].pixels
    stream.step(frame)
    state = stream.save()
    with monkeypatch.context() as broken:
        broken.setattr(FrameSession, "_advance", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            stream.step(frame)
    if not in_place:
        assert stream.step(frame).argmax() == 1
        return
    for call in (lambda: stream.step(frame), stream.save):
        with pytest.raises(TargetError, match="failed half-way") as refused:
            call()
        assert "reset()" in refused.value.fix
    stream.restore(state)
    assert stream.step(frame).argmax() == 1
    assert stream.steps == 2


def test_a_state_of_another_network_is_refused(tmp_path):
    state = replace(recognizer(tmp_path, 1).save(), network="another one")
    with pytest.raises(TargetError, match="of another network"):
        recognizer(tmp_path, 1, state)
