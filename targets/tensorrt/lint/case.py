"""A graph together with what it is checked against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgevid.diagnostic import Diagnostic
from edgevid.targets.tensorrt.boards import Board
from edgevid.targets.tensorrt.lint.facts import Facts, title
from edgevid.targets.tensorrt.lint.release import Release

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["COMPILE", "Case", "Check", "error", "warning"]

COMPILE = "give it to edgevid compile, which writes what this version takes"


@dataclass(frozen=True)
class Case:
    """What a check looks at.

    Attributes:
        written: the graph as it was given.
        model: the same with its functions inlined.
        facts: of it.
        release: of TensorRT.
        board: that it runs on, where one is named.
    """

    written: ir.Model
    model: ir.Model
    facts: Facts
    release: Release
    board: Board | None

    def nodes(self) -> Iterator[ir.Node]:
        """Those of ONNX's own operators, in subgraphs too."""
        return (node for node in self.model.graph.all_nodes() if node.domain == "")


Check = Callable[[Case], Iterator[Diagnostic]]


def error(rule: str, node: ir.Node | None, reason: str, remedy: str, source: str) -> Diagnostic:
    """Something that is refused or computed wrongly."""
    return Diagnostic(rule, "error", title(node) if node is not None else "", reason, remedy, source)


def warning(rule: str, node: ir.Node | None, reason: str, remedy: str, source: str) -> Diagnostic:
    """Something that works otherwise than one may think."""
    return Diagnostic(rule, "warning", title(node) if node is not None else "", reason, remedy, source)
