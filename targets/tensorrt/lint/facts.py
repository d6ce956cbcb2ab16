"""What follows from a graph alone: which of its values are known when an engine is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray

__all__ = [
    "Facts",
    "array_of",
    "data_input",
    "facts_of",
    "input_of",
    "is_static",
    "rank_of",
    "title",
    "type_of",
]

_RANDOM = frozenset(
    ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli")
)
_OF_SHAPES = frozenset(("Shape", "Size"))
_DATA_AT = {"Where": 1}


@dataclass(frozen=True)
class Facts:
    """Values by how much of them is known when the engine is built.

    Attributes:
        constants: initializers, and all that follows from them and from fixed shapes alone.
        shapes: what follows from constants, shapes, and inputs that can be shapes alone.
    """

    constants: frozenset[ir.Value]
    shapes: frozenset[ir.Value]

    def is_constant(self, value: ir.Value | None) -> bool:
        """It is known, or not there."""
        return value is None or value in self.constants

    def is_data(self, value: ir.Value | None) -> bool:
        """It follows from the elements of an input."""
        return value is not None and value not in self.constants and value not in self.shapes


def facts_of(model: ir.Model) -> Facts:
    """Look at every node of a graph and of its subgraphs."""
    constants: set[ir.Value] = set()
    shapes: set[ir.Value] = set()
    for graph in model.graphs():
        constants.update(graph.initializers.values())
    shapes.update(value for value in model.graph.inputs if _may_be_shape(value))
    for node in model.graph.all_nodes():
        _learn(node, constants, shapes)
    return Facts(frozenset(constants), frozenset(shapes))


def _learn(node: ir.Node, constants: set[ir.Value], shapes: set[ir.Value]) -> None:
    """Sort the outputs of ``node``, whose inputs are sorted."""
    inputs = [value for value in node.inputs if value is not None]
    if node.op_type in _OF_SHAPES:
        known = constants if all(is_static(value) for value in inputs) else shapes
        known.update(node.outputs)
    elif node.op_type in _RANDOM or any(each.type.name == "GRAPH" for each in node.attributes.values()):
        return
    elif all(value in constants for value in inputs):
        constants.update(node.outputs)
    elif all(value in constants or value in shapes for value in inputs):
        shapes.update(node.outputs)


def _may_be_shape(value: ir.Value) -> bool:
    return type_of(value) in ("INT32", "INT64") and (rank_of(value) or 0) <= 1


def is_static(value: ir.Value) -> bool:
    """All its sizes are known."""
    return value.shape is not None and all(isinstance(size, int) for size in value.shape)


def array_of(value: ir.Value | None) -> NDArray[Any] | None:
    """The elements of an initializer or of a Constant, under another name too; None if it is neither."""
    if value is None:
        return None
    if value.const_value is not None:
        return value.const_value.numpy()
    node = value.producer()
    if node is not None and node.op_type == "Constant" and "value" in node.attributes:
        return node.attributes["value"].as_tensor().numpy()
    if node is not None and node.op_type == "Identity":
        return array_of(node.inputs[0])
    return None


def input_of(node: ir.Node, index: int) -> ir.Value | None:
    """The input at that place, if there is one."""
    return node.inputs[index] if index < len(node.inputs) else None


def data_input(node: ir.Node) -> ir.Value | None:
    """The first input whose elements are computed with."""
    return input_of(node, _DATA_AT.get(node.op_type, 0))


def type_of(value: ir.Value | None) -> str:
    """Name of its data type; empty where it is unknown."""
    return "" if value is None or value.dtype is None else value.dtype.name


def rank_of(value: ir.Value | None) -> int | None:
    """Its number of axes, where that is known."""
    return None if value is None or value.shape is None else len(value.shape)


def title(node: ir.Node) -> str:
    """``Pad 'shift1.pad'``."""
    name = node.name or (node.outputs[0].name if node.outputs else None)
    operator = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
    return f"{operator} {name!r}" if name else operator
