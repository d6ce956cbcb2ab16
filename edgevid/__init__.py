"""edgevid compiles shift-augmented video networks for edge devices, and proves that they still are right.

The three names a user needs are here; they load on first use, so that ``import edgevid`` stays fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgevid.bundle import Bundle
    from edgevid.compiler import compile_checkpoint
    from edgevid.shift import ShiftSpec

__version__ = "0.1.0"
__all__ = ["Bundle", "ShiftSpec", "__version__", "compile_checkpoint"]

_HOMES = {
    "Bundle": "edgevid.bundle",
    "ShiftSpec": "edgevid.shift",
    "compile_checkpoint": "edgevid.compiler",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'edgevid' has no attribute {name!r}")
