"""Does a streaming session follow a sequence frame by frame as the offline network sees it at once?

Beyond the numbers: two streams of one session must not touch, a stream that begins anew must remember
nothing, and one that goes on from a saved state must not notice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevid.contract import Precision, Session, Stream
from edgevid.errors import VerificationError
from edgevid.graph.verify import EXACT, Check, compare

__all__ = ["SEQUENCE_NAME", "FrameSequence", "follow", "verify_steps"]

SEQUENCE_NAME = "frame by frame"


@dataclass(frozen=True)
class FrameSequence:
    """Frames uint8 ``[L, H, W, 3]`` and the logits ``[L, classes]`` that are expected of each."""

    frames: NDArray[Any]
    logits: NDArray[np.float32]


def follow(stream: Stream, frames: NDArray[Any]) -> NDArray[np.float32]:
    """Logits ``[L, classes]`` of all frames, late ones included; the stream is flushed then."""
    answers = [answer for frame in frames if (answer := stream.step(frame)) is not None]
    rows = [*answers, *stream.flush()]
    if len(rows) != len(frames):
        raise VerificationError(f"{len(rows)} answers to {len(frames)} frames")
    return np.array(rows, np.float32)


def verify_steps(session: Session, expected: FrameSequence, precision: Precision) -> tuple[Check, ...]:
    """Hold a streaming session to a recorded sequence of at least three frames."""
    frames = expected.frames
    alone = follow(session.stream(), frames)
    difference = compare(expected.logits, alone)
    return (
        Check(SEQUENCE_NAME, difference.within(precision), f"{len(frames)} frames: {difference}", difference),
        _same("streams do not touch", alone, _beside_another(session, frames)),
        _same("a stream that begins anew remembers nothing", alone, _again(session, frames)),
        _same("a saved state goes on in another stream", alone, _saved(session, frames)),
    )


def _beside_another(session: Session, frames: NDArray[Any]) -> NDArray[np.float32]:
    one, other = session.stream(), session.stream()
    answers = []
    for frame, stranger in zip(frames, frames[::-1], strict=True):
        answers.append(one.step(frame))
        other.step(stranger)
    return np.array([*(row for row in answers if row is not None), *one.flush()], np.float32)


def _again(session: Session, frames: NDArray[Any]) -> NDArray[np.float32]:
    stream = session.stream()
    for frame in frames[: len(frames) // 2]:
        stream.step(frame)
    stream.reset()
    return follow(stream, frames)


def _saved(session: Session, frames: NDArray[Any]) -> NDArray[np.float32]:
    first, second = session.stream(), session.stream()
    middle = len(frames) // 2
    answers = [first.step(frame) for frame in frames[:middle]]
    second.restore(first.save())
    # The first one goes another way, which the copy must not see.
    first.step(frames[-1])
    answers += [second.step(frame) for frame in frames[middle:]]
    return np.array([*(row for row in answers if row is not None), *second.flush()], np.float32)


def _same(name: str, alone: NDArray[np.float32], found: NDArray[np.float32]) -> Check:
    if found.shape != alone.shape:
        return Check(name, False, f"{len(found)} answers instead of {len(alone)}")
    gap = compare(alone, found)
    passed = gap.max_relative <= EXACT
    return Check(name, passed, "the same" if passed else f"it changes the answers: {gap}")
