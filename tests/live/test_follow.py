"""A source through the network: what is shown, what is counted, and how it ends."""

from dataclasses import replace
from threading import Event

import pytest
from live_fakes import SAMPLING, ClipSession, Connections, FrameSession, artifact_of, frames, picture

from edgevid.errors import VideoError
from edgevid.live import Counts, FrameByFrame, SlidingWindow, Smoothing, Tally, TimedFrame, follow
from edgevid.live.live_source import live_frames
from edgevid.live.newest import newest
from edgevid.live.resample import resampled


def network(folder, delay=0):
    return FrameByFrame(FrameSession(artifact_of(folder, delay=delay)).stream(), SAMPLING, delay=delay)


def followed(source, recognizer, *, smooth=(), stopped=None, tally=None, finish=True):
    tally = tally or Tally(Counts())
    moments = follow(
        source, recognizer, SAMPLING, Smoothing.parse(smooth), tally, stopped or Event(), finish=finish
    )
    return list(moments), tally


def test_the_label_follows_the_frames(tmp_path):
    moments, tally = followed(frames([0, 0, 3, 3, 1]), network(tmp_path))
    assert [moment.label for moment in moments] == [0, 0, 3, 3, 1]
    assert (tally.taken, tally.answers) == (5, 5)


def test_frames_are_resized_as_the_bundle_says(tmp_path):
    larger = replace(frames([2])[0], pixels=picture(2, side=40)[:, :35])
    moments, _ = followed([larger], network(tmp_path))
    assert [moment.label for moment in moments] == [2]


def test_the_last_answers_of_a_network_with_look_ahead_come_at_the_end(tmp_path):
    moments, tally = followed(frames([0, 1, 2, 3]), network(tmp_path, 2))
    assert [(moment.number, moment.label) for moment in moments] == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert (tally.taken, tally.answers) == (4, 4)


def test_a_stream_that_is_to_go_on_keeps_its_last_answers(tmp_path):
    recognizer = network(tmp_path, 2)
    moments, _ = followed(frames([0, 1, 2, 3]), recognizer, finish=False)
    assert [moment.number for moment in moments] == [0, 1]
    assert recognizer.save().steps == 4


def test_stopping_ends_after_the_present_frame_and_gives_what_is_left(tmp_path):
    stopped = Event()

    def source():
        for frame in frames([0, 1, 2, 3, 4]):
            if frame.number == 2:
                stopped.set()
            yield frame

    moments, tally = followed(source(), network(tmp_path, 1), stopped=stopped)
    assert [moment.number for moment in moments] == [0, 1, 2]
    assert tally.taken == 3


def test_a_source_that_was_away_begins_a_new_sequence_and_new_smoothing(tmp_path):
    source = [replace(frame, resumed=frame.number == 2) for frame in frames([4, 4, 0, 0])]
    moments, _ = followed(source, network(tmp_path, 1), smooth=["average:9"])
    assert [(moment.number, moment.label) for moment in moments] == [(0, 4), (1, 4), (2, 0), (3, 0)]
    assert [moment.smoothing for moment in moments] == [f"average of {n}/9" for n in (1, 2, 1, 2)]


def test_without_frames_there_is_no_answer(tmp_path):
    moments, tally = followed([], network(tmp_path, 2))
    assert moments == []
    assert tally.cost is None
    assert tally.record()["answers"] == 0


def test_a_camera_that_goes_away_twice_is_followed_to_its_end(tmp_path):
    counts, pauses = Counts(), []

    def wait(seconds):
        pauses.append(seconds)
        return len(pauses) == 3

    away = VideoError("it went away")
    parts = [[(n / 10, picture(label)) for n, label in enumerate(labels)] for labels in ([0, 1], [2], [3, 4])]
    source = live_frames(
        Connections([*parts[0], away], [*parts[1], (None, None), away], parts[2]), counts, Event(), wait=wait
    )
    tally = Tally(counts)
    moments, _ = followed(
        (frame for group in resampled(source, 0.1) for frame in group), network(tmp_path, 1), tally=tally
    )
    assert [moment.label for moment in moments] == [0, 1, 2, 3, 4]
    record = tally.record()
    assert (record["frames"], record["skipped"], record["reopened"], record["dropped"]) == (5, 1, 2, 0)


def test_a_slow_network_drops_frames_and_answers_to_the_newest(tmp_path):
    counts, busy, done = Counts(), Event(), Event()

    class Slow(FrameSession):
        def _advance(self, caches, frame, valid):
            busy.set()
            assert done.wait(10)
            return super()._advance(caches, frame, valid)

    def camera():
        first, *rest = frames([0, 1, 2, 3, 4])
        yield [first]
        assert busy.wait(10)
        yield from ([frame] for frame in rest)
        done.set()

    recognizer = FrameByFrame(Slow(artifact_of(tmp_path, delay=0)).stream(), SAMPLING)
    moments, tally = followed(newest(camera(), counts, Event()), recognizer, tally=Tally(counts))
    assert [moment.number for moment in moments] == [0, 4]
    assert tally.counts.dropped == 3
    assert tally.video_seconds == pytest.approx(0.16)


def test_a_window_is_run_every_hop_and_costs_what_its_runs_cost(tmp_path):
    now = 0.0

    class Timed(ClipSession):
        def _run(self, clip):
            nonlocal now
            now += 0.25
            return super()._run(clip)

    tally = Tally(Counts(), clock=lambda: now)
    recognizer = SlidingWindow(Timed(artifact_of(tmp_path)), SAMPLING, 4, 2)
    moments, _ = followed(frames([1] * 10, 0.1), recognizer, tally=tally)
    assert [moment.number for moment in moments] == [3, 5, 7, 9]
    assert [moment.seconds for moment in moments] == [0.25] * 4
    # Four runs a second of video.
    assert tally.cost == pytest.approx(1.0)
    assert tally.record()["ms_a_second_of_video"] == pytest.approx(1000)
    assert tally.milliseconds == pytest.approx((0, 100))


def test_time_that_the_source_was_away_is_no_video():
    tally = Tally(Counts(), clock=lambda: 0.0)
    for number, (time, resumed) in enumerate([(0.0, False), (0.5, False), (60.0, True), (60.5, False)]):
        tally.took(TimedFrame(time, number, picture(0), resumed), 0.0, 0.1)
    assert tally.video_seconds == 1.0


def test_the_rate_is_that_of_the_last_frames():
    now = 0.0
    tally = Tally(Counts(), clock=lambda: now)
    for number in range(200):
        now += 1.0 if number < 100 else 0.1
        tally.took(TimedFrame(float(number), number, picture(0)), 0.0, 0.0)
    assert tally.recent_rate == pytest.approx(10)
    assert tally.record()["frames_per_second"] == pytest.approx(200 / 110)
