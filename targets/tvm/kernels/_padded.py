"""A frame with its zero border in a scratch buffer, so that the loops over windows have no branches.

Since everything is copied here anyway, shifts along time, height and width, and the normalization
of pixels, cost nothing more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels._frame import source_frame
from edgevid.targets.tvm.kernels._segments import Lanes, lanes, segments
from edgevid.targets.tvm.kernels._write import Expr, ramp, when
from edgevid.targets.tvm.network import Convolution, Move

__all__ = ["Padded", "window_size"]

_WIDEST = 16


def window_size(operation: Convolution, axis: int) -> int:
    """Rows (1) or columns (2) that the windows of all outputs reach over."""
    outputs = (operation.target.height, operation.target.width)[axis - 1]
    reach = (operation.kernel[axis] - 1) * operation.dilations[axis] + 1
    return (outputs - 1) * operation.strides[axis] + reach


@dataclass(frozen=True)
class Padded:
    """``buffer`` is ``[taps, blocks, rows, columns * block]`` float32 in the writer's scratch memory."""

    operation: Convolution
    buffer: Any
    rows: int
    columns: int

    @classmethod
    def allocate(cls, operation: Convolution, blocks: int | None = None) -> Padded:
        """Scratch memory for all taps along time of one output frame."""
        rows, columns = window_size(operation, 1), window_size(operation, 2)
        source = operation.source
        shape = (operation.kernel[0], blocks or source.blocks, rows, columns * source.block)
        return cls(operation, T.alloc_buffer(shape, "float32"), rows, columns)

    def fill(self, data: Any, pixels: Any, tap: int, n: Expr) -> None:
        """Copy all channels of what tap ``tap`` of output frame ``n`` reads."""
        source = self.operation.source
        for move in segments(source.channels, self.operation.moves):
            for part in lanes(move.start, move.stop, source.block):
                with T.serial(0, part.count) as i:
                    self._part(data, pixels, tap, n, move, part, part.block + i, part.block + i)

    def _part(
        self, data: Any, pixels: Any, tap: int, n: Expr, move: Move, part: Lanes, block: Expr, place: Expr
    ) -> None:
        source, operation = self.operation.source, self.operation
        frame, exists = source_frame(operation, n, tap, move.dt)
        top, bottom = self._valid(source.height, operation.pads[1], move.dh, self.rows)
        left, right = self._valid(source.width, operation.pads[2], move.dw, self.columns)
        all_there = top == left == 0 and bottom == self.rows and right == self.columns
        if exists or not all_there:
            self._zero(tap, place, part, 0, self.rows if exists else top)
            if not exists:
                self._zero(tap, place, part, bottom, self.rows)
                self._zero(tap, place, part, top, bottom, 0, left)
                self._zero(tap, place, part, top, bottom, right, self.columns)
        rise, slide = move.dh - operation.pads[1], move.dw - operation.pads[2]
        with when(*exists), T.serial(0, bottom - top) as i:
            if part.width == source.block and operation.pixels:
                self._pixel_row(data, pixels, frame, (top + i + rise) * source.width + left + slide, tap, i + top, left, right)
                return
            with T.serial(0, right - left) as j:
                position = (top + i + rise) * source.width + left + j + slide
                value = data[frame, block, position, ramp(part.first, part.width)]
                at = [tap, place, top + i, ramp((left + j) * source.block + part.first, part.width)]
                T.buffer_store(self.buffer, value, at)

    def _pixel_row(
        self, data: Any, pixels: Any, frame: Expr, position: Expr, tap: int, row: Expr, left: int, right: int
    ) -> None:
        """A row of interleaved pixels, normalized: ``pixels`` is [2, block] of scales and offsets."""
        block = self.operation.source.block
        with T.serial(0, right - left) as j:
            for lane in range(block):
                value = T.Cast("float32", data[frame, 0, position + j, lane])
                value = value * pixels[0, lane] + pixels[1, lane]
                T.buffer_store(self.buffer, value, [tap, 0, row, (left + j) * block + lane])

    def _valid(self, size: int, pad: int, step: int, reach: int) -> tuple[int, int]:
        """First and last place in scratch with a number of the tensor: itself inside, and what it reads too."""
        first = max(0, -step) + pad
        last = min(size, size - step) + pad
        return min(max(first, 0), reach), max(min(last, reach), 0)

    def _zero(
        self,
        tap: int,
        block: Expr,
        part: Lanes,
        top: int,
        bottom: int,
        left: int = 0,
        right: int | None = None,
    ) -> None:
        right = self.columns if right is None else right
        if bottom <= top or right <= left:
            return
        size = self.operation.source.block
        zero = T.float32(0) if part.width == 1 else T.broadcast(T.float32(0), part.width)
        with T.serial(0, bottom - top) as i, T.serial(0, right - left) as j:
            at = [tap, block, top + i, ramp((left + j) * size + part.first, part.width)]
            T.buffer_store(self.buffer, zero, at)
