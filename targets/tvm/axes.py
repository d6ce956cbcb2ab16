"""What the axes of a tensor in the graph mean: time in a batch of frames, or an axis of its own.

An axis is the labels that it runs over, the slowest first: ``("n", "t")`` is the batch of frames,
``()`` an axis of size 1. Reshapes and transposes that only group and order labels move nothing in
packed memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["FRAMES", "VOLUME", "Axes", "matches", "reshaped", "without"]

Axes = tuple[tuple[str, ...], ...]

FRAMES: Axes = (("n", "t"), ("c",), ("h",), ("w",))
"""[N*T, C, H, W]"""
VOLUME: Axes = (("n",), ("c",), ("t",), ("h",), ("w",))
"""[N, C, T, H, W]"""


def without(axes: Axes, sizes: Mapping[str, int]) -> Axes:
    """The axes without labels of size 1, which stand nowhere."""
    return tuple(tuple(label for label in axis if sizes[label] > 1) for axis in axes)


def matches(axes: Axes, wanted: Axes, sizes: Mapping[str, int]) -> bool:
    """Whether a tensor's axes are the wanted ones, sizes of 1 aside."""
    return without(axes, sizes) == without(wanted, sizes)


def reshaped(axes: Axes, sizes: Mapping[str, int], shape: Sequence[int]) -> Axes | None:
    """The axes after a reshape to ``shape``; None where it tears a label apart."""
    labels = [label for axis in without(axes, sizes) for label in axis]
    found: list[tuple[str, ...]] = []
    for size in shape:
        axis: list[str] = []
        product = 1
        while product < size and labels:
            axis.append(labels.pop(0))
            product *= sizes[axis[-1]]
        if product != size:
            return None
        found.append(tuple(axis))
    return None if labels else tuple(found)
