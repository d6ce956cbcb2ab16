"""Where something is in a foreign graph, in words."""

from __future__ import annotations

import onnx_ir as ir

__all__ = ["PATH", "place"]

PATH = "edgevid.path"
"""Of `ir.Model.meta`: the file that a graph was read from."""


def place(model: ir.Model, node: ir.Node | str | None = None) -> str:
    """The file, where it is known, and the node: ``net.onnx: Conv 'conv1'``."""
    title = node if isinstance(node, str | None) else f"{node.op_type} {node.name or '(without a name)'}"
    parts = (model.meta.get(PATH), title)
    return ": ".join(str(part) for part in parts if part is not None)
