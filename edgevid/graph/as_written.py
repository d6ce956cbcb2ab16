"""ONNX files as they are: nothing inlined, folded or made newer, so that what is wrong can be named."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir
from onnx_ir.passes import common as passes

from edgevid.errors import GraphError
from edgevid.graph.check_tensors import check_tensors
from edgevid.graph.infer_node import infer_node
from edgevid.graph.place import PATH, reason
from edgevid.graph.read_onnx import parse
from edgevid.graph.without_weights import DAMAGED

__all__ = ["read_as_written"]


def read_as_written(path: str | Path) -> ir.Model:
    """The graph in a file, with constants as initializers and the shapes and types that follow.

    Nothing is asked of its opset, its operators and its names.

    Raises:
        GraphError: there is no such file; it is no ONNX, or damaged; its weights are missing or do not fit
            their shapes.
    """
    path = Path(path)
    proto = parse(path)
    check_tensors(proto, path)
    try:
        model = ir.serde.deserialize_model(proto)
        ir.external_data.set_base_dir(model.graph, path.parent)
        passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    except (*DAMAGED, OSError) as error:
        raise GraphError(
            f"not a valid graph: {reason(error)}", where=path, fix="copy or export it again"
        ) from error
    model.meta[PATH] = path
    _infer(model)
    return model


def _infer(model: ir.Model) -> None:
    """Give values the shapes and types that can be known."""
    opsets = dict(model.opset_imports)
    for node in model.graph:
        branches = any(each.type is ir.AttributeType.GRAPH for each in node.attributes.values())
        if node.domain == "" and not branches and "" in opsets:
            try:
                infer_node(node, opsets)
            except (GraphError, *DAMAGED):
                # What stays unknown is not checked; the rest can be.
                continue
