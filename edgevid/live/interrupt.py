"""Ctrl-C that lets the present frame end, so that the state and the summary are whole."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

__all__ = ["stopped_by_interrupt"]


@contextmanager
def stopped_by_interrupt(stopped: Event) -> Iterator[Event]:
    """The first Ctrl-C sets ``stopped``, and the event returned; the second raises `KeyboardInterrupt`.

    For the main thread.
    """
    interrupted = Event()
    before = signal.getsignal(signal.SIGINT)
    if before == signal.SIG_IGN:  # as shells start programs in the background
        yield interrupted
        return

    def stop(number: int, frame: object) -> None:
        interrupted.set()
        stopped.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, stop)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before or signal.default_int_handler)
