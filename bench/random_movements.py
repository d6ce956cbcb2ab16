"""Movements of data that are no shift, although some come close to one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgevid.bench.random_blocks import Pen
from edgevid.bench.random_spellings import sources, spell_map
from edgevid.shift import Layout, Move, ShiftSpec

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["move_otherwise"]

_Numbers = NDArray[np.int64]
_Maker = Callable[[Pen, _Numbers], _Numbers]
_Writer = Callable[[Pen, "ir.Value", tuple[int, ...]], "ir.Value"]


def move_otherwise(
    pen: Pen, value: ir.Value, sizes: tuple[int, ...], *, stacked: bool
) -> tuple[ir.Value, str]:
    """What is made of ``value`` by a movement that is no shift, and its name.

    Args:
        pen: writes operations and draws the random numbers.
        value: ``[N,C,T,H,W]`` with at least two of each, T and H equal.
        sizes: of ``value``.
        stacked: the frames of all clips will stand in one row, where what leaks from clip to
            clip is the shift of one long clip.
    """
    name = pen.pick(*(name for name in (*_MAPS, *_WRITTEN) if not (stacked and name == _LEAKING)))
    if name in _WRITTEN:
        return _WRITTEN[name](pen, value, sizes), name
    numbers = np.arange(1, 1 + int(np.prod(sizes)), dtype=np.int64).reshape(sizes)
    moved = numbers
    # Chance may make a permutation that moves nothing, or one channel only.
    while any(_like_a_shift(moved, numbers, axes) for axes in ((1, 2), (2, 1))):
        moved = _MAPS[name](pen, numbers)
    return spell_map(pen, value, sizes, moved), name


def _like_a_shift(moved: _Numbers, numbers: _Numbers, axes: tuple[int, int]) -> bool:
    """Does every channel as a whole move by some displacement, or stay?

    Args:
        moved: numbers of the elements that came to each place.
        numbers: of all elements.
        axes: of channels and of time.
    """
    if moved.shape != numbers.shape:
        return False
    came = np.moveaxis(moved, axes, (1, 2))
    start = np.moveaxis(numbers, axes, (1, 2))
    lookup = np.array([0, *start.ravel()])
    for channel in range(came.shape[1]):
        places = np.argwhere(came[:, channel])
        if not len(places):
            return False
        clip, *place = places[0]
        (origin,) = np.argwhere(start == came[(clip, channel, *place)])
        step = np.array(place) - origin[2:]
        moves = (Move(channel, channel + 1, *step),) if step.any() else ()
        wanted = lookup[sources(start.shape, ShiftSpec(start.shape[2], moves, Layout.VOLUME))]
        if not np.array_equal(came[:, channel], wanted[:, channel]):
            return False
    return True


def _shifted(pen: Pen, numbers: _Numbers) -> _Numbers:
    """Some channels moved by one frame: what is then spoiled."""
    channels = 1 + pen.below(numbers.shape[1])
    spec = ShiftSpec(numbers.shape[2], (Move(0, channels, pen.pick(-1, 1)),), Layout.VOLUME)
    return sources(numbers.shape, spec)


def _permuted_frames(pen: Pen, numbers: _Numbers) -> _Numbers:
    moved = numbers.copy()
    for channel in range(1 + pen.below(moved.shape[1])):
        moved[:, channel] = moved[:, channel, pen.random.permutation(moved.shape[2])]
    return moved


def _permuted_all(pen: Pen, numbers: _Numbers) -> _Numbers:
    return pen.random.permutation(numbers.ravel()).reshape(numbers.shape)


def _rolled(pen: Pen, numbers: _Numbers) -> _Numbers:
    moved, channels = numbers.copy(), 1 + pen.below(numbers.shape[1])
    axis = 1 + pen.below(3)
    moved[:, :channels] = np.roll(moved[:, :channels], pen.pick(-1, 1), axis=1 + axis)
    return moved


def _repeated_edge(pen: Pen, numbers: _Numbers) -> _Numbers:
    moved = _shifted(pen, numbers)
    return np.where(moved == 0, numbers, moved)


def _each_row_its_own(pen: Pen, numbers: _Numbers) -> _Numbers:
    moved = numbers.copy()
    for row in range(0, moved.shape[3], 2):
        moved[:, :, :, row] = _shifted(pen, numbers)[:, :, :, row]
    return moved


def _one_clip_only(pen: Pen, numbers: _Numbers) -> _Numbers:
    moved = _shifted(pen, numbers)
    moved[0] = numbers[0]
    return moved


def _leaking(pen: Pen, numbers: _Numbers) -> _Numbers:
    """Frames that leave one clip come into the next."""
    clips = numbers.shape[0]
    joined = np.moveaxis(numbers, 1, 0).reshape(numbers.shape[1], -1, *numbers.shape[3:])
    moved = np.roll(joined, 1, axis=1)
    moved[:, 0] = 0
    return np.moveaxis(moved.reshape(numbers.shape[1], clips, *numbers.shape[2:]), 0, 1).copy()


def _one_wrong(pen: Pen, numbers: _Numbers) -> _Numbers:
    moved = _shifted(pen, numbers).ravel()
    place = pen.below(moved.size)
    moved[place] = 1 + pen.below(moved.size) if moved[place] == 0 or pen.chance(0.5) else 0
    return moved.reshape(numbers.shape)


def _zeroed_channel(pen: Pen, numbers: _Numbers) -> _Numbers:
    moved = _shifted(pen, numbers) if pen.chance(0.7) else numbers.copy()
    moved[:, pen.below(moved.shape[1])] = 0
    return moved


def _shuffled_channels(pen: Pen, numbers: _Numbers) -> _Numbers:
    moved = _shifted(pen, numbers) if pen.chance(0.5) else numbers
    return moved[:, pen.random.permutation(moved.shape[1])]


def _doubled_frames(pen: Pen, numbers: _Numbers) -> _Numbers:
    frames = pen.random.integers(numbers.shape[2], size=numbers.shape[2])
    return numbers[:, :, frames]


def _dropped_frames(pen: Pen, numbers: _Numbers) -> _Numbers:
    return _shifted(pen, numbers)[:, :, : numbers.shape[2] - 1]


def _reversed_time(pen: Pen, numbers: _Numbers) -> _Numbers:
    moved, channels = numbers.copy(), 1 + pen.below(numbers.shape[1])
    moved[:, :channels] = moved[:, :channels, ::-1]
    return moved


_LEAKING = "clips that leak"

_MAPS: Mapping[str, _Maker] = {
    "permuted frames": _permuted_frames,
    "permuted elements": _permuted_all,
    "circular roll as a map": _rolled,
    "repeated edge as a map": _repeated_edge,
    "each row its own displacement": _each_row_its_own,
    "one clip only": _one_clip_only,
    _LEAKING: _leaking,
    "one wrong element": _one_wrong,
    "a channel set to zero": _zeroed_channel,
    "shuffled channels": _shuffled_channels,
    "doubled frames": _doubled_frames,
    "dropped frames": _dropped_frames,
    "reversed time as a map": _reversed_time,
}


def _cut(pen: Pen, value: ir.Value, axis: int, start: int, stop: int, step: int = 1) -> ir.Value:
    return pen.op("Slice", [value, *(pen.ints(number) for number in (start, stop, axis, step))])


def _reversal(pen: Pen, value: ir.Value, sizes: tuple[int, ...]) -> ir.Value:
    return _cut(pen, value, 2, -1, -1 << 40, -1)


def _roll(pen: Pen, value: ir.Value, sizes: tuple[int, ...]) -> ir.Value:
    place, axis = 1 + pen.below(sizes[2] - 1), 2
    return pen.op(
        "Concat", [_cut(pen, value, axis, place, 1 << 40), _cut(pen, value, axis, 0, place)], axis=axis
    )


def _transposition(pen: Pen, value: ir.Value, sizes: tuple[int, ...]) -> ir.Value:
    return pen.op("Transpose", [value], perm=[0, 1, 3, 2, 4])


def _channel_shuffle(pen: Pen, value: ir.Value, sizes: tuple[int, ...]) -> ir.Value:
    groups = next(count for count in (3, 2, 5, 7, sizes[1]) if sizes[1] % count == 0)
    apart = pen.op("Reshape", [value, pen.ints(sizes[0], groups, -1, *sizes[2:])])
    mixed = pen.op("Transpose", [apart], perm=[0, 2, 1, 3, 4, 5])
    if groups in (1, sizes[1]):
        mixed = pen.op("Transpose", [apart], perm=[0, 1, 2, 4, 3, 5])
    return pen.op("Reshape", [mixed, pen.ints(*sizes)])


def _filled(pen: Pen, value: ir.Value, sizes: tuple[int, ...]) -> ir.Value:
    """One, or something small, stands where a shift has zeros."""
    fill = pen.array(np.float32(pen.pick(1.0, -1.0, 1e-6, 100.0)))
    padded = pen.op("Pad", [value, pen.ints(0, 0, 1, 0, 0, 0, 0, 0, 0, 0), fill])
    return _cut(pen, padded, 2, 0, sizes[2])


def _edge(pen: Pen, value: ir.Value, sizes: tuple[int, ...]) -> ir.Value:
    mode = pen.pick("edge", "reflect", "wrap")
    padded = pen.op("Pad", [value, pen.ints(0, 0, 1, 0, 0, 0, 0, 0, 0, 0)], mode=mode)
    return _cut(pen, padded, 2, 0, sizes[2])


def _convolution(pen: Pen, value: ir.Value, sizes: tuple[int, ...], taps: Sequence[float]) -> ir.Value:
    kernel = np.zeros((sizes[1], 1, 3, 1, 1), np.float32)
    kernel[:, 0, :, 0, 0] = taps
    return pen.op("Conv", [value, pen.array(kernel)], pads=[1, 0, 0, 1, 0, 0], group=sizes[1])


def _scaled(pen: Pen, value: ir.Value, sizes: tuple[int, ...]) -> ir.Value:
    return _convolution(pen, value, sizes, (pen.pick(0.5, 2.0, -2.0, 1.0001, 1 + 2.0**-20), 0, 0))


def _summed(pen: Pen, value: ir.Value, sizes: tuple[int, ...]) -> ir.Value:
    return _convolution(pen, value, sizes, pen.pick((1, 1, 0), (0.5, 0.5, 0), (-1, 0, 1), (1, 1e-6, 0)))


def _pooled(pen: Pen, value: ir.Value, sizes: tuple[int, ...]) -> ir.Value:
    kind = pen.pick("MaxPool", "AveragePool")
    return pen.op(kind, [value], kernel_shape=[2, 1, 1], pads=[1, 0, 0, 0, 0, 0])


def _by_data(pen: Pen, value: ir.Value, sizes: tuple[int, ...]) -> ir.Value:
    """The frames in the order of the data, as attention over frames may choose them."""
    energy = pen.op("ReduceMean", [value, pen.ints(0, 1, 3, 4)], keepdims=0)
    order = pen.ops("TopK", [energy, pen.ints(sizes[2])], 2)[1]
    return pen.op("Gather", [value, order], axis=2)


def _chosen_by_data(pen: Pen, value: ir.Value, sizes: tuple[int, ...]) -> ir.Value:
    positive = pen.op("Greater", [value, pen.array(np.float32(0))])
    return pen.op("Where", [positive, _reversal(pen, value, sizes), value])


_WRITTEN: Mapping[str, _Writer] = {
    "reversed time": _reversal,
    "circular roll": _roll,
    "time and height transposed": _transposition,
    "channel shuffle": _channel_shuffle,
    "gap filled with a number": _filled,
    "gap filled from the tensor": _edge,
    "scaled shift": _scaled,
    "sum of two frames": _summed,
    "pooling over time": _pooled,
    "frames chosen by data": _by_data,
    "elements chosen by data": _chosen_by_data,
}
