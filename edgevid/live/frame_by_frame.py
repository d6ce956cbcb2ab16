"""Recognizing by a streaming network: a step a frame."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from edgevid.contract import Sampling, Stream, StreamState
from edgevid.live.frame import TimedFrame
from edgevid.live.recognizer import Prediction
from edgevid.scores import scores

__all__ = ["FrameByFrame"]


class FrameByFrame:
    """A stream and the frames that it still owes an answer to.

    Args:
        stream: of a session; begun anew, or restored.
        sampling: of the bundle.
        state: to go on from; the source goes on where the one that it was saved of ended.
        delay: D of the network.

    Raises:
        TargetError: the state is of another network.
    """

    def __init__(
        self, stream: Stream, sampling: Sampling, *, state: StreamState | None = None, delay: int = 0
    ) -> None:
        self._stream = stream
        self._sampling = sampling
        self._owed: deque[tuple[float | None, int]] = deque()
        if state is not None:
            stream.restore(state)
            owed = min(state.steps, delay)
            self._owed.extend((None, number) for number in range(-owed, 0))

    def take(self, frame: TimedFrame) -> list[Prediction]:
        """The answer to the frame D steps ago; none for the first D."""
        self._owed.append((frame.time, frame.number))
        logits = self._stream.step(frame.pixels)
        return [] if logits is None else [self._prediction(logits)]

    def finish(self) -> list[Prediction]:
        """The answers to the last D frames."""
        return [self._prediction(logits) for logits in self._stream.flush()]

    def restart(self) -> None:
        """Forget all frames."""
        self._owed.clear()
        self._stream.reset()

    def save(self) -> StreamState:
        """The state, before `finish`."""
        return self._stream.save()

    def _prediction(self, logits: NDArray[np.float32]) -> Prediction:
        time, number = self._owed.popleft()
        return Prediction(time, number, scores(logits[None], self._sampling))
