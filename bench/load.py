"""What other processes did to the machine while something was measured here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

__all__ = ["Load", "LoadMeter", "Reading", "read_linux"]

SHORTEST_WINDOW = 0.5
"""Seconds. The kernel counts busy time in ticks of 10 ms, so a shorter window says little."""


@dataclass(frozen=True)
class Reading:
    """Counters at one moment, in seconds.

    Attributes:
        wall: of a monotonic clock.
        busy: CPU time that was not idle, summed over all CPUs, stolen time included.
        own: CPU time of this process and of its finished children.
        cpus: how many CPUs ``busy`` sums over.
    """

    wall: float
    busy: float
    own: float
    cpus: int


class Load(BaseModel):
    """CPU time over a window.

    Attributes:
        wall_seconds: length of the window.
        others_seconds: CPU time of everything but this process, and of the hypervisor's other guests.
        own_seconds: CPU time of this process.
        cpus: CPUs of the machine.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    wall_seconds: float
    others_seconds: float
    own_seconds: float
    cpus: int

    @property
    def share(self) -> float:
        """Share of the machine's whole CPU capacity that others took, from 0 to 1."""
        capacity = self.wall_seconds * self.cpus
        return self.others_seconds / capacity if capacity > 0 else 0.0


def read_linux(stat: Path = Path("/proc/stat")) -> Reading | None:
    """Counters from the kernel (proc_stat(5)); ``None`` where there are none to read."""
    try:
        lines = stat.read_text(encoding="ascii").splitlines()
        # user nice system idle iowait irq softirq steal; guest time is part of user already.
        ticks = [int(field) for field in lines[0].split()[1:9]]
        hertz = os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None
    if len(ticks) < 4:
        return None
    busy = sum(ticks) - sum(ticks[3:5])
    times = os.times()
    return Reading(
        wall=time.perf_counter(),
        busy=busy / hertz,
        own=time.process_time() + times.children_user + times.children_system,
        cpus=sum(line.startswith("cpu") for line in lines) - 1,
    )


class LoadMeter:
    """Measures the load between `start` and `stop`.

    Args:
        read: takes the counters, or answers ``None`` where they cannot be read.
        sleep: waits; `stop` waits until `SHORTEST_WINDOW` has passed.
    """

    def __init__(
        self,
        read: Callable[[], Reading | None] = read_linux,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._read = read
        self._sleep = sleep
        self._first: Reading | None = None

    def start(self) -> None:
        """Begin the window."""
        self._first = self._read()

    def stop(self) -> Load | None:
        """End the window; ``None`` where the load cannot be measured."""
        last = self._read()
        if self._first is None or last is None:
            return None
        rest = SHORTEST_WINDOW - (last.wall - self._first.wall)
        if rest > 0:
            self._sleep(rest)
            last = self._read() or last
        own = last.own - self._first.own
        return Load(
            wall_seconds=last.wall - self._first.wall,
            others_seconds=max(0.0, last.busy - self._first.busy - own),
            own_seconds=own,
            cpus=last.cpus,
        )
