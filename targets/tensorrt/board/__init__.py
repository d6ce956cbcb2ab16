"""What is written for a board: a folder that it builds its own engine from."""

from __future__ import annotations

from edgevid.targets.tensorrt.board.write import write_board

__all__ = ["write_board"]
