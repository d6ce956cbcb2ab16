"""What a runtime has against a graph, found by looking at the graph alone.

A target that knows more of its runtime than a `Capability` says fulfils `Linter`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from edgevid.contract import Device

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["Diagnosis", "Diagnostic", "Linter"]


@dataclass(frozen=True)
class Diagnostic:
    """One thing that a runtime has against a graph.

    Attributes:
        rule: its short name, the same in every version.
        level: an ``error`` is refused or computed wrongly; a ``warning`` works otherwise than one may think.
        node: operation and name, as ``Pad 'shift1.pad'``; empty if it is about the whole graph.
        reason: what is there and what the runtime takes.
        remedy: what the user can do about it.
        source: the document that says so.
    """

    rule: str
    level: Literal["error", "warning"]
    node: str
    reason: str
    remedy: str
    source: str


@dataclass(frozen=True)
class Diagnosis:
    """All that a runtime has against a graph.

    Attributes:
        runtime: with its version, as ``TensorRT 8.2.1``.
        diagnostics: in the order of the graph.
    """

    runtime: str
    diagnostics: tuple[Diagnostic, ...]

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """What keeps the graph from being taken."""
        return tuple(found for found in self.diagnostics if found.level == "error")


@runtime_checkable
class Linter(Protocol):
    """A target with tables of what each version of its runtime takes."""

    def lint(self, graph: ir.Model, device: Device, version: str = "") -> Diagnosis:
        """Check a graph as it is.

        Args:
            graph: of any opset; what is known of shapes and types is looked at.
            device: whose runtime it is for.
            version: of the runtime; that of the device by default.

        Raises:
            TargetError: an unknown version.
        """
