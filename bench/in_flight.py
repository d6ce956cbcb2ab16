"""Several requests at once, as a server has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

__all__ = ["BURST", "in_flight"]

BURST = 4
"""Runs of each stream in one sample: streams that wait for each other after every run would lose time that a
server does not."""


@contextmanager
def in_flight(calls: Sequence[Callable[[], object]]) -> Iterator[Callable[[], None]]:
    """A call that makes each of ``calls`` `BURST` times in a row, all side by side.

    Each has one thread for life, since some runtimes keep a pool of workers for every thread that calls.
    """
    with ExitStack() as stack:
        threads = [stack.enter_context(ThreadPoolExecutor(1)) for _ in calls]

        def run() -> None:
            begun = [thread.submit(_burst, call) for thread, call in zip(threads, calls, strict=True)]
            for each in begun:
                each.result()

        yield run


def _burst(call: Callable[[], object]) -> None:
    for _ in range(BURST):
        call()
