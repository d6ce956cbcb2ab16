"""Which family computes an operation, and with which tile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevid.errors import TargetError
from edgevid.targets.tvm.cpus import Cpu, Dot
from edgevid.targets.tvm.kernels import (
    channels,
    copy,
    dense,
    depthwise,
    elementwise,
    gate,
    grouped,
    int8_dense,
    int8_depthwise,
    int8_pointwise,
    int8_spatial,
    keep,
    matrix_product,
    pointwise,
    pool,
    softmax,
    spatial,
    transposition,
)
from edgevid.targets.tvm.kernels._requantize import without_values
from edgevid.targets.tvm.network import (
    Channels,
    Convolution,
    Copy,
    Dense,
    Elementwise,
    Fallback,
    Gate,
    Keep,
    MatrixProduct,
    Operation,
    Pool,
    Softmax,
    Transposition,
)

__all__ = ["Kernel", "candidates"]


@dataclass(frozen=True)
class Kernel:
    """An operation with the family and the tile that compute it; integer families sum products by ``dot``."""

    family: str
    operation: Operation
    tile: Any = None
    dot: Dot | None = None

    def build(self, name: str) -> Any:
        """The TIR function; parameters: inputs, constants of `pack`, output."""
        _, operation, *chosen = self.code
        return _FAMILIES[self.family].build(
            operation, *(value for value in chosen if value is not None), name
        )

    @property
    def code(self) -> tuple[Any, ...]:
        """What the function depends on: kernels with the same need it once."""
        operation = self.operation
        if self.dot is not None and isinstance(operation, Convolution | Dense):
            operation = without_values(operation)
        return self.family, operation, self.tile, self.dot

    def pack(self, weights: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The constants as the function reads them."""
        pack = getattr(_FAMILIES[self.family], "pack", None)
        if pack is None:
            return []
        packed: list[NDArray[Any]] = pack(self.operation, weights, *([self.dot] if self.dot else []))
        if getattr(self.operation, "weight_type", "float32") == "float16":
            packed[0] = packed[0].astype(np.float16)
        return packed


_FAMILIES: Mapping[str, Any] = {
    "channels": channels,
    "copy": copy,
    "dense": dense,
    "depthwise": depthwise,
    "elementwise": elementwise,
    "gate": gate,
    "grouped": grouped,
    "int8_dense": int8_dense,
    "int8_depthwise": int8_depthwise,
    "int8_pointwise": int8_pointwise,
    "int8_spatial": int8_spatial,
    "keep": keep,
    "matrix_product": matrix_product,
    "pointwise": pointwise,
    "pool": pool,
    "softmax": softmax,
    "spatial": spatial,
    "transposition": transposition,
}

_CONVOLUTIONS = ("pointwise", "depthwise", "grouped", "spatial")
_INT8_CONVOLUTIONS = ("int8_pointwise", "int8_depthwise", "int8_spatial")

_SINGLE: Mapping[type, str] = {
    Channels: "channels",
    Copy: "copy",
    Dense: "dense",
    Elementwise: "elementwise",
    Gate: "gate",
    Keep: "keep",
    Pool: "pool",
    Softmax: "softmax",
    Transposition: "transposition",
}
"""Families with one kernel an operation."""


def candidates(operation: Operation, cpu: Cpu) -> tuple[Kernel, ...]:
    """All that compute it, the best guess first; none of what is left to TVM.

    Raises:
        TargetError: none does.
    """
    if isinstance(operation, Fallback):
        return ()
    if isinstance(operation, Convolution | Dense) and operation.source.quantization is not None:
        return _in_int8(operation, cpu)
    if isinstance(operation, Convolution):
        for family in _CONVOLUTIONS:
            if _FAMILIES[family].fits(operation):
                tiles = _FAMILIES[family].tiles(operation, cpu.registers)
                return tuple(Kernel(family, operation, tile) for tile in tiles)
        raise TargetError(f"no kernel for {operation}")
    if isinstance(operation, MatrixProduct):
        tile = matrix_product.tiles(operation, cpu.registers, cpu.lanes)[0]
        return (Kernel("matrix_product", operation, tile),)
    single = _SINGLE.get(type(operation))
    if single is None:
        raise TargetError(f"no kernel for {operation}")
    return (Kernel(single, operation),)


def _in_int8(operation: Convolution | Dense, cpu: Cpu) -> tuple[Kernel, ...]:
    if isinstance(operation, Dense):
        return (Kernel("int8_dense", operation, dot=cpu.dot),)
    for family in _INT8_CONVOLUTIONS:
        if _FAMILIES[family].fits(operation):
            tiles = _FAMILIES[family].tiles(operation, cpu.registers, cpu.dot)
            return tuple(Kernel(family, operation, tile, cpu.dot) for tile in tiles)
    raise TargetError(f"no int8 kernel for {operation}", fix="keep this layer in float32")
