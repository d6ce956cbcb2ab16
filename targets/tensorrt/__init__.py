"""NVIDIA GPUs by TensorRT: RTX engines built on any machine, server engines on theirs, folders for boards."""

from __future__ import annotations

from edgevid.targets.tensorrt._target import TensorRtTarget

__all__ = ["TensorRtTarget", "target"]


def target() -> TensorRtTarget:
    """The target of this package."""
    return TensorRtTarget()
