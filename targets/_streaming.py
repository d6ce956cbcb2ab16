"""What all sessions of streaming networks share: checked frames, warm-up, flushing, saved states.

A runtime's own part is small: make the caches of one stream, compute one frame with them, read and
write them. Streams of one session may be stepped from several threads; frames are computed one at a time.
"""

from __future__ import annotations

from abc import abstractmethod
from threading import Lock
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgevid.contract import Artifact, Cache, Streaming, StreamState, TensorSpec
from edgevid.errors import TargetError
from edgevid.targets._session import CheckedSession

__all__ = ["SessionStream", "StreamingSession", "filled"]


def filled(cache: Cache) -> NDArray[Any]:
    """A cache as it is before the first frame. One of bfloat16 is of 16-bit integers with its bits."""
    dtype = "uint16" if cache.dtype == "bfloat16" else cache.dtype
    return np.full(cache.shape, cache.fill, dtype)


class StreamingSession(CheckedSession):
    """An open network that takes a frame a call.

    `run` takes a clip as the offline network does: all frames of a stream of its own, averaged.

    Attributes:
        in_place: a step overwrites the caches that it reads, so that one that fails leaves them of no use.
    """

    in_place: ClassVar[bool] = False

    def __init__(self, artifact: Artifact) -> None:
        super().__init__(artifact)
        assert artifact.streaming is not None
        self.streaming: Streaming = artifact.streaming
        self._own: SessionStream | None = None
        self._one_at_a_time = Lock()

    @property
    def input(self) -> TensorSpec:
        """The clip that `run` takes, of as many frames as the offline network's."""
        batch, _, *frame = self.artifact.input.shape
        return TensorSpec(
            self.artifact.input.name, (batch, self.streaming.segments, *frame), self.artifact.input.dtype
        )

    def stream(self) -> SessionStream:
        """A new stream with a state of its own."""
        self.check_open()
        return SessionStream(self)

    def step(self, frame: NDArray[Any]) -> NDArray[np.float32] | None:
        """The next frame of the session's own stream."""
        return self._stream().step(frame)

    def flush(self) -> NDArray[np.float32]:
        """The last answers of the session's own stream."""
        return self._stream().flush()

    def reset(self) -> None:
        """Begin the session's own stream anew."""
        self._stream().reset()

    def _stream(self) -> SessionStream:
        self.check_open()
        if self._own is None:
            self._own = SessionStream(self)
        return self._own

    def _run(self, clip: NDArray[Any]) -> NDArray[np.float32]:
        stream = SessionStream(self)
        answers = [answer for frame in clip[0] if (answer := stream.step(frame)) is not None]
        mean: NDArray[np.float32] = np.mean(
            [*answers, *stream.flush()], axis=0, keepdims=True, dtype=np.float32
        )
        return mean

    @property
    def fingerprint(self) -> str:
        """Of the network, and of the form that its caches have; states belong to it.

        Not of the files: their names of operations differ with every compile, and weights may be apart.

        Raises:
            TargetError: the artifact does not say its network.
        """
        made = self.artifact
        if not self.streaming.network:
            raise TargetError(
                "the artifact does not say which network it is of",
                where=made.path,
                fix="compile it again: this version of edgevid says it",
            )
        return f"{made.target} {made.lowering} {made.precision} {self.streaming.network[:16]}"

    def advance(self, caches: Any, frame: NDArray[Any], valid: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One frame of one stream, whose caches are replaced: logits ``[classes]``."""
        self.check_open()
        with self._one_at_a_time:
            return self._advance(caches, frame[None, None], valid).reshape(-1)

    @abstractmethod
    def new_caches(self) -> Any:
        """The caches of a new stream, in whatever form the runtime wants; their content does not matter."""

    @abstractmethod
    def _advance(self, caches: Any, frame: NDArray[Any], valid: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits of a frame ``[1, 1, H, W, 3]``; afterwards ``caches`` hold the next state.

        The result is a copy, and so is whatever is kept of the arguments.
        """

    @abstractmethod
    def read_caches(self, caches: Any) -> tuple[NDArray[Any], ...]:
        """Copies of the caches, in the order of `Streaming.caches`."""

    @abstractmethod
    def write_caches(self, caches: Any, values: tuple[NDArray[Any], ...]) -> None:
        """Overwrite the caches."""


class SessionStream:
    """One video that a streaming session follows."""

    def __init__(self, session: StreamingSession) -> None:
        self._session = session
        self._streaming = session.streaming
        self._caches = session.new_caches()
        self._steps, self._ended, self._broken = 0, False, False
        self.reset()

    @property
    def steps(self) -> int:
        """Frames taken since the sequence began."""
        return self._steps

    def step(self, frame: NDArray[Any]) -> NDArray[np.float32] | None:
        """Logits of the frame D steps ago; None for the first D."""
        if self._ended:
            raise TargetError(
                "the sequence was flushed", where=self._session.artifact.path, fix="begin another by reset()"
            )
        wanted = self._session.artifact.input
        shape = wanted.shape[2:]
        if not isinstance(frame, np.ndarray) or frame.shape != shape or str(frame.dtype) != wanted.dtype:
            given = (
                f"{frame.dtype}{list(frame.shape)}" if isinstance(frame, np.ndarray) else type(frame).__name__
            )
            raise TargetError(
                f"the frame is {given}, the network takes {wanted.dtype}{list(shape)}",
                where=wanted.name,
                fix="give one RGB frame [H, W, 3] a step, resized and cropped as the bundle's sampling says",
            )
        return self._next(np.ascontiguousarray(frame), length=self._steps + 1)

    def flush(self) -> NDArray[np.float32]:
        """The answers to the last D frames; the sequence ends."""
        length, last = self._steps, []
        if length and not self._ended:
            frame = np.zeros(self._session.artifact.input.shape[2:], self._session.artifact.input.dtype)
            answers = [self._next(frame, length) for _ in range(self._streaming.delay)]
            last = [answer for answer in answers if answer is not None]
        self._ended = True
        classes = self._session.output.shape[1]
        return np.array(last, np.float32).reshape(-1, classes)

    def reset(self) -> None:
        """Forget all frames."""
        self._session.write_caches(self._caches, tuple(map(filled, self._streaming.caches)))
        self._steps, self._ended, self._broken = 0, False, False

    def save(self) -> StreamState:
        """A copy of the state.

        Raises:
            TargetError: the sequence was flushed, so that nothing can follow; or a step failed half-way.
        """
        self._check_whole()
        if self._ended:
            raise TargetError(
                "the sequence was flushed: it has no state to go on from",
                where=self._session.artifact.path,
                fix="save before flush(), or reset()",
            )
        self._session.check_open()
        return StreamState(self._session.fingerprint, self._steps, self._session.read_caches(self._caches))

    def restore(self, state: StreamState) -> None:
        """Go on from ``state``; refused if it is of another network, and nothing is changed then."""
        self._session.check_open()
        wanted = [filled(cache) for cache in self._streaming.caches]
        same = [(array.shape, array.dtype) for array in state.caches] == [(w.shape, w.dtype) for w in wanted]
        if state.network != self._session.fingerprint or not same or state.steps < 0:
            raise TargetError(
                f"the state is of another network: {state.network}, this is {self._session.fingerprint}",
                where=self._session.artifact.path,
                fix="restore one that was saved with this bundle, or with the same network compiled alike",
            )
        self._session.write_caches(self._caches, state.caches)
        self._steps, self._ended, self._broken = state.steps, False, False

    def _next(self, frame: NDArray[Any], length: int) -> NDArray[np.float32] | None:
        """Step number ``steps`` of a sequence that is ``length`` frames long, as far as is known."""
        self._check_whole()
        number = self._steps
        valid = np.array([0 <= number - gate < length for gate in self._streaming.gates], np.uint8)
        try:
            logits = self._session.advance(self._caches, frame, valid)
        except BaseException:
            self._broken = self._session.in_place
            raise
        self._steps += 1
        return logits if number >= self._streaming.delay else None

    def _check_whole(self) -> None:
        if self._broken:
            raise TargetError(
                "a step failed half-way, and the caches are partly of its frame",
                where=self._session.artifact.path,
                fix="reset() the stream, or restore() an earlier state",
            )
