"""Checkpoints of published layouts: recognised by their keys, renamed, loaded strictly.

Importing this package imports torch.
"""

from __future__ import annotations

from edgevid.checkpoints.checkpoint import Checkpoint
from edgevid.checkpoints.native import write
from edgevid.checkpoints.reader import read

__all__ = ["Checkpoint", "read", "write"]
