"""Back-pressure: a network that is slower than its source sees the newest frame, not a queue that lags."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from math import inf
from threading import Condition, Event, Thread
from time import monotonic

from edgevid.live.frame import Counts, TimedFrame

__all__ = ["PATIENCE", "newest"]

PATIENCE = 10.0
"""Seconds without a frame after which a source that goes on counts as away: reading may hang for ever."""

_THREAD_NAME = "edgevid-source"
_LOOK = 0.1  # seconds between looks at whether to stop
_LEAVE = 2.0  # seconds that the reading thread has to close its source


def newest(
    groups: Iterable[list[TimedFrame]],
    counts: Counts,
    stopped: Event,
    waiting: Callable[[], None] | None = None,
    *,
    patience: float = inf,
) -> Iterator[TimedFrame]:
    """The frames of the newest group, read by a thread of its own; groups that wait too long are dropped.

    ``stopped`` ends it, and is set when nobody asks for frames any more.

    Args:
        groups: those of one arrival together.
        counts: kept up to date.
        stopped: see above.
        waiting: is called, in the caller's thread, each time that no group is there yet.
        patience: seconds without a frame of the source after which the source counts as away.

    Raises:
        EdgevidError: what reading raised, after the frames that came before.
    """
    slot = _Slot(counts)
    thread = Thread(target=_read, args=(groups, slot, stopped), name=_THREAD_NAME, daemon=True)
    thread.start()
    came, since = counts.frames, monotonic()
    try:
        while not stopped.is_set():
            group = slot.take(_LOOK)
            if group is None:
                break
            if group:
                yield from group
                continue
            if counts.frames > came:
                came, since = counts.frames, monotonic()
            if monotonic() - since > patience and not counts.away:
                counts.away = f"no frame for {patience:g} seconds"
            if waiting is not None:
                waiting()
        slot.raise_failure()
    finally:
        stopped.set()
        thread.join(_LEAVE)


def _read(groups: Iterable[list[TimedFrame]], slot: _Slot, stopped: Event) -> None:
    failure: BaseException | None = None
    try:
        for group in groups:
            if stopped.is_set():
                break
            slot.put(group)
    except BaseException as error:  # noqa: BLE001 - raised again where the frames are asked for
        failure = error
    finally:
        close = getattr(groups, "close", None)
        if close is not None:
            close()
        slot.end(failure)


class _Slot:
    """Place for one group."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._changed = Condition()
        self._group: list[TimedFrame] = []
        self._ended = False
        self._failure: BaseException | None = None

    def put(self, group: list[TimedFrame]) -> None:
        """Put the group in the place of one that nobody took."""
        with self._changed:
            self._counts.dropped += len(self._group)
            if any(frame.resumed for frame in self._group):
                group = [replace(group[0], resumed=True), *group[1:]]
            self._group = group
            self._changed.notify()

    def take(self, seconds: float) -> list[TimedFrame] | None:
        """The group that waits; nothing if none comes in that time, None after the last."""
        with self._changed:
            if not self._group and not self._ended:
                self._changed.wait(seconds)
            if not self._group and self._ended:
                return None
            group, self._group = self._group, []
            return group

    def end(self, failure: BaseException | None) -> None:
        """No more groups come."""
        with self._changed:
            self._ended, self._failure = True, failure
            self._changed.notify()

    def raise_failure(self) -> None:
        """Raise what ended the reading, if something did."""
        if self._failure is not None:
            raise self._failure
