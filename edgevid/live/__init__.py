"""Recognize a video that goes on: read, resample, keep up, recognize, smooth, show."""

from __future__ import annotations

from edgevid.live.find import Source, find_source
from edgevid.live.follow import Moment, follow
from edgevid.live.frame import Counts, TimedFrame
from edgevid.live.frame_by_frame import FrameByFrame
from edgevid.live.smooth import Smoothing
from edgevid.live.state import load_state, save_state
from edgevid.live.tally import Tally
from edgevid.live.window import SlidingWindow

__all__ = [
    "Counts",
    "FrameByFrame",
    "Moment",
    "SlidingWindow",
    "Smoothing",
    "Source",
    "Tally",
    "TimedFrame",
    "find_source",
    "follow",
    "load_state",
    "save_state",
]
