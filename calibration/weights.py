"""Weights as signed bytes: symmetric, one scale an output channel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevid.errors import GraphError

__all__ = ["largest", "least_scale", "quantize_bias", "quantize_weight", "scale_of"]

_SMALLEST = np.float32(2.0**-100)
"""Below it float32 scales lose their precision."""


def largest(bits: int) -> int:
    """The largest number of ``bits`` bits; its negative is the smallest that is used."""
    return (1 << (bits - 1)) - 1


def scale_of(amax: Any, steps: int) -> NDArray[np.float32]:
    """``amax / steps``, and 1 where nothing but zero occurs: then zero stays exact."""
    scale = np.asarray(amax, np.float32) / np.float32(steps)
    return np.where(scale > _SMALLEST, scale, np.float32(1)).astype(np.float32)


def quantize_weight(
    weight: NDArray[np.float32], axis: int, bits: int = 8, least: Any = 0
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Whole numbers of the shape of ``weight`` and scales ``[channels]`` along ``axis``.

    ``weight`` is about the numbers times the scale of their channel: within half a scale.

    Args:
        weight: float32.
        axis: of the output channels.
        bits: of a number.
        least: smallest scale, of all or of each channel: see `least_scale`.
    """
    others = tuple(each for each in range(weight.ndim) if each != axis)
    scale = scale_of(np.maximum(np.abs(weight).max(axis=others), least * largest(bits)), largest(bits))
    along = scale.reshape([-1 if each == axis else 1 for each in range(weight.ndim)])
    numbers = np.rint(weight / along).clip(-largest(bits), largest(bits))
    return numbers.astype(np.int8), scale


def least_scale(bias: NDArray[np.float32], input_scale: NDArray[np.float32]) -> NDArray[np.float64]:
    """The smallest weight scale ``[channels]`` with which a bias fits into 32 bits.

    It matters in channels of almost no weights, such as pruned ones.
    """
    return np.abs(bias.astype(np.float64)) / (np.float64(input_scale) * (np.iinfo(np.int32).max // 2))


def quantize_bias(
    bias: NDArray[np.float32], weight_scale: NDArray[np.float32], input_scale: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Whole numbers and scales ``[channels]`` of the accumulators that a bias is added to.

    Raises:
        GraphError: a scale is beyond float32.
    """
    product = weight_scale.astype(np.float64) * np.float64(input_scale)
    if not (product <= np.finfo(np.float32).max).all():
        raise GraphError(
            "the scales of weights and inputs multiply to more than float32 holds",
            fix="keep this layer in float, with --keep-float: its weights or its inputs are huge",
        )
    # Where it vanishes `least_scale` has seen to it that the bias is zero.
    scale = np.maximum(product, np.finfo(np.float32).tiny).astype(np.float32)
    top = np.iinfo(np.int32).max
    return np.rint(bias.astype(np.float64) / scale).clip(-top, top).astype(np.int32), scale
