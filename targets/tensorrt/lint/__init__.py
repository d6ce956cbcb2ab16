"""What each version of TensorRT refuses, looked up in tables: nothing of the vendor is needed."""

from __future__ import annotations

from edgevid.targets.tensorrt.lint.check import lint

__all__ = ["lint"]
