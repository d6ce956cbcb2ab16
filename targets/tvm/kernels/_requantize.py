"""From sums of products to what is stored: scales, residual, bounds, and the target's integers.

With ``m = source.scale * weight.scale / target.scale`` a channel, rounded once to float32::

    stored = clamp(rint(fma(float(sum), m, float(r - r.zero) * (r.scale / target.scale)))) + zero

``rint`` is to nearest even. Bounds are clamped before rounding, which is the same since they are
integers. The multiplication and the addition are one fused operation by name, because compilers may fuse
them or not. A float32 target has the target scale 1 and no rounding.

Scales and bounds are parameters: layers that differ in them alone share one function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels._dot import DotProduct
from edgevid.targets.tvm.kernels._groups import packed
from edgevid.targets.tvm.kernels._write import Expr, buffer, ramp
from edgevid.targets.tvm.network import Bounds, Convolution, Dense, Frames, Quantization

__all__ = ["Epilogue", "constants", "without_values"]

_LIMITS = {"uint8": (0, 255), "int8": (-128, 127)}

_Operation = TypeVar("_Operation", bound=Convolution | Dense)


def without_values(operation: _Operation) -> _Operation:
    """The operation that stands for all with the same function: scales of 1, bounds of 0."""
    changes: dict[str, Any] = {
        "source": _without_scale(operation.source),
        "target": _without_scale(operation.target),
        "bounds": tuple(None if bound is None else 0.0 for bound in operation.bounds),
    }
    if operation.target.quantization is not None:
        changes["bounds"] = (None, None)
    if isinstance(operation, Convolution) and operation.residual is not None:
        changes["residual"] = _without_scale(operation.residual)
    if isinstance(operation, Convolution) and operation.cache is not None:
        changes["cache"] = _without_scale(operation.cache)
    return replace(operation, **changes)


def _without_scale(frames: Frames) -> Frames:
    if frames.quantization is None:
        return frames
    return replace(frames, quantization=Quantization(1.0, frames.quantization.zero))


def constants(
    operation: Convolution | Dense, weights: Mapping[str, NDArray[Any]], product: DotProduct
) -> list[NDArray[Any]]:
    """What `Epilogue` reads: ``bias`` int32 ``[blocks, v]``, from which the sums start, ``scales``
    float32 ``[blocks, v]``, and ``limits`` float32 [3]: the residual's factor, least and largest value.

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
    step = 1.0 if target.quantization is None else target.quantization.scale
    return [
        # Sums are exact modulo 2^32, so a start beyond that is none that matters.
        packed(whole.astype(np.int32), target.blocks, product, np.int32),
        packed(steps / step, target.blocks, product, np.float32),
        np.array([_residual_factor(operation) or 0.0, *_limits(target, operation.bounds)], np.float32),
    ]


def _residual_factor(operation: Convolution | Dense) -> float | None:
    """What the residual is multiplied with; None where nothing is to be done."""
    frames, target = getattr(operation, "residual", None), operation.target
    if frames is None or frames.quantization is target.quantization is None:
        return None
    step = 1.0 if target.quantization is None else target.quantization.scale
    return float(1 / step * (1.0 if frames.quantization is None else frames.quantization.scale))


def _limits(target: Frames, bounds: Bounds) -> tuple[float, float]:
    """Bounds of real numbers; of a quantized target as its integers without the zero point."""
    quantization = target.quantization
    if quantization is None:
        return tuple(bound or 0.0 for bound in bounds)  # type: ignore[return-value]
    least, largest = (float(limit - quantization.zero) for limit in _LIMITS[target.dtype])
    step = np.float32(quantization.scale)
    if bounds[0] is not None:
        least = max(least, float(np.rint(np.float32(bounds[0]) / step)))
    if bounds[1] is not None:
        largest = min(largest, float(np.rint(np.float32(bounds[1]) / step)))
    return least, max(largest, least)


@dataclass(frozen=True)
class Epilogue:
    """How sums become what is stored, and the parameters that this takes."""

    operation: Convolution | Dense
    product: DotProduct
    _bias: Any
    _scales: Any
    _limits: Any
    _residual: Any
    _target: Any

    @classmethod
    def parameters(cls, operation: Convolution | Dense, product: DotProduct) -> Epilogue:
        """Declare ``bias, scales, limits[, residual], target``: the last parameters of the function."""
        target, residual = operation.target, getattr(operation, "residual", None)
        shape = (target.blocks, target.block)
        return cls(
            operation,
            product,
            buffer("bias", shape, "int32"),
            buffer("scales", shape),
            buffer("limits", (3,)),
            None if residual is None else buffer("residual", residual.shape, residual.dtype),
            buffer("target", target.shape, target.dtype),
        )

    def bias(self, block: Expr) -> Expr:
        """What the sums of an output block start from."""
        return self._bias[block, ramp(0, self.operation.target.block)]

    def store(self, sums: Sequence[Expr], frame: Expr, block: Expr, position: Expr) -> None:
        """Store vectors of sums (int32) of neighbouring positions; bytes of several at once."""
        target, v = self.operation.target, self.product.lanes
        real = [self._real(vector, frame, block, position + p) for p, vector in enumerate(sums)]
        if target.quantization is None:
            for p, vector in enumerate(real):
                T.buffer_store(self._target, vector, [frame, block, position + p, ramp(0, v)])
            return
        whole = [self.product.rounded(vector) for vector in real]
        if target.quantization.zero:
            whole = [vector + T.broadcast(T.int32(target.quantization.zero), v) for vector in whole]
        wide = v * len(sums)
        together = whole[0] if len(whole) == 1 else T.Shuffle(whole, list(range(wide)))
        value = T.Cast(f"{target.dtype}x{wide}", together)
        T.buffer_store(self._target, value, [frame, block, position, ramp(0, wide)])

    def _real(self, sums: Expr, frame: Expr, block: Expr, position: Expr) -> Expr:
        """In steps of the target, within the bounds."""
        v = self.product.lanes
        real, scales = T.Cast(f"float32x{v}", sums), self._scales[block, ramp(0, v)]
        if self._residual is None:
            real = real * scales
        else:
            skip = self._in_steps(self._residual[frame, block, position, ramp(0, v)])
            real = T.call_llvm_pure_intrin(f"float32x{v}", "llvm.fma", real, scales, skip)
        always, bounds = self.operation.target.quantization is not None, self.operation.bounds
        least, largest = (
            self._limits[place] if always or bound is not None else None
            for place, bound in enumerate(bounds, start=1)
        )
        return self.product.within(real, least, largest)

    def _in_steps(self, residual: Expr) -> Expr:
        """The residual in steps of the target."""
        assert isinstance(self.operation, Convolution)
        frames, v = self.operation.residual, self.operation.target.block
        assert frames is not None
        if frames.quantization is not None:
            residual = T.Cast(f"int32x{v}", residual)
            if frames.quantization.zero:
                residual = residual - T.broadcast(T.int32(frames.quantization.zero), v)
            residual = T.Cast(f"float32x{v}", residual)
        if _residual_factor(self.operation) is None:
            return residual
        return residual * T.broadcast(self._limits[0], v)
