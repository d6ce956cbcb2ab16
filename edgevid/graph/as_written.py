"""ONNX files as they are: nothing inlined, folded or made newer, so that what is wrong can be named."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import onnx_ir as ir
from onnx_ir.passes import common as passes

from edgevid.errors import GraphError
from edgevid.graph.check_functions import check_functions
from edgevid.graph.check_names import check_values
from edgevid.graph.check_tensors import check_tensors
from edgevid.graph.infer_node import infer_node
from edgevid.graph.place import PATH, place, reason
from edgevid.graph.read_onnx import parse
from edgevid.graph.without_weights import DAMAGED

__all__ = ["inlined", "read_as_written"]


def read_as_written(path: str | Path) -> ir.Model:
    """The graph in a file, with constants as initializers and the shapes and types that follow.

    Nothing is asked of its opset and its operators.

    Raises:
        GraphError: there is no such file; it is no ONNX, or damaged; its weights are missing or do not fit
            their shapes; a value is computed by nothing, or twice; a function calls itself.
    """
    path = Path(path)
    proto = parse(path)
    check_values(proto, path)
    check_tensors(proto, path)
    check_functions(proto, path)
    try:
        model = ir.serde.deserialize_model(proto)
        ir.external_data.set_base_dir(model.graph, path.parent)
        if "ai.onnx" in model.opset_imports:  # another name of the same
            model.opset_imports[""] = model.opset_imports.pop("ai.onnx")
        passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    except (*DAMAGED, OSError) as error:
        raise GraphError(
            f"not a valid graph: {reason(error)}", where=path, fix="copy or export it again"
        ) from error
    model.meta[PATH] = path
    _infer(model.graph, model.opset_imports)
    return model


def inlined(model: ir.Model) -> ir.Model:
    """The graph with the bodies of its functions in the places of their calls.

    Args:
        model: not changed; returned as it is if it has no functions.

    Raises:
        GraphError: a function contradicts its call.
    """
    if not model.functions:
        return model
    try:
        flat = model.clone()
        passes.InlinePass()(flat)
        passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(flat)
    except DAMAGED as error:
        raise GraphError(
            f"its functions cannot be inlined: {reason(error)}", where=place(model), fix="export it again"
        ) from error
    _infer(flat.graph, flat.opset_imports)
    return flat


def _infer(nodes: Iterable[ir.Node], opsets: dict[str, int]) -> None:
    """Give values the shapes and types that can be known."""
    for node in nodes:
        bodies = [x.as_graph() for x in node.attributes.values() if x.type is ir.AttributeType.GRAPH]
        for body in bodies:
            _infer(body, opsets)
        if node.domain == "" and not bodies and "" in opsets:
            try:
                infer_node(node, opsets)
            except (GraphError, *DAMAGED):
                # What stays unknown is not checked; the rest can be.
                continue
