"""One timed call: wall and CPU time, with nothing of Python's own in between."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["Elapsed", "idle_share", "no_garbage_collection", "timed"]

_IDLE_SECONDS = 0.02
_GRACE_SECONDS = 0.003  # threads may take this long to fall asleep, as TBB's do


@dataclass(frozen=True)
class Elapsed:
    """What a call returns that was timed elsewhere, by the clock of the device it ran on."""

    wall_ns: int


def timed(call: Callable[[], object]) -> tuple[int, int]:
    """Wall and CPU time of a call, in nanoseconds; twice the same where it returns `Elapsed`."""
    cpu = time.process_time_ns()
    wall = time.perf_counter_ns()
    result = call()
    wall_end = time.perf_counter_ns()
    if isinstance(result, Elapsed):
        return result.wall_ns, result.wall_ns
    return wall_end - wall, time.process_time_ns() - cpu


def idle_share() -> float:
    """CPU time over wall time while this process sleeps; near 0 unless a thread pool spins."""
    time.sleep(_GRACE_SECONDS)
    wall, cpu = timed(lambda: time.sleep(_IDLE_SECONDS))
    return cpu / wall


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """No collection inside: it would land in whichever variant happens to run."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
