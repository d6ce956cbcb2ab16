"""The type of quantized activations in memory: the instructions that multiply bytes choose it."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Literal

from edgevid.targets.tvm.network import Frames, Network, Operation, Quantization

__all__ = ["with_byte_type"]

_LEAST = {"uint8": 0, "int8": -128}


def with_byte_type(network: Network, dtype: Literal["uint8", "int8"]) -> Network:
    """The same network with all quantized activations of one type.

    The other type's integers move by 128 and their zero points with them, so the real numbers that
    they stand for are the same, and every result is.
    """

    def typed(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(typed(part) for part in value)
        if not isinstance(value, Frames) or value.quantization is None or value.dtype == dtype:
            return value
        zero = value.quantization.zero - _LEAST[value.dtype] + _LEAST[dtype]
        return replace(value, dtype=dtype, quantization=Quantization(value.quantization.scale, zero))

    def operation(value: Any) -> Operation:
        changed: Operation = replace(value, **{f.name: typed(getattr(value, f.name)) for f in fields(value)})
        return changed

    layers = tuple(replace(layer, operation=operation(layer.operation)) for layer in network.layers)
    activations = {name: typed(value) for name, value in network.activations.items()}
    return replace(network, activations=activations, layers=layers)
