"""The TensorRT target: what it can do on a GPU or board, and from a canonical graph to what lies on disk."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from edgevid.contract import (
    PRECISIONS,
    Artifact,
    Capability,
    CompileOptions,
    Device,
    Precision,
    RunSettings,
    Scheme,
    Session,
)
from edgevid.diagnostic import Diagnosis
from edgevid.errors import ConfigError
from edgevid.targets._artifact import describe
from edgevid.targets._schemes import SCHEMES
from edgevid.targets._session import refuse_boards
from edgevid.targets.tensorrt.boards import Board, board
from edgevid.targets.tensorrt.gpu import this_gpu
from edgevid.targets.tensorrt.here import Here, here
from edgevid.targets.tensorrt.versions import versions_of

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgevid.targets.tensorrt.vendor import Flavor

__all__ = ["TensorRtTarget", "scheme_of", "typed"]

_LOWERINGS = ("fused_slice_concat", "slice_concat", "fused_pad")
"""A shift as slices and one concat is one kernel; a pad makes two of it. Of a symbolic batch only the second
holds, and is one kernel in every profile too."""

_STREAM_LOWERINGS = ("fused_slice_concat",)
"""What a streaming graph has left of a shift is in space alone, and on the fused axis it stays in 4D."""

_FORBIDDEN = frozenset({"NonZero", "ScatterElements", "ScatterND", "edgevid::Shift"})


class TensorRtTarget:
    """RTX GPUs ahead of time, server GPUs on their host, and boards by a folder that they build from."""

    name = "tensorrt"

    def probe(self, device: Device) -> Capability:
        """Which precisions the GPU has, and what of it can be made and run here."""
        try:
            gpu = board(device.gpu)
        except ConfigError as error:
            return _capability(None, Here(False, False, f"not a GPU of this target: {error.what}", ""))
        return _capability(gpu, here(gpu))

    def default_lowering(self, graph: ir.Model, device: Device, precision: Precision, batch: int) -> str:
        """Slices and one concat on the fused axis."""
        return _LOWERINGS[0]

    def compile(self, graph: ir.Model, options: CompileOptions) -> Artifact:
        """Build an engine, or for a board the folder that it builds one from.

        Raises:
            MissingDependencyError: TensorRT is not installed.
            GraphError: the graph has no form in this precision or opset, or the parser refuses it.
            TargetError: the builder fails, or it needs a GPU that is not there.
        """
        gpu = board(options.device.gpu)
        if gpu.family == "board":
            return _board_folder(graph, options, gpu)
        return _engine(graph, options, gpu)

    def open(self, artifact: Artifact, settings: RunSettings | None = None) -> Session:
        """Open an engine on this machine's GPU.

        Raises:
            TargetError: it is for another GPU or TensorRT, or the driver is missing; nothing is loaded then.
        """
        settings = settings or artifact.settings
        refuse_boards(self.name, settings)
        if artifact.streaming is not None:
            from edgevid.targets.tensorrt.streaming_session import TensorRtStreamingSession

            return TensorRtStreamingSession(artifact, settings)
        from edgevid.targets.tensorrt.session import TensorRtSession

        return TensorRtSession(artifact, settings)

    def lint(self, graph: ir.Model, device: Device, version: str = "") -> Diagnosis:
        """What a version of TensorRT, the newest of the device by default, has against a graph.

        Raises:
            TargetError: an unknown version.
        """
        from edgevid.targets.tensorrt.lint import lint

        return lint(graph, board(device.gpu), version)


def typed(graph: ir.Model, precision: Precision, flavor: Flavor) -> ir.Model:
    """A lowered graph whose types are those to compute in: what strongly typed networks are made from.

    What int8 leaves in float, as depthwise convolutions, is computed in float16.

    Raises:
        GraphError: it has no form in this precision.
    """
    from edgevid.targets.tensorrt.channels_last import with_channels_last
    from edgevid.targets.tensorrt.common_scale import with_common_scales
    from edgevid.targets.tensorrt.float_moves import with_float_moves
    from edgevid.targets.tensorrt.four_channels import with_four_channels
    from edgevid.targets.tensorrt.frames import cast_first
    from edgevid.targets.tensorrt.half import as_half
    from edgevid.targets.tensorrt.integer_caches import with_integer_caches
    from edgevid.targets.tensorrt.segment_mean import merge_segment_mean

    floats = with_channels_last(merge_segment_mean(cast_first(graph)))
    if precision == "int8":
        floats = with_integer_caches(with_float_moves(with_four_channels(floats)))
    if precision == "int8" and flavor == "tensorrt_rtx":
        return as_half(with_common_scales(floats))
    # Where full TensorRT has all convolutions in int8, it rounds what they give at once.
    return as_half(floats) if precision == "fp16" or _has_float_convolution(floats, precision) else floats


def _has_float_convolution(graph: ir.Model, precision: Precision) -> bool:
    """Is there one in an int8 graph?"""
    convolutions = [node for node in graph.graph if node.op_type == "Conv"]
    makers = [node.inputs[0].producer() for node in convolutions if node.inputs[0] is not None]
    return precision == "int8" and any(
        maker is None or maker.op_type != "DequantizeLinear" for maker in makers
    )


def scheme_of(gpu: Board) -> Scheme:
    """How int8 graphs are written for it."""
    scheme = SCHEMES["tensorrt"]
    if gpu.family == "rtx":
        # It expands a depthwise convolution in int8 to a dense one.
        return replace(scheme, depthwise="float")
    if gpu.family == "board":
        # A calibration cache wants the range of all that a layer computes, else the layer stays in float.
        return replace(scheme, add_inputs="both")
    return scheme


def _capability(gpu: Board | None, found: Here) -> Capability:
    precisions = gpu.precisions if gpu else ()
    engines = gpu is not None and gpu.family != "board"
    missing: dict[Precision, str] = dict.fromkeys(PRECISIONS, found.reason)
    if gpu is not None:
        missing = {kind: f"{gpu.title} has no {kind}" for kind in PRECISIONS}
        missing["bf16"] = "graphs for TensorRT are written in fp32, fp16 and int8"
        missing |= gpu.refused
    return Capability(
        compiles=found.compiles,
        executes=found.executes,
        reason=found.reason,
        version=found.version,
        precisions=precisions,
        missing={kind: why for kind, why in missing.items() if kind not in precisions},
        opset=min(version.opset for version in versions_of(gpu)) if gpu else 13,
        forbidden_ops=_FORBIDDEN,
        lowerings=_LOWERINGS,
        batch_lowerings=_LOWERINGS,
        stream_lowerings=_STREAM_LOWERINGS if gpu else (),
        scheme=scheme_of(gpu) if gpu and "int8" in precisions else None,
        batch_profiles=engines,
        limits_workspace=engines,
    )


def _board_folder(graph: ir.Model, options: CompileOptions, gpu: Board) -> Artifact:
    from edgevid.targets.tensorrt.board import write_board
    from edgevid.targets.tensorrt.float_moves import with_float_moves
    from edgevid.targets.tensorrt.opset13 import as_opset13

    artifact = write_board(as_opset13(with_float_moves(graph)), options, gpu)
    return replace(artifact, notes=(*artifact.notes, gpu.note)) if gpu.note else artifact


def _engine(graph: ir.Model, options: CompileOptions, gpu: Board) -> Artifact:
    import onnx_ir

    from edgevid.targets.tensorrt.build import build_plan
    from edgevid.targets.tensorrt.cache_tensors import held
    from edgevid.targets.tensorrt.engine import EngineIdentity, save_identity
    from edgevid.targets.tensorrt.example import write_engine_example
    from edgevid.targets.tensorrt.layer_report import report_of, save_report

    flavor: Flavor = "tensorrt_rtx" if gpu.family == "rtx" else "tensorrt"
    artifacts = [
        describe(TensorRtTarget.name, "model.engine", graph, replace(options, batch=batch))
        for batch in options.batches or (options.batch,)
    ]
    network = typed(graph, options.precision, flavor)
    plan = build_plan(
        onnx_ir.to_proto(network).SerializeToString(),
        flavor=flavor,
        capabilities=gpu.capabilities if flavor == "tensorrt_rtx" else (),
        workspace=options.workspace,
        batches=options.batches,
    )
    artifact = artifacts[0]
    if options.streaming is not None:
        artifacts[0] = artifact = replace(artifact, streaming=held(options.streaming, network))
    artifact.path.write_bytes(plan.data)
    only = this_gpu().name if flavor == "tensorrt" else ""
    identity = EngineIdentity(
        flavor=flavor,
        version=plan.version,
        capabilities=gpu.capabilities,
        gpu=only,
        batches=options.batches,
    )
    save_identity(identity, artifact.folder)
    write_engine_example(artifact, flavor)
    notes = []
    if any(value.dtype == onnx_ir.DataType.FLOAT16 for node in network.graph for value in node.outputs):
        notes.append(_float_note(graph))
    if options.batches:
        notes.append(f"one engine with a profile for each of batch {', '.join(map(str, options.batches))}")
    if gpu.note:
        notes.append(gpu.note)
    for profile, each in enumerate(artifacts):
        report = report_of(plan.log, network, profile)
        save_report(report, each.folder, each.batch if options.batches else None)
        artifacts[profile] = replace(each, notes=(*report.notes(), *notes))
    return replace(artifacts[0], others=tuple(artifacts[1:]))


def _float_note(graph: ir.Model) -> str:
    """What a float16 network leaves in float32."""
    from edgevid.targets.tensorrt.half import float_nodes

    reasons = Counter(float_nodes(graph).values())
    return "operations in float32: " + (", ".join(f"{n} x {why}" for why, n in reasons.items()) or "none")
