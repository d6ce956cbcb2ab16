"""The journey from a checkpoint or a foreign ONNX file to a verified bundle.

open the source → its canonical graph → choose golden data → for each batch: lower, compile,
verify → seal. Every step is a function of another module; here they are put in order.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import edgevid
from edgevid import targets
from edgevid.bundle import Bundle, check_place, new_bundle, save_expectation, seal, sha256
from edgevid.contract import Artifact, CompileOptions, RunSettings, Session
from edgevid.errors import ConfigError, LoweringError
from edgevid.graph.verify import Expectation, Verification, verify
from edgevid.int8 import (
    TABLE,
    Int8,
    kept_in_float,
    layer_records,
    quantization_record,
    quantized,
    same_as_graph,
    table_for,
)
from edgevid.manifest import (
    ArtifactRecord,
    CheckRecord,
    LayerRecord,
    Manifest,
    QuantizationRecord,
    ReferenceRecord,
    SettingRecord,
    ShiftRecord,
    Status,
)
from edgevid.plan import Plan, plan
from edgevid.source import Say, Source, open_source
from edgevid.targets import onnxruntime as reference_target
from edgevid.targets._profiles import device as find_device

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgevid.calibration.table import Table
    from edgevid.checkpoints import Checkpoint

__all__ = ["compile_checkpoint"]

NO_SHIFT = "none"
"""Stands where the lowering would, for a network without a shift."""


def compile_checkpoint(
    checkpoint: str | os.PathLike[str] | Checkpoint,
    output: str | os.PathLike[str],
    *,
    device: str = "host",
    precision: str = "fp32",
    lowering: str = "auto",
    batches: Sequence[int] = (1,),
    settings: RunSettings | None = None,
    int8: Int8 | None = None,
    say: Say = lambda _: None,
    **flags: Any,
) -> Bundle:
    """Compile a checkpoint or an ONNX file for a device and prove the result.

    Args:
        checkpoint: a file of any layout that `edgevid.checkpoints` knows, one read already, or
            an ONNX file of any exporter.
        output: where the bundle goes; an older bundle there is replaced in one step.
        device: a profile's name, see ``edgevid devices``.
        precision: fp32, bf16, fp16 or int8, as the device has it.
        lowering: of the shift, or ``auto`` for the device's default.
        batches: one artifact for each.
        settings: threads, streams and hint that are written into the bundle.
        int8: what int8 needs: clips to calibrate with, or a table of ranges.
        say: is told each step.
        flags: what the file does not say, as for `edgevid.checkpoints.read` or, of an ONNX file,
            for `edgevid.foreign.read_foreign`.

    Returns:
        The opened bundle.

    Raises:
        EdgevidError: of the step that failed; nothing is written then.
    """
    place = Path(output).expanduser().absolute()
    check_place(place)
    request = plan(device, precision, lowering=lowering, batches=batches, settings=settings, int8=int8)
    source = open_source(checkpoint, say=say, **flags)
    if source.batch is not None and set(request.batches) != {source.batch}:
        raise ConfigError(
            f"the file is fixed to a batch of {source.batch}",
            where=f"{source.path}, --batch {','.join(map(str, request.batches))}",
            fix=f"compile --batch {source.batch}, or export the network with a dynamic batch",
        )
    with new_bundle(place) as draft:
        _fill(draft, source, request, say)
        say("checking the bundle's files")
        Bundle.open(draft)
    return Bundle.open(place)


def _fill(draft: Path, source: Source, request: Plan, say: Say) -> None:
    from edgevid.graph.golden import choose_golden
    from edgevid.graph.prelude import with_uint8_clips

    graph = with_uint8_clips(source.graph(1), source.normalization)
    say("running the float32 reference and its negative controls")
    golden = choose_golden(graph, _open_reference, request.precision)
    names = [save_expectation(draft, part) for part in golden.expectations]
    table = _ranges(draft, graph, source, request, say)
    quantization = _quantization(graph, request, table)
    records = []
    for batch in request.batches:
        if batch > 1:
            graph = with_uint8_clips(source.graph(batch), source.normalization)
        records.append(_compile_batch(draft, graph, batch, request, golden.expectations, table, say))
    seal(
        draft,
        _manifest(
            source,
            request,
            status=_status(request),
            shifts=[
                ShiftRecord(
                    name=name, segments=spec.segments, layout=spec.layout.value, moves=list(spec.flat)
                )
                for name, spec in source.shifts
            ],
            artifacts=records,
            golden=names,
            quantization=quantization,
            reference=ReferenceRecord(
                runtime=f"onnxruntime {reference_target.target().probe(request.device).version}",
                shift_removed=golden.removed,
                shift_swapped=golden.swapped,
            ),
        ),
    )


def _status(request: Plan) -> Status:
    if not request.capability.executes:
        return "compiled, not executed"
    if request.device.simulates:
        return "simulated"
    return "verified on the device" if request.device.is_this_machine else "compiled, not measured"


def _ranges(draft: Path, graph: ir.Model, source: Source, request: Plan, say: Say) -> Table | None:
    """The ranges that int8 needs, kept in the bundle too."""
    if request.int8 is None:
        return None
    from edgevid.calibration.table import save_table

    say("finding the ranges of the network's tensors")
    table = table_for(request.int8, graph, source)
    save_table(table, draft / TABLE)
    return table


def _quantization(graph: ir.Model, request: Plan, table: Table | None) -> QuantizationRecord | None:
    scheme = request.capability.scheme
    if request.int8 is None or table is None or scheme is None:
        return None
    return quantization_record(table, scheme, kept_in_float(graph, request.int8))


def _compile_batch(
    draft: Path,
    graph: ir.Model,
    batch: int,
    request: Plan,
    expected: Sequence[Expectation],
    table: Table | None,
    say: Say,
) -> ArtifactRecord:
    runtime = targets.find(request.device.target)
    kept: Mapping[str, str] = {}
    if table is not None and request.int8 is not None and request.capability.scheme is not None:
        kept = kept_in_float(graph, request.int8)
        graph = quantized(graph, table, request.capability.scheme, kept)
    name, lowered = _lowered(graph, batch, request)
    say(f"compiling batch {batch} for {request.device.name}, {request.precision}, lowering {name}")
    folder = draft / "artifacts" / f"batch{batch}"
    folder.mkdir(parents=True)
    options = CompileOptions(
        device=request.device,
        folder=folder,
        precision=request.precision,
        batch=batch,
        lowering=name,
        settings=request.settings,
    )
    artifact = runtime.compile(lowered, options)
    checks: tuple[CheckRecord, ...] = ()
    layers: list[LayerRecord] = []
    if request.capability.executes:
        say(f"verifying batch {batch}")
        with runtime.open(artifact) as session:
            result = verify(session, expected, request.precision)
            if table is not None:
                same = same_as_graph(session, graph, expected, partial(_open_reference, batch=batch))
                result = replace(result, checks=(*result.checks, same))
                layers = layer_records(session.layers(), kept)
        result.raise_if_failed(f"{request.device.name}, batch {batch}, lowering {name}")
        checks = check_records(result)
    return ArtifactRecord(
        folder=folder.relative_to(draft).as_posix(),
        entry=artifact.entry,
        batch=batch,
        lowering=name,
        input=artifact.input,
        output=artifact.output,
        checks=list(checks),
        layers=layers,
    )


def _lowered(graph: ir.Model, batch: int, request: Plan) -> tuple[str, ir.Model]:
    """The name and result of the lowering that was asked for, or of the target's first that holds."""
    from edgevid.graph.lower import lower
    from edgevid.graph.shift_op import shift_nodes

    if not shift_nodes(graph):
        return NO_SHIFT, graph
    if request.lowering != "auto":
        return request.lowering, lower(graph, request.lowering)
    runtime = targets.find(request.device.target)
    offered = request.capability.lowerings if batch == 1 else request.capability.batch_lowerings
    first = runtime.default_lowering(graph, request.device, request.precision, batch)
    for name in dict.fromkeys((first, *offered)):
        with suppress(LoweringError):
            return name, lower(graph, name)
    return first, lower(graph, first)


