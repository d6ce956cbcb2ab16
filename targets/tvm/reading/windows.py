"""Kernels, strides and pads of ONNX as triples along time, height and width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from edgevid.targets.tvm.network import Triple

__all__ = ["Window", "triple", "window"]


@dataclass(frozen=True)
class Window:
    """Of a convolution or a pool; ``pads`` stand before the first position, ``ends`` after the last."""

    strides: Triple
    pads: Triple
    ends: Triple
    dilations: Triple


def window(node: ir.Node, kernel: Sequence[int], inputs: Sequence[int], outputs: Sequence[int]) -> Window:
    """What the attributes say, ``auto_pad`` included.

    Args:
        node: a convolution or a pool over two or three axes.
        kernel, inputs, outputs: sizes along these axes.
    """
    rank = len(kernel)
    get = node.attributes.get_ints
    strides, dilations = get("strides", (1,) * rank), get("dilations", (1,) * rank)
    pads = [int(pad) for pad in get("pads", (0,) * (2 * rank))]
    automatic = node.attributes.get_string("auto_pad", "NOTSET")
    if automatic == "VALID":
        pads = [0] * (2 * rank)
    elif automatic != "NOTSET":
        for axis in range(rank):
            reach = (kernel[axis] - 1) * dilations[axis] + 1
            total = max(0, (outputs[axis] - 1) * strides[axis] + reach - inputs[axis])
            less, more = total // 2, total - total // 2
            upper = automatic == "SAME_UPPER"
            pads[axis], pads[rank + axis] = (less, more) if upper else (more, less)
    return Window(triple(strides, 1), triple(pads[:rank], 0), triple(pads[rank:], 0), triple(dilations, 1))


def triple(values: Sequence[int], missing: int) -> Triple:
    """Operations over height and width have ``missing`` along time."""
    full = (*([missing] * (3 - len(values))), *(int(value) for value in values))
    return full[0], full[1], full[2]
