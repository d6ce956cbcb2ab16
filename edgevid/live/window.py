"""Recognizing by a network of whole clips: a clip of the last frames, again and again."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from edgevid.contract import Sampling, Session
from edgevid.errors import ConfigError
from edgevid.graph.verify import run_all
from edgevid.live.frame import TimedFrame
from edgevid.live.recognizer import Prediction
from edgevid.scores import scores
from edgevid.video.sample import sample_indices

__all__ = ["SlidingWindow", "check_window"]


def check_window(sampling: Sampling, window: int) -> None:
    """Refuse a window that the clip's frames cannot be taken from in their order.

    Raises:
        ConfigError: it is shorter than what a clip spans.
    """
    least = sampling.segments
    if sampling.mode == "dense":
        least = (sampling.segments - 1) * (sampling.window // sampling.segments) + 1
    if window < least:
        raise ConfigError(
            f"a window of {window} frames is too short: by the bundle's sampling a clip spans {least}",
            where="--window",
            fix=f"give at least {least}",
        )


class SlidingWindow:
    """The last ``window`` frames, of which the bundle's sampling takes a clip every ``hop`` frames.

    The first answer comes when there are so many; a source that ends before gives one answer, as a short
    video does.

    Args:
        session: of whole clips.
        sampling: of the bundle; one clip, the central crop.
        window: frames.
        hop: frames from one answer to the next.

    Raises:
        ConfigError: see `check_window`.
    """

    def __init__(self, session: Session, sampling: Sampling, window: int, hop: int) -> None:
        check_window(sampling, window)
        self._session = session
        self._sampling = replace(sampling, clips=1, crops=1)
        self._hop = hop
        self._frames: deque[TimedFrame] = deque(maxlen=window)
        self._wait = window

    def take(self, frame: TimedFrame) -> list[Prediction]:
        """The answer to the window that ends with the frame, if it is time for one."""
        self._frames.append(frame)
        self._wait -= 1
        if self._wait:
            return []
        self._wait = self._hop
        return [self._answer()]

    def finish(self) -> list[Prediction]:
        """An answer if there was none and there are frames."""
        unanswered = 0 < len(self._frames) < (self._frames.maxlen or 0)
        answers = [self._answer()] if unanswered else []
        self._frames.clear()
        return answers

    def restart(self) -> None:
        """Forget all frames."""
        self._frames.clear()
        self._wait = self._frames.maxlen or 1

    def _answer(self) -> Prediction:
        frames = list(self._frames)
        indices = sample_indices(len(frames), self._sampling)[0]
        clip = np.stack([frames[index].pixels for index in indices])[None]
        last = frames[-1]
        return Prediction(last.time, last.number, scores(run_all(self._session, clip), self._sampling))
