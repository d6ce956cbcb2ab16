"""The version that a graph is checked against."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgevid.targets.tensorrt.boards import Board
from edgevid.targets.tensorrt.versions import RTX, Version, version

__all__ = ["FIRST", "LAST", "Number", "Release", "release", "release_of"]

Number = tuple[int, int]
FIRST: Number = (7, 1)
LAST: Number = (99, 0)

_PARSER_OF_RTX: Number = (11, 0)
"""TensorRT for RTX 1.7 reads ONNX with the parser of TensorRT 11."""

_FORMATS: tuple[tuple[Number, int], ...] = (
    (FIRST, 6),
    ((8, 0), 7),
    ((8, 5), 8),
    ((10, 0), 10),
    ((11, 0), 13),
)


@dataclass(frozen=True)
class Release:
    """A version as the tables compare it.

    Attributes:
        title: for people.
        number: major and minor of the ONNX parser.
        known: what is known of it.
    """

    title: str
    number: Number
    known: Version

    @property
    def rtx(self) -> bool:
        """It is TensorRT for RTX."""
        return self.known.name == RTX

    @property
    def ir_version(self) -> int:
        """The newest format of ONNX files that its parser was built with.

        Source: onnx-tensorrt, docs/Changelog.md: ONNX 1.6 at 7.1, 1.8 at 8.0, 1.12 at 8.4.2, 1.16 at 10.0;
        TensorRT 11.x, ONNX Opset Guide: 1.20. Their ``onnx.proto`` give the format.
        """
        return [newest for since, newest in _FORMATS if since <= self.number][-1]

    def within(self, since: Number, until: Number) -> bool:
        """From ``since``, and before ``until``."""
        return since <= self.number < until


def release(installed: str) -> Release:
    """The version of that name: ``8.2.1``, or for TensorRT for RTX ``RTX`` or ``1.7``.

    Raises:
        TargetError: an older or newer one than those known.
    """
    name = installed.strip().lower().removeprefix("tensorrt").strip()
    if re.match(r"rtx|1(\.|$)", name):
        number = name.removeprefix("rtx").strip(" -") or "1.7"
        return Release(f"TensorRT for RTX {number}", _PARSER_OF_RTX, version(number, rtx=True))
    known = version(name)
    major, minor, *_ = [*re.findall(r"\d+", name), "0"]
    return Release(f"TensorRT {name}", (int(major), int(minor)), known)


def release_of(board: Board) -> Release:
    """The newest to be found on a board."""
    return release(board.stacks[0].tensorrt)
