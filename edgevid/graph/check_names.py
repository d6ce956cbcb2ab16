"""Names in an ONNX file: of operations, of values, and that each value is computed before it is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import onnx

from edgevid.errors import GraphError

__all__ = ["check_names", "check_values", "subgraphs"]

_OURS = ("", "ai.onnx")


def subgraphs(nodes: Iterable[onnx.NodeProto]) -> Iterable[onnx.GraphProto]:
    """The graphs in the attributes of ``nodes``, not those within these."""
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield attribute.g
            yield from attribute.graphs


def check_names(proto: onnx.ModelProto, path: Path) -> None:
    """Refuse foreign operations, doubled names, and values that nothing computes.

    Raises:
        GraphError: naming the operation or value.
    """
    functions = {(function.domain, function.name) for function in proto.functions}
    _check_domains(proto.graph.node, functions, path)
    for function in proto.functions:
        _check_domains(function.node, functions, path)
    check_values(proto, path)


def check_values(proto: onnx.ModelProto, path: Path) -> None:
    """Refuse doubled names, and values that nothing computes, or only later.

    Raises:
        GraphError: naming the operation or value.
    """
    for function in proto.functions:
        _check_order(function.node, set(function.input), function.output, f"{path}: {function.name}")
    _check_graph(proto.graph, frozenset(), path)


def _check_domains(nodes: Iterable[onnx.NodeProto], functions: set[tuple[str, str]], path: Path) -> None:
    foreign = set()
    pending = list(nodes)
    while pending:
        node = pending.pop()
        if node.domain not in _OURS and (node.domain, node.op_type) not in functions:
            foreign.add(f"{node.domain}::{node.op_type}")
        pending += [inner for graph in subgraphs([node]) for inner in graph.node]
    if foreign:
        shown = ", ".join(sorted(foreign)[:6]) + (" and more" if len(foreign) > 6 else "")
        raise GraphError(
            f"operations that are not ONNX's own: {shown}",
            where=path,
            fix="export it again without runtime-specific optimizations or plugins",
        )


def _check_graph(graph: onnx.GraphProto, outer: frozenset[str], where: object) -> None:
    known = set(outer)
    inputs = [value.name for value in graph.input]
    weights = [tensor.name for tensor in graph.initializer]
    if graph.sparse_initializer:
        raise GraphError("it holds sparse weights", where=where, fix="export it with dense weights")
    # Up to IR version 3 a weight is an input as well.
    for names, kind in ((inputs, "inputs"), (weights, "weights")):
        doubled = sorted(name for name, times in Counter(names).items() if times > 1 or not name)
        if doubled:
            raise GraphError(f"two {kind} are named {doubled[0]!r}", where=where, fix="export it again")
        known.update(names)
    _check_order(graph.node, known, [value.name for value in graph.output], where)


def _check_order(
    nodes: Iterable[onnx.NodeProto], known: set[str], outputs: Iterable[str], where: object
) -> None:
    nodes = list(nodes)
    everything = {name for node in nodes for name in node.output}
    for node in nodes:
        here = f"{where}: {node.op_type} {node.name or '(without a name)'}"
        for name in node.input:
            if name and name not in known:
                late = "that is computed only later: the graph is unsorted, or has a cycle"
                reason = late if name in everything else "that nothing computes"
                raise GraphError(f"it takes {name!r}, {reason}", where=here, fix="export it again")
        _check_strings(node, here)
        for graph in subgraphs([node]):
            _check_graph(graph, frozenset(known), here)
        for name in node.output:
            if name and name in known:
                raise GraphError(f"a second value is named {name!r}", where=here, fix="export it again")
            known.add(name)
    missing = [name for name in outputs if name not in known]
    if missing:
        raise GraphError(
            f"nothing computes the output {missing[0]!r}", where=where, fix="export it again with its outputs"
        )


def _check_strings(node: onnx.NodeProto, where: str) -> None:
    texts = {attribute.name: (attribute.s, *attribute.strings) for attribute in node.attribute}
    try:
        for name in texts:
            b"".join(texts[name]).decode()
    except UnicodeDecodeError as error:
        raise GraphError(f"its attribute {name} is no text", where=where, fix="export it again") from error
