"""Cameras and streams that go away and come back."""

from threading import Event

import pytest
from live_fakes import Connections, picture

from edgevid.errors import ConfigError, VideoError
from edgevid.live import Counts, find_source
from edgevid.live.live_source import LONGEST_PAUSE, live_frames
from edgevid.live.openers import without_password
from edgevid.live.resample import resampled

AWAY = VideoError("the source went away (no answer)")


class Clock:
    """Stands still but for pauses, and stops the source after some of them."""

    def __init__(self, pauses=1000):
        self.now = 50.0
        self.pauses = []
        self._left = pauses

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds
        return len(self.pauses) >= self._left


def followed(*connections, pauses):
    counts, clock = Counts(), Clock(pauses)
    source = live_frames(Connections(*connections), counts, Event(), clock=clock, wait=clock.wait)
    return list(source), counts, clock


def good(*stamps):
    return [(stamp, picture(1)) for stamp in stamps]


def test_a_source_that_goes_away_is_opened_again_and_counted():
    seen, counts, _ = followed([*good(7.0, 7.5), AWAY], good(900.0, 900.5), pauses=2)
    assert [frame.number for frame in seen] == [0, 1, 2, 3]
    assert [frame.resumed for frame in seen] == [False, False, True, False]
    assert (counts.frames, counts.reopened) == (4, 1)
    # 7.5 was at 0.5, and the pause of 0.5 s began when the clock stood at 0.
    assert [frame.time for frame in seen] == [0.0, 0.5, 0.5, 1.0]


def test_the_pauses_double_while_it_stays_away_and_are_short_again_after_a_frame():
    away = [AWAY] * 6
    _, counts, clock = followed(good(0.0), *away, good(0.0), AWAY, pauses=9)
    assert clock.pauses == [0.5, 1, 2, 4, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE, 0.5, 1]
    assert counts.reopened == 1
    assert counts.away == AWAY.what


def test_an_opening_without_a_frame_does_not_count_as_coming_back():
    _, counts, clock = followed(good(0.0), [], [(1.0, None)], good(0.0), pauses=4)
    assert clock.pauses == [0.5, 1, 2, 0.5]
    assert (counts.reopened, counts.skipped) == (1, 1)


def test_why_it_is_away_is_told_until_it_is_back():
    counts, told = Counts(), []

    def wait(seconds):
        told.append(counts.away)
        return False

    source = live_frames(Connections([*good(0.0), AWAY], good(0.0)), counts, Event(), wait=wait)
    next(source)
    next(source)
    assert told == [AWAY.what]
    assert counts.away == ""
    source.close()


def test_a_source_that_cannot_be_opened_at_first_is_an_error():
    with pytest.raises(VideoError, match="no such camera"):
        followed(VideoError("no such camera"), pauses=1)


def test_a_source_that_ends_before_its_first_frame_is_an_error():
    with pytest.raises(VideoError, match="before its first frame"):
        followed([(0.0, None)], pauses=1)


def test_damaged_frames_are_skipped_and_counted():
    seen, counts, _ = followed([(0.0, picture(0)), (None, None), (0.2, picture(0))], pauses=1)
    assert [frame.number for frame in seen] == [0, 2]
    assert (counts.frames, counts.skipped, counts.reopened) == (2, 1, 0)


def test_frames_without_time_stamps_have_the_time_of_their_arrival():
    clock = Clock(1)
    source = live_frames(
        Connections([(None, picture(0)), (None, picture(0))]),
        Counts(),
        Event(),
        clock=clock,
        wait=clock.wait,
    )
    assert next(source).time == 0.0
    clock.now += 0.3
    assert next(source).time == pytest.approx(0.3)


def test_times_never_go_back():
    seen, _, _ = followed(good(5.0, 6.0, 5.5, 7.0), pauses=1)
    assert [frame.time for frame in seen] == [0.0, 1.0, 1.0, 2.0]


def test_a_clock_that_is_set_back_stops_nothing_and_is_told_once():
    stamps = [n / 10 - back for back in (0, 3600, 9e6) for n in range(16)]
    seen, counts, _ = followed(good(*stamps), pauses=1)
    times = [frame.time for frame in seen]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(4.5, abs=0.01)
    assert len([frame for group in resampled(seen, 0.1) for frame in group]) > 44
    assert counts.warnings == ["the source's clock was set back; times go on from where they were"]


def test_stopping_closes_the_source():
    stopped, connections = Event(), Connections(good(*range(100)))
    source = live_frames(connections, Counts(), stopped)
    next(source)
    stopped.set()
    assert list(source) == []
    assert connections.closed == 1


def test_the_source_is_closed_before_it_is_opened_again():
    connections, clock = Connections([*good(0.0), AWAY], good(0.0)), Clock(2)
    source = live_frames(connections, Counts(), Event(), clock=clock, wait=clock.wait)
    next(source)
    assert connections.closed == 0
    next(source)
    assert connections.closed == 1
    source.close()


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("camera", "/dev/video0"),
        ("camera:3", "/dev/video3"),
        ("/dev/video2", "/dev/video2"),
        ("rtsp://someone:secret@host:8554/a?b=c", "rtsp://someone@host:8554/a?b=c"),
        ("rtsps://host/a", "rtsps://host/a"),
    ],
)
def test_cameras_and_streams_are_live_and_their_names_hold_no_password(word, name):
    source = find_source(word, Event())
    assert (source.name, source.live) == (name, True)


@pytest.mark.parametrize("word", ["clip.mp4", "cameras", "./camera", "folder/camera:1.mp4"])
def test_everything_else_is_a_file(word):
    assert not find_source(word, Event()).live


@pytest.mark.parametrize(
    ("word", "told"),
    [("camera:one", "names no camera"), ("camera:", "names no camera"), ("http://host/a.mp4", "http://")],
)
def test_other_words_are_refused_with_the_way_out(word, told):
    with pytest.raises(ConfigError, match=told) as caught:
        find_source(word, Event())
    assert caught.value.fix


def test_a_camera_that_is_not_there_is_named():
    source = find_source("/dev/video250", Event())
    with pytest.raises(VideoError, match="cannot be opened") as caught:
        list(source.frames())
    assert caught.value.where == "/dev/video250"


def test_an_address_that_nobody_answers_at_is_told_without_its_password():
    source = find_source("rtsp://someone:secret@127.0.0.1:9/a", Event())
    with pytest.raises(VideoError, match="cannot be opened") as caught:
        list(source.frames())
    assert "secret" not in str(caught.value)
    assert "someone@127.0.0.1:9" in str(caught.value)


def test_an_address_without_a_name_is_shown_as_it_is():
    assert without_password("rtsp://host/a@b:c") == "rtsp://host/a@b:c"
