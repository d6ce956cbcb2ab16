"""The vendor's Python modules: full TensorRT, and TensorRT for RTX."""

from __future__ import annotations

from typing import Any, Literal

from edgevid.errors import MissingDependencyError, TargetError
from edgevid.targets._install import require

__all__ = ["Flavor", "load_vendor"]

Flavor = Literal["tensorrt", "tensorrt_rtx"]
"""The names of the modules."""

_MAJORS = {"tensorrt": ("10", "11"), "tensorrt_rtx": ("1",)}


def load_vendor(flavor: Flavor) -> Any:
    """Import a TensorRT whose interface is known.

    Raises:
        MissingDependencyError: it is not installed.
        TargetError: it is of another generation.
    """
    module = require(flavor, "tensorrt")
    version = getattr(module, "__version__", "")
    if not version:  # any folder of that name can be imported
        raise MissingDependencyError(
            f"{flavor} is not installed: what is imported by that name is a folder",
            where=", ".join(getattr(module, "__path__", ())),
            fix=f"pip install {flavor.replace('_', '-')}",
        )
    if version.split(".")[0] not in _MAJORS[flavor]:
        raise TargetError(
            f"{flavor} {version} is unknown here",
            where=flavor,
            fix=f"install version {' or '.join(_MAJORS[flavor])}; for TensorRT 8 make a folder "
            "to build on the device, as for --device jetson-tx2",
        )
    return module
