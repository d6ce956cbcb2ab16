"""From sums of products to what is stored: scales, residual, bounds, and the target's integers.

With ``m = source.scale * weight.scale / target.scale`` a channel, rounded once to float32::

    stored = clamp(rint(fma(float(sum), m, float(r - r.zero) * (r.scale / target.scale)))) + zero

``rint`` is to nearest even. Bounds are clamped before rounding, which is the same since they are
integers. The multiplication and the addition are one fused operation by name, because compilers may fuse
them or not. A float32 target has the target scale 1 and no rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels._dot import DotProduct
from edgevid.targets.tvm.kernels._groups import packed
from edgevid.targets.tvm.kernels._write import Expr, clamp
from edgevid.targets.tvm.network import Bounds, Convolution, Dense, Frames

__all__ = ["Requantize", "constants", "stored_bounds"]

_LIMITS = {"uint8": (0, 255), "int8": (-128, 127)}


def constants(
    operation: Convolution | Dense, weights: Mapping[str, NDArray[Any]], product: DotProduct
) -> list[NDArray[Any]]:
    """``bias`` int32 ``[blocks, v]``, from which the sums start, and ``scales`` float32 ``[blocks, v]``.

    The source's zero point is in the bias: ``sum w * (q - zero) = sum w * q - zero * sum w``.
    """
    source, target = operation.source, operation.target
    assert source.quantization is not None
    kernel, bias = weights["weight"], weights["bias"].astype(np.float64)
    steps = source.quantization.scale * weights["scale"].astype(np.float64)
    if weights["bias"].dtype.kind == "f":
        bias = np.rint(np.divide(bias, steps, out=np.zeros_like(bias), where=steps > 0))
    whole = np.clip(bias, -(2**31), 2**31 - 1).astype(np.int64)
    whole -= source.quantization.zero * kernel.reshape(kernel.shape[0], -1).sum(axis=1, dtype=np.int64)
    scales = steps / (1.0 if target.quantization is None else target.quantization.scale)
    return [
        # Sums are exact modulo 2^32, so a start beyond that is none that matters.
        packed(whole.astype(np.int32), target.blocks, product, np.int32),
        packed(scales, target.blocks, product, np.float32),
    ]


def stored_bounds(target: Frames, bounds: Bounds) -> tuple[float | None, float | None]:
    """Bounds of real numbers as those of a quantized target's integers without its zero point."""
    quantization = target.quantization
    if quantization is None:
        return bounds
    least, largest = (limit - quantization.zero for limit in _LIMITS[target.dtype])
    if bounds[0] is not None:
        least = max(least, round(np.float32(bounds[0]) / np.float32(quantization.scale)))
    if bounds[1] is not None:
        largest = min(largest, round(np.float32(bounds[1]) / np.float32(quantization.scale)))
    return least, max(largest, least)


@dataclass(frozen=True)
class Requantize:
    """The epilogue of an operation with integer sums."""

    operation: Convolution | Dense
    lanes: int

    def apply(self, sums: Expr, scales: Expr, residual: Expr | None) -> Expr:
        """A vector of sums (int32) as one of the target's type; ``scales`` and ``residual`` are vectors."""
        target, v = self.operation.target, self.lanes
        real = T.Cast(f"float32x{v}", sums)
        if residual is None:
            real = real * scales
        else:
            real = T.call_llvm_pure_intrin(f"float32x{v}", "llvm.fma", real, scales, self._skip(residual))
        least, largest = stored_bounds(target, self.operation.bounds)
        real = clamp(real, least, largest, v)
        if target.quantization is None:
            return real
        whole = T.call_llvm_pure_intrin(f"int32x{v}", "llvm.lrint", real)
        if target.quantization.zero:
            whole = whole + T.broadcast(T.int32(target.quantization.zero), v)
        return T.Cast(f"{target.dtype}x{v}", whole)

    def _skip(self, residual: Expr) -> Expr:
        """The residual in steps of the target."""
        assert isinstance(self.operation, Convolution)
        frames, target, v = self.operation.residual, self.operation.target, self.lanes
        assert frames is not None
        scale = 1.0 if target.quantization is None else 1 / target.quantization.scale
        if frames.quantization is not None:
            scale *= frames.quantization.scale
            residual = T.Cast(f"int32x{v}", residual)
            if frames.quantization.zero:
                residual = residual - T.broadcast(T.int32(frames.quantization.zero), v)
            residual = T.Cast(f"float32x{v}", residual)
        return residual * T.broadcast(T.float32(scale), v) if scale != 1.0 else residual
