"""A frame with its zero border in a scratch buffer, so that the loops over windows have no branches.

Quantized frames stay bytes, and their border is the zero point. Since everything is copied here
anyway, shifts along time, height and width, channels that come from a cache, and the normalization of
pixels cost nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels._cache import cached, lane_of
from edgevid.targets.tvm.kernels._frame import source_frame
from edgevid.targets.tvm.kernels._segments import Lanes, lanes, segments
from edgevid.targets.tvm.kernels._write import Expr, over_tiles, ramp, when
from edgevid.targets.tvm.network import Convolution, Move

__all__ = ["Padded", "window_size"]

_TOGETHER = 4
"""Places that are copied at once."""


def window_size(operation: Convolution, axis: int) -> int:
    """Rows (1) or columns (2) that the windows of all outputs reach over."""
    outputs = (operation.target.height, operation.target.width)[axis - 1]
    reach = (operation.kernel[axis] - 1) * operation.dilations[axis] + 1
    return (outputs - 1) * operation.strides[axis] + reach


@dataclass(frozen=True)
class Padded:
    """``buffer`` is ``[places, blocks, rows, columns * block]`` in the writer's scratch memory: a place
    for each tap along time, of float32 or of the bytes of a quantized source."""

    operation: Convolution
    buffer: Any
    rows: int
    columns: int

    @classmethod
    def allocate(
        cls, operation: Convolution, blocks: int | None = None, frames: int = 1, more_columns: int = 0
    ) -> Padded:
        """Scratch memory for all taps along time of ``frames`` output frames.

        Args:
            blocks: of channels; all of them by default.
            more_columns: that nobody reads as data, at the end of each row.
        """
        rows, columns = window_size(operation, 1), window_size(operation, 2) + more_columns
        source = operation.source
        shape = (frames * operation.kernel[0], blocks or source.blocks, rows, columns * source.block)
        dtype = "float32" if source.quantization is None else source.dtype
        return cls(operation, T.alloc_buffer(shape, dtype), rows, columns)

    def fill(self, data: Any, pixels: Any, tap: int, n: Expr, first: Expr = 0, kept: Any = None) -> None:
        """Copy all channels of what tap ``tap`` of output frame ``n`` reads to place ``first + tap``; those
        of a cache from ``kept``."""
        source = self.operation.source
        for move in segments(source.channels, self.operation.moves):
            memory = kept if cached(self.operation, move) else data
            for part in lanes(move.start, move.stop, source.block):
                with T.serial(0, part.count) as i:
                    place = part.block + i
                    self._part(memory, pixels, tap, n, move, part, place, first + tap, place)

    def fill_block(self, data: Any, tap: int, n: Expr, block: Expr) -> None:
        """Copy one block of channels, of an operation without moves, as block 0."""
        source = self.operation.source
        part = Lanes(0, 1, 0, source.block)
        self._part(data, None, tap, n, Move(0, source.channels, 0), part, block, tap, 0)

    def _part(
        self,
        data: Any,
        pixels: Any,
        tap: int,
        n: Expr,
        move: Move,
        part: Lanes,
        block: Expr,
        at_tap: Expr,
        place: Expr,
    ) -> None:
        source, operation = self.operation.source, self.operation
        frame, exists = source_frame(operation, n, tap, move.dt)
        top, bottom = self._valid(source.height, operation.pads[1], move.dh, self.rows)
        left, right = self._valid(source.width, operation.pads[2], move.dw, self.columns)
        all_there = top == left == 0 and bottom == self.rows and right == self.columns
        if exists or not all_there:
            self._zero(at_tap, place, part, 0, self.rows if exists else top)
            if not exists:
                self._zero(at_tap, place, part, bottom, self.rows)
                self._zero(at_tap, place, part, top, bottom, 0, left)
                self._zero(at_tap, place, part, top, bottom, right, self.columns)
        rise, slide = move.dh - operation.pads[1], move.dw - operation.pads[2]
        with when(*exists), T.serial(0, bottom - top) as i:
            if part.width == source.block and operation.pixels:
                self._pixel_row(
                    data,
                    pixels,
                    frame,
                    (top + i + rise) * source.width + left + slide,
                    at_tap,
                    i + top,
                    left,
                    right,
                )
                return
            lane: Expr = part.first
            whole = part.width == source.block
            if operation.cache is not None and cached(operation, move):
                block, lane = lane_of(operation.cache, source, block, part.first)
                whole = part.width == operation.cache.block == source.block
            # Whole blocks of neighbouring places are one run of memory.
            together = _TOGETHER if whole else 1
            with T.serial(0, -(-(right - left) // together)) as j:

                def copy(count: int) -> None:
                    position = (top + i + rise) * source.width + left + j * together + slide
                    width = count * part.width
                    value = data[frame, block, position, ramp(lane, width)]
                    start = (left + j * together) * source.block + part.first
                    T.buffer_store(self.buffer, value, [at_tap, place, top + i, ramp(start, width)])

                over_tiles(j, right - left, together, copy)

    def _pixel_row(
        self, data: Any, pixels: Any, frame: Expr, position: Expr, tap: Expr, row: Expr, left: int, right: int
    ) -> None:
        """A row of interleaved pixels, normalized: ``pixels`` is [2, block] of scales and offsets."""
        block = self.operation.source.block
        with T.serial(0, right - left) as j:
            for lane in range(block):
                value = T.Cast("float32", data[frame, 0, position + j, lane])
                value = value * pixels[0, lane] + pixels[1, lane]
                T.buffer_store(self.buffer, value, [tap, 0, row, (left + j) * block + lane])

    def _valid(self, size: int, pad: int, step: int, reach: int) -> tuple[int, int]:
        """First and last place in scratch with a number of the tensor: inside, and what it reads too."""
        first = max(0, -step) + pad
        last = min(size, size - step) + pad
        return min(max(first, 0), reach), max(min(last, reach), 0)

    def _zero(
        self,
        tap: Expr,
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
        quantization = self.operation.source.quantization
        zero = T.float32(0) if quantization is None else getattr(T, self.buffer.dtype)(quantization.zero)
        zero = zero if part.width == 1 else T.broadcast(zero, part.width)
        with T.serial(0, bottom - top) as i, T.serial(0, right - left) as j:
            at = [tap, block, top + i, ramp((left + j) * size + part.first, part.width)]
            T.buffer_store(self.buffer, zero, at)
