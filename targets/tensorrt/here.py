"""What of a GPU's or a board's artifacts can be made on this machine, and what can be run."""

from __future__ import annotations

from dataclasses import dataclass

from edgevid.errors import EdgevidError, TargetError
from edgevid.targets._install import installed_version
from edgevid.targets.tensorrt.boards import Board
from edgevid.targets.tensorrt.gpu import WITHOUT_GPU, this_gpu
from edgevid.targets.tensorrt.versions import check_capability, version

__all__ = ["Here", "here"]

_INSTALL = "pip install 'edgevid[tensorrt]'"
_FULL = ("tensorrt", "tensorrt-cu13", "tensorrt-cu12", "tensorrt-cu11")
"""Distributions of the module ``tensorrt``."""


@dataclass(frozen=True)
class Here:
    """What this machine can do.

    Attributes:
        compiles: artifacts can be made.
        executes: they can be run.
        reason: why not, with the way out; empty when both hold.
        version: of the TensorRT that artifacts are made by, or for a board made for; empty without one.
    """

    compiles: bool
    executes: bool
    reason: str
    version: str


def here(board: Board) -> Here:
    """What can be made and run here for ``board``; raises nothing."""
    if board.family == "board":
        return Here(
            True,
            False,
            "compile only: the bundle's build_engine.py builds and runs it there",
            board.stacks[0].tensorrt,
        )
    if board.family == "rtx":
        return _rtx(board)
    return _server(board)


def _rtx(board: Board) -> Here:
    installed = installed_version("tensorrt-rtx")
    if not installed:
        return Here(False, False, f"tensorrt-rtx is not installed: {_INSTALL}", "")
    told = f"RTX {installed}"
    try:
        version(installed, rtx=True)
    except TargetError as error:
        return Here(False, False, _sentence(error), told)
    missing = _missing_gpu(board)
    return Here(True, not missing, f"compile only: {missing}" if missing else "", told)


def _server(board: Board) -> Here:
    installed = next(filter(None, map(installed_version, _FULL)), "")
    if not installed:
        return Here(
            False,
            False,
            f"TensorRT is not installed: {_INSTALL} and pip install tensorrt; {WITHOUT_GPU}",
            "",
        )
    try:
        if not version(installed).typed:
            raise TargetError(
                f"TensorRT {installed} is too old for typed networks", fix="install TensorRT 10 or 11"
            )
        check_capability(installed, board.capabilities[0])
    except TargetError as error:
        return Here(False, False, _sentence(error), installed)
    if missing := _missing_gpu(board):
        return Here(False, False, f"{missing}; {WITHOUT_GPU}", installed)
    return Here(True, True, "", installed)


def _missing_gpu(board: Board) -> str:
    """Why engines for it cannot be run here; empty if they can."""
    try:
        gpu = this_gpu()
    except TargetError as error:
        return error.what
    if gpu.capability not in board.capabilities:
        wanted = " or ".join(board.capabilities)
        return f"this {gpu.name} has compute capability {gpu.capability}, {board.title} has {wanted}"
    if not installed_version("cuda-bindings"):
        return f"cuda-bindings is not installed: {_INSTALL}"
    return ""


def _sentence(error: EdgevidError) -> str:
    return f"{error.what}: {error.fix}" if error.fix else error.what
