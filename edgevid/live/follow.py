"""A source through the network and the smoothing, as answers come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING

from edgevid.contract import Sampling
from edgevid.live.frame import TimedFrame
from edgevid.live.recognizer import Prediction, Recognizer
from edgevid.live.smooth import Smoothing
from edgevid.live.tally import Tally
from edgevid.video.transform import transform_frame

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Moment", "follow"]


@dataclass(frozen=True, eq=False)
class Moment:
    """What is shown of one answer.

    Attributes:
        time: of its frame, seconds since the source's first one; None if from before a restored state.
        number: of its frame in the source.
        label: the class, after smoothing.
        probabilities: ``[classes]``, after smoothing.
        seconds: of the network, for the answer alone.
        smoothing: its state in words; empty without.
        resumed: the first of a new sequence, which begins when the source was away.
    """

    time: float | None
    number: int
    label: int
    probabilities: NDArray[np.float64]
    seconds: float
    smoothing: str
    resumed: bool = False


def follow(
    frames: Iterable[TimedFrame],
    recognizer: Recognizer,
    sampling: Sampling,
    smoothing: Smoothing,
    tally: Tally,
    stopped: Event,
    *,
    finish: bool = True,
) -> Iterator[Moment]:
    """Answers until the source ends, or until ``stopped`` is set.

    A source that was away begins a new sequence, which knows nothing of the frames before.

    Args:
        frames: those that the network is to see.
        recognizer: a network.
        sampling: how frames are resized; the central crop is taken.
        smoothing: after it.
        tally: is kept up to date.
        stopped: ends it after the present frame.
        finish: give the last answers of a network with look-ahead; not if its state is saved to go on from.

    Raises:
        EdgevidError: of the source or the network.
    """
    central, resumed = replace(sampling, crops=1), False

    def moments(answers: list[Prediction], seconds: float) -> Iterator[Moment]:
        nonlocal resumed
        for answer in answers:
            tally.answers += 1
            smooth = smoothing.add(answer.probabilities)
            first, resumed = resumed, False
            yield Moment(
                answer.time, answer.number, smooth.label, smooth.probabilities, seconds, smooth.state, first
            )

    def last() -> Iterator[Moment]:
        began = tally.clock()
        answers = recognizer.finish()
        seconds = tally.clock() - began
        tally.network += seconds
        yield from moments(answers, seconds / max(len(answers), 1))

    for frame in frames:
        if frame.resumed:
            yield from last()
            recognizer.restart()
            smoothing.reset()
            resumed = True
        began = tally.clock()
        resized = replace(frame, pixels=transform_frame(frame.pixels, central)[0])
        ready = tally.clock()
        answers = recognizer.take(resized)
        done = tally.clock()
        tally.took(frame, ready - began, done - ready)
        yield from moments(answers, done - ready)
        if stopped.is_set():
            break
    if finish:
        yield from last()
