"""What a value of the graph is in memory."""

from __future__ import annotations

from dataclasses import dataclass

from edgevid.targets.tvm.axes import Axes
from edgevid.targets.tvm.network import Frames, Move

__all__ = ["Tensor", "Value", "View"]


@dataclass(frozen=True)
class View:
    """Frames, and how the graph sees them.

    Attributes:
        name: of the activation.
        axes: of the graph's tensor.
        moves: a shift that who reads the view takes along.
        pixels: scale and offset of each channel of a camera's bytes, in the order of memory.
        order: the place in memory of each channel, where it is another one (a camera's colours).
        cache: the activation whose oldest frame the move along time reads; else it is the frames' own.
    """

    name: str
    frames: Frames
    axes: Axes
    moves: tuple[Move, ...] = ()
    pixels: tuple[tuple[float, float], ...] = ()
    order: tuple[int, ...] = ()
    cache: str = ""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The activations that who reads the view reads."""
        return (self.name, self.cache) if self.cache else (self.name,)

    @property
    def sizes(self) -> dict[str, int]:
        """Of the labels of `axes`."""
        f = self.frames
        return {"n": f.clips, "t": f.segments, "c": f.channels, "h": f.height, "w": f.width}

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the graph's tensor."""
        sizes = self.sizes
        found = []
        for axis in self.axes:
            size = 1
            for label in axis:
                size *= sizes[label]
            found.append(size)
        return tuple(found)


@dataclass(frozen=True)
class Tensor:
    """An activation in row-major order, of any meaning."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"


Value = View | Tensor
