"""What building and running a network takes of a board's memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgevid.errors import TargetError
from edgevid.targets.tensorrt.boards import Board

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["check_memory", "memory_need", "workspace_of"]

RUNTIME = 1 << 30
"""Bytes that CUDA, cuDNN and TensorRT take before a network is there: a rough upper bound."""

COPIES_OF_WEIGHTS = 3
"""The file as it was parsed, the builder's network, and the engine."""

MOST_WORKSPACE = 1 << 30
"""Bytes: beyond, kernels of networks of this size were not seen to ask for more."""


def memory_need(graph: ir.Model) -> int:
    """Bytes that building takes at most without the builder's workspace: an estimate, not a measurement.

    Weights three times, the largest sum of float32 tensors that live at one time, twice (the engine's and
    the builder's trial runs), and what the libraries take.

    Args:
        graph: of static shapes.
    """
    return RUNTIME + COPIES_OF_WEIGHTS * _weight_bytes(graph) + 2 * _live_bytes(graph)


def workspace_of(board: Board) -> int:
    """Bytes that the builder may use while it tries kernels."""
    return min(MOST_WORKSPACE, board.memory // 8)


def check_memory(graph: ir.Model, board: Board) -> int:
    """The need of a network.

    Raises:
        TargetError: the board has less memory.
    """
    need = memory_need(graph)
    if need + workspace_of(board) > board.memory:
        raise TargetError(
            f"building takes about {(need + workspace_of(board)) >> 20} MB, {board.title} has "
            f"{board.memory >> 20} MB",
            where="--batch",
            fix="compile for a smaller batch, fewer frames or smaller ones",
        )
    return need


def _weight_bytes(graph: ir.Model) -> int:
    tensors = (value.const_value for value in graph.graph.initializers.values())
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)


def _live_bytes(graph: ir.Model) -> int:
    """The peak over the graph's operations, each tensor living from where it is made to its last use."""
    last = {
        value: number for number, node in enumerate(graph.graph) for value in node.inputs if value is not None
    }
    live = peak = sum(map(_bytes_of, graph.graph.inputs))
    for number, node in enumerate(graph.graph):
        live += sum(map(_bytes_of, node.outputs))
        peak = max(peak, live)
        done = {value for value in node.inputs if value is not None and last[value] == number}
        live -= sum(_bytes_of(value) for value in done if value.const_value is None)
    return peak


def _bytes_of(value: ir.Value) -> int:
    if value.shape is None or not value.shape.is_static():
        return 0
    return 4 * math.prod(value.shape.numpy())
