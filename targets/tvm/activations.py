"""What stands in memory between layers: packed frames, and tensors in row-major order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Activation", "DType", "Frames", "Plain", "Quantization"]

DType = Literal["float32", "uint8", "int8"]


@dataclass(frozen=True)
class Quantization:
    """``real = scale * (integer - zero)`` of an activation."""

    scale: float
    zero: int


@dataclass(frozen=True)
class Frames:
    """An activation: ``clips * segments`` frames of ``channels`` x ``height`` x ``width``.

    Channels are padded to whole blocks; what the padding holds is undefined, and nobody reads it
    as data.
    """

    clips: int
    segments: int
    channels: int
    height: int
    width: int
    block: int
    dtype: DType = "float32"
    quantization: Quantization | None = None

    @property
    def frames(self) -> int:
        """Of all clips."""
        return self.clips * self.segments

    @property
    def blocks(self) -> int:
        """Of channels."""
        return -(-self.channels // self.block)

    @property
    def positions(self) -> int:
        """Pixels of a frame."""
        return self.height * self.width

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """In memory."""
        return (self.frames, self.blocks, self.positions, self.block)


@dataclass(frozen=True)
class Plain:
    """An activation of any rank in row-major order: what is no frames, or what others compute."""

    shape: tuple[int, ...]
    dtype: str = "float32"


Activation = Frames | Plain
