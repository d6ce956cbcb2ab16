"""The TensorRT versions that are known, and what sets them apart; every fact with its source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from edgevid.errors import TargetError
from edgevid.targets.tensorrt.boards import Board

__all__ = ["RTX", "VERSIONS", "Version", "check_capability", "version", "versions_of"]

RTX = "RTX"
"""TensorRT for RTX counts its versions by itself, from 1.0."""


@dataclass(frozen=True)
class Version:
    """What holds for a TensorRT version and the minor ones after it, up to the next entry.

    Attributes:
        name: the key in `VERSIONS`.
        typed: the graph's own types are the types of the engine; before, flags of the builder are.
        opset: the highest one that its parser reads.
        int8: what int8 is made from: a calibration ``cache``, or Q/DQ pairs in the graph (``qdq``).
        least: the lowest compute capability.
        uint8: network inputs may be uint8.
        source: the vendor's documents that say so.
    """

    name: str
    typed: bool
    opset: int
    int8: tuple[Literal["cache", "qdq"], ...]
    least: str
    uint8: bool
    source: str


_OPERATORS = "onnx/onnx-tensorrt docs/operators.md of release/{}-GA; TensorRT {} Support Matrix"

VERSIONS: Mapping[str, Version] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            Version("7.1", False, 11, ("cache",), "5.0", False, _OPERATORS.format("7.1", "7.1.3")),
            Version("8.0", False, 13, ("cache", "qdq"), "5.0", False, _OPERATORS.format("8.0", "8.0.3")),
            Version("8.2", False, 13, ("cache", "qdq"), "5.0", False, _OPERATORS.format("8.2", "8.2.5")),
            Version("8.5", False, 17, ("cache", "qdq"), "5.0", False, _OPERATORS.format("8.5", "8.5.3")),
            Version(
                "10",
                True,
                20,
                ("cache", "qdq"),
                "7.0",
                True,
                "TensorRT 10.0.1 Release Notes; 10.1.0 Support Matrix (compute capability 7.0 or higher)",
            ),
            # Within 10: opset 24 from 10.13; Volta (7.0) was removed by 10.5. The entry is 10.0's.
            Version(
                "11",
                True,
                24,
                ("qdq",),
                "7.5",
                True,
                "TensorRT 11.0 Release Notes (weak typing and calibrators removed); 10.5.0 Release Notes "
                "(compute capability 7.0 removed)",
            ),
            Version(
                RTX, True, 22, ("qdq",), "7.5", True, "TensorRT for RTX 1.x Support Matrix and operator list"
            ),
        )
    }
)


def version(installed: str, *, rtx: bool = False) -> Version:
    """What is known of an installed version, as ``8.2.1.9``.

    Args:
        installed: the version that the module or the board's release names.
        rtx: of TensorRT for RTX.

    Raises:
        TargetError: an older or newer one than those known; the message names these.
    """
    found = re.match(r"(\d+)(?:\.(\d+))?", installed)
    major, minor = (int(found[1]), int(found[2] or 0)) if found else (0, 0)
    if rtx and major == 1:
        return VERSIONS[RTX]
    if not rtx:
        older = [
            each
            for each in VERSIONS.values()
            if each.name != RTX and _number(each.name)[0] == major and _number(each.name) <= (major, minor)
        ]
        if older:
            return max(older, key=lambda each: _number(each.name))
    kind = "TensorRT for RTX" if rtx else "TensorRT"
    known = "1.x" if rtx else "7.1, 7.2, 8.x, 10.x and 11.x"
    raise TargetError(
        f"{kind} {installed or 'of unknown version'} is not one of the known versions",
        where=kind,
        fix=f"install one of {known}, or a newer edgevid",
    )


def versions_of(board: Board) -> tuple[Version, ...]:
    """Those to be found on a board, the newest first, each once."""
    found = [version(stack.tensorrt, rtx=board.family == "rtx") for stack in board.stacks]
    return tuple(dict.fromkeys(found))


def check_capability(installed: str, capability: str, *, rtx: bool = False) -> None:
    """Refuse a GPU that this TensorRT does not support.

    Raises:
        TargetError: its compute capability is too low.
    """
    least = version(installed, rtx=rtx).least
    if not rtx and (10, 5) <= _number(installed) < (11, 0):
        least = "7.5"  # TensorRT 10.5.0 Release Notes: Volta support removed
    if _number(capability) < _number(least):
        raise TargetError(
            f"TensorRT {installed} does not support compute capability {capability}, it needs {least}",
            where="GPU",
            fix="see 'edgevid devices' for the TensorRT versions of each GPU",
        )


def _number(text: str) -> tuple[int, int]:
    """Major and minor, as numbers that compare."""
    major, minor, *_ = [*text.split("."), "0"]
    return int(major), int(minor)
