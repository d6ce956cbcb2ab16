"""Back-pressure: what a slow network sees of a fast source."""

import threading
from threading import Event

import pytest
from live_fakes import frames, picture

from edgevid.errors import VideoError
from edgevid.live import Counts, TimedFrame
from edgevid.live.newest import newest
from edgevid.live.pace import paced


class Camera:
    """Gives the first group, and when it was taken all others at once."""

    def __init__(self, *groups, failure=None):
        self.groups = groups
        self.failure = failure
        self.taken = Event()
        self.done = Event()

    def __iter__(self):
        yield self.groups[0]
        assert self.taken.wait(10)
        yield from self.groups[1:]
        self.done.set()
        if self.failure is not None:
            raise self.failure


def after_a_slow_step(camera, counts):
    """Numbers of the first frame, and of all that are seen after the others came."""
    seen = newest(iter(camera), counts, Event())
    first = next(seen)
    camera.taken.set()
    assert camera.done.wait(10)
    return [first, *seen]


def test_a_slow_network_sees_the_newest_frame_and_the_others_are_counted():
    counts = Counts()
    seen = after_a_slow_step(Camera(*([frame] for frame in frames([0, 1, 2, 3]))), counts)
    assert [frame.number for frame in seen] == [0, 3]
    assert counts.dropped == 2


def test_a_source_that_hangs_counts_as_away_until_it_is_back():
    counts, told, more = Counts(), [], Event()

    def camera():
        for number, frame in enumerate(frames([0, 1])):
            if number:
                assert more.wait(10)
            counts.frames, counts.away = number + 1, ""
            yield [frame]

    def waiting():
        told.append(counts.away)
        if counts.away:
            more.set()

    seen = newest(camera(), counts, Event(), waiting, patience=0.15)
    assert [frame.number for frame in seen] == [0, 1]
    assert "no frame for 0.15 seconds" in told
    assert told[0] == ""
    assert counts.away == ""


def test_frames_of_one_arrival_are_dropped_or_seen_together():
    counts = Counts()
    first, *rest = frames([0, 1, 2, 3, 4])
    seen = after_a_slow_step(Camera([first], rest[:2], rest[2:]), counts)
    assert [frame.number for frame in seen] == [0, 3, 4]
    assert counts.dropped == 2


def test_that_the_source_was_away_is_not_dropped_with_the_frame_that_says_so():
    groups = [[TimedFrame(float(n), n, picture(0), resumed=n == 1)] for n in range(3)]
    seen = after_a_slow_step(Camera(*groups), Counts())
    assert [(frame.number, frame.resumed) for frame in seen] == [(0, False), (2, True)]


def test_what_ends_the_reading_is_raised_after_the_frames_before_it():
    camera = Camera(*([frame] for frame in frames([0, 1])), failure=VideoError("it broke"))
    seen = newest(iter(camera), Counts(), Event())
    assert next(seen).number == 0
    camera.taken.set()
    assert next(seen).number == 1
    with pytest.raises(VideoError, match="it broke"):
        next(seen)


def test_a_network_that_keeps_up_sees_every_frame():
    turn = Event()

    def camera():
        for frame in frames(range(5)):
            turn.clear()
            yield [frame]
            assert turn.wait(10)

    counts, seen = Counts(), []
    for frame in newest(camera(), counts, Event()):
        seen.append(frame.number)
        turn.set()
    assert seen == [0, 1, 2, 3, 4]
    assert counts.dropped == 0


def test_when_nobody_asks_any_more_the_source_is_closed_and_its_thread_ends():
    closed, stopped = Event(), Event()

    def camera():
        try:
            for number in range(1_000_000):
                yield [TimedFrame(float(number), number, picture(0))]
                stopped.wait(0.001)
        finally:
            closed.set()

    seen = newest(camera(), Counts(), stopped)
    next(seen)
    seen.close()
    assert stopped.is_set()
    assert closed.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "edgevid-source"]


def test_a_file_is_played_at_its_own_speed():
    waited, now = [], [100.0]

    def wait(seconds):
        waited.append(round(seconds, 6))
        now[0] += seconds
        return False

    played = []
    for frame in paced(frames([0, 0, 0, 0], 0.5), Event(), clock=lambda: now[0], wait=wait):
        played.append(frame.number)
        now[0] += 0.2 if frame.number == 0 else 0.7  # then reading is too slow
    assert played == [0, 1, 2, 3]
    assert waited == [0.3]


def test_playing_ends_in_the_middle_of_a_wait():
    assert [f.number for f in paced(frames([0, 0]), Event(), clock=lambda: 0.0, wait=lambda _: True)] == [0]
