"""What an artifact is made of, read from the lowered graph and the options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgevid.contract import Artifact, CompileOptions, TensorSpec
from edgevid.errors import TargetError

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["describe"]


def describe(target: str, entry: str, graph: ir.Model, options: CompileOptions) -> Artifact:
    """The artifact that ``target`` is about to write as ``entry`` into ``options.folder``.

    Raises:
        TargetError: the graph has no single input and output that are static, but for the batch where
            ``options.batches`` are several, or is not the int8 graph that the options speak of.
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
        input=_only(graph.graph.inputs, "input", options),
        output=_only(graph.graph.outputs, "output", options),
        settings=options.settings,
    )


def _only(values: Sequence[ir.Value], kind: str, options: CompileOptions) -> TensorSpec:
    """Name, shape and type of the only input or output."""
    if len(values) != 1:
        raise TargetError(f"the graph has {len(values)} {kind}s, not one")
    (value,) = values
    sizes = list(value.shape or ())
    if sizes and options.batches and not isinstance(sizes[0], int):
        sizes[0] = options.batch
    shape = tuple(size for size in sizes if isinstance(size, int))
    if value.shape is None or value.dtype is None or len(shape) < len(sizes):
        raise TargetError(
            f"the {kind} has no static shape: {value.shape}",
            where=value.name,
            fix="compile for fixed batch sizes",
        )
    return TensorSpec(value.name or kind, shape, value.dtype.numpy().name)
