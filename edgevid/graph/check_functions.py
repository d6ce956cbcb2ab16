"""Functions in an ONNX file: that none calls itself, and that inlining them ends, and soon."""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import onnx

from edgevid.errors import GraphError
from edgevid.graph.check_names import subgraphs

__all__ = ["check_functions"]

MOST_OPERATIONS = 10**5
"""After inlining. Functions that call each other twice double them at every level."""

MOST_CALLS = 5000
"""Inlining takes seconds for so many, and four times as long for twice as many."""

_Name = tuple[str, str, str]


def check_functions(proto: onnx.ModelProto, path: Path) -> None:
    """Raise unless the functions of the file can be inlined, without inlining them.

    Raises:
        GraphError: a function calls itself, or inlining makes more than `MOST_OPERATIONS` or
            takes more than `MOST_CALLS`.
    """
    bodies = {(each.domain, each.name, each.overload): _operations(each.node) for each in proto.functions}
    called = {name: [each for each in body if each in bodies] for name, body in bodies.items()}
    made: dict[_Name, int] = {}
    calls: dict[_Name, int] = {}
    try:
        for name in TopologicalSorter(called).static_order():
            made[name] = sum(made.get(each, 1) for each in bodies[name])
            calls[name] = 1 + sum(calls[each] for each in called[name])
    except CycleError as error:
        (_, function, _), *_ = error.args[1]
        raise GraphError(
            f"its function {function} calls itself", where=path, fix="export it again"
        ) from error
    operations = _operations(proto.graph.node)
    counts = (
        (sum(made.get(each, 1) for each in operations), MOST_OPERATIONS, "operations"),
        (sum(calls.get(each, 0) for each in operations), MOST_CALLS, "calls"),
    )
    for count, most, kind in counts:
        if bodies and count > most:
            raise GraphError(
                f"its functions stand for more than {most} {kind}",
                where=path,
                fix="export it again without functions",
            )


def _operations(nodes: Iterable[onnx.NodeProto]) -> list[_Name]:
    """Domain, type and overload of all operations, those of subgraphs included."""
    found, pending = [], list(nodes)
    while pending:
        node = pending.pop()
        found.append((node.domain, node.op_type, node.overload))
        pending += [inner for graph in subgraphs([node]) for inner in graph.node]
    return found
