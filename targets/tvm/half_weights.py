"""Weights in float16: half the size to store and to read; arithmetic stays in float32.

Every vector of weights is widened when it is loaded, which serves all positions of a tile.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgevid.errors import TargetError
from edgevid.targets.tvm.network import Convolution, Dense, Layer, Network

__all__ = ["with_half_weights"]

_LARGEST = float(np.finfo(np.float16).max)
_MOST_LOSS = 5e-3
"""Of the weights' norm; rounding to 11 bits costs 2e-4, numbers too small for float16 all."""


def with_half_weights(network: Network) -> Network:
    """The same network with the weights of float32 convolutions and dense layers in float16.

    Raises:
        TargetError: a weight is too large for float16, or the weights of a layer are too small.
    """
    return replace(network, layers=tuple(_halved(layer) for layer in network.layers))


def _halved(layer: Layer) -> Layer:
    operation = layer.operation
    if not isinstance(operation, Convolution | Dense) or "scale" in layer.weights:
        return layer
    largest = float(np.abs(layer.weights["weight"]).max(initial=0))
    if not largest <= _LARGEST:
        raise TargetError(
            f"a weight of {largest:.3g}, and float16 holds {_LARGEST:.0f} at most",
            where=layer.name,
            fix="compile in fp32",
        )
    exact = layer.weights["weight"].astype(np.float64)
    loss = float(np.linalg.norm(exact.astype(np.float16) - exact))
    if loss > _MOST_LOSS * float(np.linalg.norm(exact)):
        raise TargetError(
            f"weights of at most {largest:.3g} are too small for float16",
            where=layer.name,
            fix="compile in fp32",
        )
    return replace(layer, operation=replace(operation, weight_type="float16"))
