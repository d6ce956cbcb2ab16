"""A graph against a version of TensorRT and the board it runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevid.diagnostic import Diagnosis
from edgevid.errors import TargetError
from edgevid.targets.tensorrt.boards import Board
from edgevid.targets.tensorrt.lint import (
    check_model,
    check_operators,
    check_quantization,
    check_special,
    check_types,
)
from edgevid.targets.tensorrt.lint.case import Case
from edgevid.targets.tensorrt.lint.facts import facts_of
from edgevid.targets.tensorrt.lint.release import release, release_of
from edgevid.targets.tensorrt.versions import check_capability

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["lint"]

_CHECKS = (
    *check_model.CHECKS,
    *check_types.CHECKS,
    *check_operators.CHECKS,
    *check_special.CHECKS,
    *check_quantization.CHECKS,
)


def lint(model: ir.Model, board: Board | None = None, version: str = "") -> Diagnosis:
    """All that a version of TensorRT has against a graph.

    Requires of the graph what can be known of shapes and types. Ensures: the graph is not changed.

    Args:
        model: as it would be given to TensorRT's ONNX parser.
        board: with the hardware and the memory.
        version: as ``8.2.1`` or ``RTX``; the newest of the board by default.

    Raises:
        GraphError: a function of the graph contradicts its call.
        TargetError: an unknown version, one that does not support the board, or neither board nor version.
    """
    from edgevid.graph.as_written import inlined

    if not version and board is None:
        raise TargetError("nothing to hold the graph against", fix="name a board, or a version of TensorRT")
    against = release(version) if version or board is None else release_of(board)
    installed = "1.7" if against.rtx else ".".join(map(str, against.number))
    for capability in () if board is None else board.capabilities:
        check_capability(installed, capability, rtx=against.rtx)
    flat = inlined(model)
    case = Case(model, flat, facts_of(flat), against, board)
    return Diagnosis(against.title, tuple(found for check in _CHECKS for found in check(case)))
