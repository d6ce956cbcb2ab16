"""The tensors at the ends of a lowered graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgevid.contract import TensorSpec
from edgevid.errors import TargetError

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["input_spec", "output_spec"]


def input_spec(graph: ir.Model) -> TensorSpec:
    """Name, shape and type of the only input."""
    return _only(graph.graph.inputs, "input")


def output_spec(graph: ir.Model) -> TensorSpec:
    """Name, shape and type of the only output."""
    return _only(graph.graph.outputs, "output")


def _only(values: Sequence[ir.Value], kind: str) -> TensorSpec:
    if len(values) != 1:
        raise TargetError(f"the graph has {len(values)} {kind}s, not one")
    (value,) = values
    if value.shape is None or value.dtype is None or not value.shape.is_static():
        raise TargetError(
            f"the {kind} has no static shape: {value.shape}",
            where=value.name,
            fix="compile for fixed batch sizes",
        )
    shape = tuple(int(size) for size in value.shape.numpy())
    return TensorSpec(value.name or kind, shape, value.dtype.numpy().name)
