"""What an artifact is made of, read from the lowered graph and the options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgevid.contract import Artifact, CompileOptions, TensorSpec
from edgevid.errors import TargetError

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["describe", "input_spec", "output_spec"]


def describe(target: str, entry: str, graph: ir.Model, options: CompileOptions) -> Artifact:
    """The artifact that ``target`` is about to write as ``entry`` into ``options.folder``.

    Raises:
        TargetError: the graph has no single, static input and output, or is not the int8 graph
            that the options speak of.
    """
    if options.precision == "int8" and all(node.op_type != "QuantizeLinear" for node in graph.graph):
        raise TargetError(
            "an int8 artifact of a graph with no quantized tensor",
            where=graph.graph.name,
            fix="quantize it first: edgevid compile --precision int8 --calibration VIDEOS",
        )
    return Artifact(
        target=target,
        folder=options.folder,
        entry=entry,
        precision=options.precision,
        batch=options.batch,
        lowering=options.lowering,
        input=input_spec(graph),
        output=output_spec(graph),
        settings=options.settings,
    )


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
