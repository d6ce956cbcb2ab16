"""Read a shift from an index map: from where in a tensor each of its elements came.

Pure arithmetic on arrays; `edgevid.graph.probe` asks a runtime for the map.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevid.errors import ShiftError
from edgevid.shift import Layout, Move, ShiftSpec, shift_numpy

__all__ = ["NOTHING_MOVES", "Numbers", "apply_spec", "read_spec"]

Numbers = NDArray[np.int32]

NOTHING_MOVES = "nothing moves"
"""What is said of an identity."""

_UNLIKE = "elements of one channel do not all move alike"

_MOST_EXPLAINED = 1 << 22
"""Larger tensors are not looked at element by element when they hold no shift."""


def read_spec(sources: Numbers, segments: int | None = None) -> ShiftSpec | str:
    """The spec that makes a tensor of which the elements were numbered, or in words why there is none.

    Args:
        sources: int32 ``[N*T,C,H,W]``, ``[N,C,T,H,W]`` or ``[N,T,C,H,W]``: the number, from 1 in
            the order of memory, of the element that came to each place; 0 where none did.
        segments: T of a shift that moves nothing in time and so does not show it.
    """
    count, shape = sources.size, sources.shape
    if np.array_equal(sources.ravel(), np.arange(1, count + 1)):
        return NOTHING_MOVES
    axes = {4: [(0, 1)], 5: [(2, 1), (1, 2)]}[len(shape)]
    reasons = []
    for time_axis, channel_axis in axes:
        moves = _moves(sources, time_axis, channel_axis)
        if isinstance(moves, str):
            reasons.append(moves)
            continue
        numbers = np.arange(1, count + 1, dtype=np.int32).reshape(shape)
        for spec in _specs(moves, shape, time_axis, segments):
            if np.array_equal(apply_spec(numbers, spec), sources):
                return spec
        reasons.append(_why_not(sources, time_axis, channel_axis))
    return reasons[0]


def _moves(sources: Numbers, time_axis: int, channel_axis: int) -> list[Move] | str:
    """One move a channel that moves, read from one element of each channel."""
    rows = np.moveaxis(sources, channel_axis, 0).reshape(sources.shape[channel_axis], -1)
    first = (rows != 0).argmax(axis=1)
    taken = rows[np.arange(len(rows)), first] - 1
    if (taken < 0).any():
        return "whole channels are set to zero"
    others = [size for axis, size in enumerate(sources.shape) if axis != channel_axis]
    to = np.insert(np.array(np.unravel_index(first, others)), channel_axis, np.arange(len(rows)), axis=0)
    steps = to - np.array(np.unravel_index(taken, sources.shape))
    if steps[channel_axis].any():
        return "channels change places"
    spatial = range(sources.ndim - 2, sources.ndim)
    moving = {time_axis, *spatial}
    if any(steps[axis].any() for axis in range(sources.ndim) if axis not in moving):
        return "clips change places"
    displacements = steps[[time_axis, *spatial]].T
    return [
        Move(channel, channel + 1, *map(int, step))
        for channel, step in enumerate(displacements)
        if step.any()
    ]


def _specs(
    moves: list[Move], shape: tuple[int, ...], time_axis: int, segments: int | None
) -> list[ShiftSpec]:
    """Specs with these moves: only along the fused axis the number of segments is open."""
    if time_axis == 2:
        return [ShiftSpec(shape[2], tuple(moves), Layout.VOLUME)]
    frames = shape[time_axis]
    if time_axis == 1:
        return [ShiftSpec(frames, tuple(moves))]
    counts = [count for count in range(frames, 0, -1) if frames % count == 0]
    if segments in counts and not any(move.dt for move in moves):
        counts = [segments]
    return [ShiftSpec(count, tuple(moves)) for count in counts]


def apply_spec(numbers: NDArray[Any], spec: ShiftSpec) -> NDArray[Any]:
    """``numbers`` shifted; frames of ``[N,T,C,H,W]`` are put together for it."""
    if spec.layout is Layout.FRAMES and numbers.ndim == 5:
        joined = numbers.reshape(-1, *numbers.shape[2:])
        return shift_numpy(joined, spec).reshape(numbers.shape)
    try:
        return shift_numpy(numbers, spec)
    except ShiftError:
        return np.zeros_like(numbers)


def _why_not(sources: Numbers, time_axis: int, channel_axis: int) -> str:
    """What moves the elements, when not all of a channel move alike."""
    if sources.size > _MOST_EXPLAINED:
        return _UNLIKE
    filled = sources != 0
    places = np.array(np.nonzero(filled))
    steps = places - np.array(np.unravel_index(sources[filled] - 1, sources.shape))
    if steps[channel_axis].any():
        return "channels change places"
    if filled.all():
        if _is_roll(places, steps, sources.shape, time_axis, channel_axis):
            return "a circular roll: what leaves at one end comes in at the other"
        if np.unique(sources).size < sources.size:
            return "elements are repeated where a shift has zeros"
        return "a permutation: elements of one channel do not all move alike"
    return _UNLIKE


def _is_roll(
    places: NDArray[np.int64],
    steps: NDArray[np.int64],
    shape: tuple[int, ...],
    time_axis: int,
    channel_axis: int,
) -> bool:
    """Does each channel turn around in time within its clip, by a distance of its own?"""
    if np.delete(steps, time_axis, axis=0).any():
        return False
    frames, times = shape[time_axis], places[time_axis]
    for count in range(frames, 1, -1):
        if frames % count or (times // count != (times - steps[time_axis]) // count).any():
            continue
        turned = steps[time_axis] % count
        lowest, highest = np.full(shape[channel_axis], count), np.zeros(shape[channel_axis], np.int64)
        np.minimum.at(lowest, places[channel_axis], turned)
        np.maximum.at(highest, places[channel_axis], turned)
        if (lowest == highest).all():
            return True
    return False
