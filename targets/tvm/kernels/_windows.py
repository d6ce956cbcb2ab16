"""Outputs grouped by the part of their window that is inside: borders without branches."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Group", "groups"]


@dataclass(frozen=True)
class Group:
    """``count`` outputs from ``first`` on whose windows hold the taps ``start`` to ``stop``."""

    first: int
    count: int
    start: int
    stop: int


def groups(outputs: int, size: int, kernel: int, stride: int, pad: int, dilation: int) -> tuple[Group, ...]:
    """All outputs along one axis, in order; those in the middle are one group."""
    found: list[Group] = []
    for output in range(outputs):
        begin = output * stride - pad
        inside = [tap for tap in range(kernel) if 0 <= begin + tap * dilation < size]
        start, stop = (inside[0], inside[-1] + 1) if inside else (0, 0)
        if found and (found[-1].start, found[-1].stop) == (start, stop):
            found[-1] = Group(found[-1].first, found[-1].count + 1, start, stop)
        else:
            found.append(Group(output, 1, start, stop))
    return tuple(found)
