"""Cross-layer equalization: scales move from a layer's output channels to the next layer's inputs.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019,
section 4.1. What lies between the two layers must keep a positive factor of a channel: a ReLU, a
shift and a maximum do; a clip at 0 and 6 does where its upper bound becomes one of each channel.
The function of the network stays what it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir import tape

from edgevid.calibration.points import is_layer, is_shift

__all__ = ["Pair", "equalize", "pairs"]

_Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Pair:
    """Two convolutions of which the second alone reads the first.

    Attributes:
        first: whose output channels are divided.
        second: whose input channels are multiplied.
        clips: between them; their upper bounds are divided too.
    """

    first: ir.Node
    second: ir.Node
    clips: tuple[ir.Node, ...]


def pairs(graph: ir.Model) -> list[Pair]:
    """All pairs of a canonical graph, in its order."""
    found = (_pair(node) for node in graph.graph if _is_conv(node))
    return [pair for pair in found if pair is not None]


def _pair(first: ir.Node) -> Pair | None:
    value, clips = first.outputs[0], []
    while True:
        uses = value.uses()
        if len(uses) != 1 or value.is_graph_output():
            return None
        node = uses[0].node
        if _is_conv(node):
            return Pair(first, node, tuple(clips)) if uses[0].idx == 0 else None
        if node.op_type == "Clip" and _bounds(node) is not None:
            clips.append(node)
        elif not (is_shift(node) or (not node.domain and node.op_type in ("MaxPool", "Relu"))):
            return None
        value = node.outputs[0]


def _is_conv(node: ir.Node) -> bool:
    return node.op_type == "Conv" and is_layer(node)
