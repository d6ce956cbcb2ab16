"""Apache TVM for CPUs: ARM boards, and x86 hosts. Kernels are edgevid's own, written as TIR."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgevid.targets.tvm._target import TvmTarget

__all__ = ["target"]


def target() -> TvmTarget:
    """The target of this package."""
    from edgevid.targets.tvm._target import TvmTarget

    return TvmTarget()
