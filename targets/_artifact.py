"""What an artifact is made of, read from the lowered graph and the options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgevid.contract import Artifact, CompileOptions, Streaming, TensorSpec
from edgevid.errors import TargetError

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["VALID", "describe"]

VALID = "valid"
"""The input of a streaming graph that says which of its gates are open."""


def describe(target: str, entry: str, graph: ir.Model, options: CompileOptions) -> Artifact:
    """The artifact that ``target`` is about to write as ``entry`` into ``options.folder``.

    Raises:
        TargetError: the graph has no single input and output, beside those of ``options.streaming``, that
            are static, but for the batch where ``options.batches`` are several, or is not the int8 graph
            that the options speak of.
    """
    if options.precision == "int8" and all(node.op_type != "QuantizeLinear" for node in graph.graph):
        raise TargetError(
            "an int8 artifact of a graph with no quantized tensor",
            where=graph.graph.name,
            fix="quantize it first: edgevid compile --precision int8 --calibration VIDEOS",
        )
    inputs: Sequence[ir.Value] = graph.graph.inputs
    outputs: Sequence[ir.Value] = graph.graph.outputs
    if options.streaming is not None:
        inputs, outputs = _without_caches(inputs, outputs, options.streaming)
    return Artifact(
        target=target,
        folder=options.folder,
        entry=entry,
        precision=options.precision,
        batch=options.batch,
        lowering=options.lowering,
        input=_only(inputs, "input", options),
        output=_only(outputs, "output", options),
        settings=options.settings,
        streaming=options.streaming,
    )


def _without_caches(
    inputs: Sequence[ir.Value], outputs: Sequence[ir.Value], streaming: Streaming
) -> tuple[Sequence[ir.Value], Sequence[ir.Value]]:
    """What is left of the inputs and outputs: the frame and its logits."""
    taken = [*([VALID] if streaming.gates else []), *(cache.name for cache in streaming.caches)]
    given = [cache.next for cache in streaming.caches]
    if [value.name for value in inputs[1:]] != taken or [value.name for value in outputs[1:]] != given:
        raise TargetError(
            f"the graph does not take {', '.join(taken) or 'nothing'} beside the frame and return "
            f"{', '.join(given) or 'nothing'} beside its logits",
            where=inputs[0].name if inputs else "",
            fix="give the graph and the description that stream_graph() made together",
        )
    return inputs[:1], outputs[:1]


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
