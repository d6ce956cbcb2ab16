"""What a module is made of, written beside it: each layer with its kernel, precision and work."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgevid.contract import Layer as ComputedLayer
from edgevid.errors import TargetError
from edgevid.targets.tvm.assemble import Module
from edgevid.targets.tvm.network import Convolution, Dense, Fallback, Layer, Network

__all__ = ["FALLBACK", "FILE", "ListedLayer", "computed", "list_layers", "load_list", "save_list"]

FILE = "layers.json"
FALLBACK = Fallback.__name__
"""The kind of layers that no kernel of ours computes."""


@dataclass(frozen=True)
class ListedLayer:
    """One call of a module, in order.

    Attributes:
        name: of the graph's operation.
        kernel: the function's name in the module.
        family, tile: of the kernel; ``TVM`` where its own legalization computes the layer.
        kind: of operation, as ``Convolution``.
        precision: of the arithmetic.
        macs: multiplications of one call.
    """

    name: str
    kernel: str
    family: str
    tile: str
    kind: str
    precision: str
    macs: int


def list_layers(network: Network, module: Module) -> tuple[ListedLayer, ...]:
    """The layers of a network as a module computes them."""
    found = []
    for layer in network.layers:
        kind = type(layer.operation).__name__
        if isinstance(layer.operation, Fallback):
            found.append(ListedLayer(layer.name, module.fallbacks[layer.name], "TVM", "", kind, "fp32", 0))
            continue
        name, kernel = module.kernels[layer.name]
        tile = "" if kernel.tile is None else ", ".join(f"{k} {v}" for k, v in asdict(kernel.tile).items())
        precision = "int8" if "scale" in layer.weights else "fp32"
        found.append(ListedLayer(layer.name, name, kernel.family, tile, kind, precision, _macs(layer)))
    return tuple(found)


def computed(layers: Sequence[ListedLayer]) -> tuple[ComputedLayer, ...]:
    """The convolutions and dense layers, as every target tells of them."""
    return tuple(
        ComputedLayer(
            layer.name, "Conv" if layer.kind == "Convolution" else "Dense", layer.precision, layer.family
        )
        for layer in layers
        if layer.kind in ("Convolution", "Dense")
    )


def save_list(layers: Sequence[ListedLayer], folder: Path) -> None:
    """Write the list beside a module."""
    told = json.dumps([asdict(layer) for layer in layers], indent=1)
    (folder / FILE).write_text(told + "\n", encoding="utf-8")


def load_list(folder: Path) -> tuple[ListedLayer, ...]:
    """The list beside a module.

    Raises:
        TargetError: it is missing or damaged.
    """
    path = folder / FILE
    try:
        entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        return tuple(ListedLayer(**entry) for entry in entries)
    except (OSError, ValueError, TypeError) as error:
        raise TargetError(
            f"the list of layers cannot be read: {error}", where=path, fix="compile again"
        ) from error


def _macs(layer: Layer) -> int:
    operation = layer.operation
    if isinstance(operation, Convolution):
        window = math.prod(operation.kernel) * operation.source.channels // operation.groups
        target = operation.target
        return target.frames * target.positions * target.channels * window
    if isinstance(operation, Dense):
        return operation.target.frames * operation.target.channels * operation.source.channels
    return 0
