"""Which inputs are quantized where some layers stay in float.

An addition or a mean between layers in float gains nothing by int8, and would lose what its range cuts.
"""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir

from edgevid.calibration.points import Edge, edges, is_layer

__all__ = ["selected"]


def selected(
    graph: ir.Model, float_layers: Collection[str] = (), only: Collection[str] | None = None
) -> list[Edge]:
    """Inputs that are quantized, in the order of the graph.

    Args:
        graph: canonical.
        float_layers: names of layers whose inputs are not; additions, maxima and means stay in
            float too unless a layer in int8 is next to them.
        only: names of operations; where given, the inputs of no others are.
    """
    found = list(edges(graph))
    if only is None:
        stops = {edge.node for edge in found if edge.node.op_type != "MaxPool"}
        int8 = {node for node in stops if is_layer(node) and node.name not in float_layers}
        others = {edge.node for edge in found if not is_layer(edge.node)}
        chosen = int8 | {node for node in others if _beside(node, stops) & int8}
    else:
        chosen = {edge.node for edge in found if edge.node.name in only}
    # A maximum before a layer is quantized with it: they choose from the same numbers.
    read = {edge.source for edge in found if edge.node in chosen and is_layer(edge.node)}
    return [
        edge
        for edge in found
        if edge.node in chosen or (edge.node.op_type == "MaxPool" and edge.source in read)
    ]


def _beside(node: ir.Node, stops: Collection[ir.Node]) -> set[ir.Node]:
    """The nearest of ``stops`` before and behind an operation."""
    found: set[ir.Node] = set()
    for behind in (False, True):
        waiting, seen = [node], {node}
        while waiting:
            for each in _next(waiting.pop(), behind):
                if each in stops:
                    found.add(each)
                elif each not in seen:
                    seen.add(each)
                    waiting.append(each)
    return found


def _next(node: ir.Node, behind: bool) -> list[ir.Node]:
    if behind:
        return [use.node for value in node.outputs for use in value.uses()]
    made = [value.producer() for value in node.inputs if value is not None]
    return [each for each in made if each is not None]
