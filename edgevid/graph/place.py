"""Where something is in a foreign graph, and what a library says against it, in words."""

from __future__ import annotations

import onnx_ir as ir

__all__ = ["PATH", "place", "reason"]

PATH = "edgevid.path"
"""Of `ir.Model.meta`: the file that a graph was read from."""


def place(model: ir.Model, node: ir.Node | str | None = None) -> str:
    """The file, where it is known, and the node: ``net.onnx: Conv 'conv1'``."""
    title = node if isinstance(node, str | None) else f"{node.op_type} {node.name or '(without a name)'}"
    parts = (model.meta.get(PATH), title)
    return ": ".join(str(part) for part in parts if part is not None)


def reason(error: BaseException) -> str:
    """The innermost cause, which libraries wrap in several layers, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]
