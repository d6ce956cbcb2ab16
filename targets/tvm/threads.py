"""TVM's pool of threads, of which it keeps one for each thread that calls it."""

from __future__ import annotations

import os
from threading import local
from typing import Any

from edgevid.targets._install import require

__all__ = ["Threads"]

_SHARE_ALL_CORES = -3
"""``AffinityMode::kSpecifyThreadShareAllCore``: every thread may run on every listed processor. The other
modes leave the calling thread bound to one processor, and everything that it starts later."""


class Threads:
    """So many threads for whoever calls `use`."""

    def __init__(self, count: int | None) -> None:
        """``None``: as many as there are processors for this process."""
        find = require("tvm", "tvm").get_global_func
        self._configure: Any = find("runtime.config_threadpool")
        self._present: Any = find("runtime.NumThreads")
        self._processors = sorted(_processors())
        self.count = min(count or len(self._processors), len(self._processors))
        self._mine = local()

    def use(self) -> None:
        """Give the calling thread a pool of this size, where it has another one.

        Asking for the size would make a pool of TVM's own choice, which binds the thread that asks:
        the first pool is made before anything is asked.
        """
        if not getattr(self._mine, "made", False) or self._present() != self.count:
            self._configure(_SHARE_ALL_CORES, self.count, [str(each) for each in self._processors])
            self._mine.made = True


def _processors() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))
