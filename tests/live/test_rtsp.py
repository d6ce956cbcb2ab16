"""RTSP over TCP by FFmpeg, against a server of our own that hangs up."""

from itertools import islice, pairwise
from threading import Event

import pytest
from rtsp_server import RATE, rtsp_server

from edgevid.live import find_source


def test_a_server_that_hangs_up_is_asked_again_and_every_frame_comes():
    with rtsp_server(20) as address:
        stopped = Event()
        source = find_source(address, stopped)
        reading = source.read()
        seen = list(islice(reading, 30))
        reading.close()
    assert [frame.number for frame in seen] == list(range(30))
    assert [frame.number for frame in seen if frame.resumed] == [20]
    assert source.counts.reopened == 1
    # FFmpeg gives the first frame no time stamp.
    spaces = [b.time - a.time for a, b in pairwise(seen[1:20])]
    assert spaces == pytest.approx([1 / RATE] * 18, abs=1e-3)
    first, second = ([frame.pixels.mean() for frame in part] for part in (seen[:10], seen[20:]))
    assert first == sorted(first)
    assert first == second


def test_frames_that_arrive_together_are_dropped_but_for_the_newest():
    with rtsp_server(20) as address:
        source = find_source(address, Event())
        frames = source.frames()
        first = next(frames)
        while source.counts.frames < 20:
            Event().wait(0.01)
        second = next(frames)
        frames.close()
    assert first.number < second.number
    assert second.number >= 18
    assert source.counts.dropped >= second.number - first.number - 1
