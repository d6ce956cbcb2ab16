"""Signals that let the present frame end, so that the state and the summary are whole."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event

__all__ = ["Interruption", "stopped_by_interrupt"]


@dataclass
class Interruption:
    """The exit status of the program: 128 and the signal's number, or 0 without one."""

    status: int = 0


@contextmanager
def stopped_by_interrupt(stopped: Event) -> Iterator[Interruption]:
    """The first Ctrl-C, or a termination as services are ended by, sets ``stopped`` and what is returned.

    The second one ends the program as it would without this. For the main thread.
    """
    interruption = Interruption()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # As shells start programs in the background.
    heeded = {number: handler for number, handler in before.items() if handler != signal.SIG_IGN}

    def stop(number: int, frame: object) -> None:
        interruption.status = 128 + number
        stopped.set()
        give_back()

    def give_back() -> None:
        for number, handler in heeded.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    for number in heeded:
        signal.signal(number, stop)
    try:
        yield interruption
    finally:
        give_back()
