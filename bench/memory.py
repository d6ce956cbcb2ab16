"""How much memory a variant needs, at its peak and all in all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgevid.bench.factory import Factory
from edgevid.bench.fresh_process import Keep, Told, call_apart

__all__ = ["peak_memory", "peak_of_this_process", "resident_of_this_process", "run_alone"]

RUNS = 3
"""Some runtimes take more memory in a later run than in the first."""


def peak_memory(factory: Factory, name: str) -> int | None:
    """Bytes of a fresh process at its peak that opens the factory's baseline and runs it.

    It is of the whole process: Python and the runtime's libraries included, and what compiling kernels took.

    Args:
        factory: of a comparison of one variant without a twin.
        name: of the variant, for messages.

    Returns:
        ``None`` where the kernel does not tell.

    Raises:
        EdgevidError: it cannot be opened or run.
    """
    answer = call_apart(f"{__name__}:run_alone", {"factory": factory.job()}, label=f"memory of {name}")
    if answer.interrupted:
        raise KeyboardInterrupt
    peak: int | None = json.loads(answer.text)
    return peak


def run_alone(factory: Mapping[str, Any], *, keep: Keep, tell: Told) -> None:
    """What the fresh process calls."""
    with Factory.model_validate(factory).open() as comparison:
        for _ in range(RUNS):
            comparison.baseline.run()
        keep(json.dumps(peak_of_this_process()))


def peak_of_this_process(status: Path = Path("/proc/self/status")) -> int | None:
    """Bytes that this process had in memory at its peak (``VmHWM`` in proc_pid_status(5)).

    Not ``ru_maxrss``, which a process inherits from the one that started it.
    """
    return _bytes_of("VmHWM", status)


def resident_of_this_process(status: Path = Path("/proc/self/status")) -> int | None:
    """Bytes that this process has in memory now (``VmRSS``)."""
    return _bytes_of("VmRSS", status)


def _bytes_of(field: str, status: Path) -> int | None:
    try:
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return None
