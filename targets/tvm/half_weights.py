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


def with_half_weights(network: Network) -> Network:
    """The same network with the weights of float32 convolutions and dense layers in float16.

    Raises:
        TargetError: a weight is too large for float16.
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
    return replace(layer, operation=replace(operation, weight_type="float16"))
