"""A network of whole clips behind a source: which frames its clips are made of, and when."""

from dataclasses import replace

import pytest
from live_fakes import SAMPLING, ClipSession, artifact_of, frames

from edgevid.errors import ConfigError
from edgevid.live import SlidingWindow
from edgevid.video.sample import sample_indices


@pytest.fixture
def session(tmp_path):
    return ClipSession(artifact_of(tmp_path))


def answered(network, source):
    return [answer.number for frame in source for answer in network.take(frame)]


def clips(session):
    return [clip.tolist() for clip in session.clips]


def test_the_first_answer_comes_with_the_first_whole_window_and_then_every_hop(session):
    assert answered(SlidingWindow(session, SAMPLING, 6, 3), frames([0] * 14)) == [5, 8, 11]


def test_an_answer_has_the_time_of_the_newest_frame_of_its_window(session):
    network = SlidingWindow(session, SAMPLING, 4, 1)
    times = [answer.time for frame in frames([0] * 6, 0.5) for answer in network.take(frame)]
    assert times == [1.5, 2.0, 2.5]


def test_a_clip_holds_the_frames_that_the_sampling_takes_of_the_window(session):
    labels = [0, 1, 2, 3, 4, 3, 2, 1, 0, 1]
    answered(SlidingWindow(session, SAMPLING, 8, 2), frames(labels))
    picked = sample_indices(8, SAMPLING)[0].tolist()
    assert clips(session) == [[labels[first + index] for index in picked] for first in (0, 2)]


def test_a_dense_clip_spans_neighbours_at_its_stride(session):
    dense = replace(SAMPLING, mode="dense", window=8)
    answered(SlidingWindow(session, dense, 7, 1), frames([0, 1, 2, 3, 4, 3, 2]))
    assert clips(session) == [[0, 2, 4, 2]]


def test_a_source_shorter_than_the_window_is_answered_once_at_its_end(session):
    network = SlidingWindow(session, SAMPLING, 8, 2)
    assert answered(network, frames([1, 2])) == []
    assert [answer.number for answer in network.finish()] == [1]
    assert clips(session) == [[1, 1, 2, 2]]


def test_the_end_of_a_longer_source_brings_no_further_answer(session):
    network = SlidingWindow(session, SAMPLING, 4, 4)
    assert answered(network, frames([1] * 6)) == [3]
    assert network.finish() == []


def test_without_frames_there_is_no_answer(session):
    assert SlidingWindow(session, SAMPLING, 4, 1).finish() == []


def test_a_new_sequence_fills_its_own_window(session):
    network = SlidingWindow(session, SAMPLING, 4, 1)
    assert answered(network, frames([0] * 5)) == [3, 4]
    network.restart()
    assert answered(network, frames([1] * 4)) == [3]
    assert clips(session)[-1] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("sampling", "window", "least"),
    [(SAMPLING, 3, 4), (replace(SAMPLING, mode="dense", window=8), 6, 7)],
)
def test_a_window_shorter_than_a_clip_is_refused(session, sampling, window, least):
    with pytest.raises(ConfigError, match="too short") as caught:
        SlidingWindow(session, sampling, window, 1)
    assert caught.value.fix == f"give at least {least}"
    SlidingWindow(session, sampling, least, 1)