def check_records(result: Verification) -> tuple[CheckRecord, ...]:
    """A verification as the manifest keeps it."""
    return tuple(CheckRecord(name=c.name, passed=c.passed, detail=c.detail) for c in result.checks)


def _open_reference(graph: ir.Model, batch: int = 1) -> Session:
    """A canonical graph in ONNX Runtime; its file is gone again as soon as it is loaded.

    One in int8 is run operation by operation.
    """
    reference = reference_target.target()
    quantizes = any(node.op_type == "QuantizeLinear" for node in graph.graph)
    with tempfile.TemporaryDirectory(prefix="edgevid-") as folder:
        options = CompileOptions(
            device=find_device("reference"),
            folder=Path(folder),
            lowering="function",
            batch=batch,
            precision="int8" if quantizes else "fp32",
        )
        artifact: Artifact = reference.compile(graph, options)
        return reference.open(artifact)


def _manifest(source: Source, request: Plan, **found: Any) -> Manifest:
    notes = [reason for kind, reason in request.device.emulated.items() if kind == request.precision]
    if request.device.note:
        notes.append(request.device.note)
    return Manifest(
        edgevid=edgevid.__version__,
        source=source.path.name,
        source_sha256=sha256(source.path),
        layout=source.layout,
        network=dict(source.network),
        parameters=source.parameters,
        macs=source.macs,
        labels=list(source.labels) if source.labels else None,
        normalization=source.normalization,
        sampling=source.sampling,
        provenance={
            name: SettingRecord(value=str(setting.value), source=setting.source)
            for name, setting in source.settings.items()
        },
        device=request.device.name,
        device_title=request.device.title,
        target=request.device.target,
        runtime=f"{request.device.target} {request.capability.version}",
        precision=request.precision,
        settings=request.settings,
        simulates=request.device.simulates,
        notes=[*source.notes, *notes],
        **found,
    )
