"""Which family computes an operation, and with which tile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from edgevid.errors import TargetError
from edgevid.targets.tvm.cpus import Cpu
from edgevid.targets.tvm.kernels import copy, dense, depthwise, pointwise, pool, spatial
from edgevid.targets.tvm.network import Convolution, Copy, Dense, Operation, Pool

__all__ = ["Kernel", "candidates"]


@dataclass(frozen=True)
class Kernel:
    """An operation with the family and the tile that compute it."""

    family: str
    operation: Operation
    tile: Any = None

    def build(self, name: str) -> Any:
        """The TIR function; parameters: inputs, constants of `pack`, output."""
        module = _FAMILIES[self.family]
        if self.tile is None:
            return module.build(self.operation, name)
        return module.build(self.operation, self.tile, name)

    def pack(self, weights: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The constants as the function reads them."""
        pack = getattr(_FAMILIES[self.family], "pack", None)
        packed: list[NDArray[Any]] = [] if pack is None else pack(self.operation, weights)
        return packed


_FAMILIES: Mapping[str, Any] = {
    "copy": copy,
    "dense": dense,
    "depthwise": depthwise,
    "pointwise": pointwise,
    "pool": pool,
    "spatial": spatial,
}

_CONVOLUTIONS = ("pointwise", "depthwise", "spatial")


def candidates(operation: Operation, cpu: Cpu) -> tuple[Kernel, ...]:
    """All that compute it, the best guess first.

    Raises:
        TargetError: none does.
    """
    if isinstance(operation, Convolution):
        for family in _CONVOLUTIONS:
            if _FAMILIES[family].fits(operation):
                tiles = _FAMILIES[family].tiles(operation, cpu.registers)
                return tuple(Kernel(family, operation, tile) for tile in tiles)
        raise TargetError(f"no kernel for {operation}")
    single = {Pool: "pool", Dense: "dense", Copy: "copy"}[type(operation)]
    return (Kernel(single, operation),)
