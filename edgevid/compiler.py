"""The journey from a checkpoint or a foreign ONNX file to a verified bundle.

open the source → its canonical graph → choose golden data → for each batch: lower, compile,
verify → seal. Every step is a function of another module; here they are put in order.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import edgevid
from edgevid import targets
from edgevid.bundle import Bundle, check_place, new_bundle, save_expectation, seal, sha256
from edgevid.contract import Artifact, Capability, CompileOptions, Device, Precision, RunSettings, Session
from edgevid.errors import ConfigError, LoweringError, MissingDependencyError
from edgevid.graph.verify import Expectation, Verification, expectations, verify
from edgevid.manifest import (
    ArtifactRecord,
    CheckRecord,
    Manifest,
    ReferenceRecord,
    SettingRecord,
    ShiftRecord,
    Status,
)
from edgevid.source import Say, Source, open_source
from edgevid.targets import onnxruntime as reference_target
from edgevid.targets._profiles import device as find_device
from edgevid.targets._profiles import require_precision

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgevid.checkpoints import Checkpoint

__all__ = ["Plan", "compile_checkpoint", "plan", "verify_bundle"]

MOST_CLIPS = 1024
"""The largest batch."""

NO_SHIFT = "none"
"""Stands where the lowering would, for a network without a shift."""


@dataclass(frozen=True)
class Plan:
    """A compile request that was checked before anything slow began."""

    device: Device
    capability: Capability
    precision: Precision
    batches: tuple[int, ...]
    lowering: str
    settings: RunSettings


def plan(
    device: str = "host",
    precision: str = "fp32",
    *,
    lowering: str = "auto",
    batches: Sequence[int] = (1,),
    settings: RunSettings | None = None,
) -> Plan:
    """Check a request against the device.

    Raises:
        UnknownDeviceError, UnsupportedPrecisionError, LoweringError, ConfigError: with the
            alternatives.
        MissingDependencyError: the target cannot compile here.
    """
    found = find_device(device)
    checked = require_precision(precision, found)
    capability = targets.find(found.target).probe(found)
    if not capability.compiles:
        raise MissingDependencyError(capability.reason, where=found.name)
    if not batches or any(type(batch) is not int or not 1 <= batch <= MOST_CLIPS for batch in batches):
        raise ConfigError(
            f"batch sizes {list(batches)}",
            where="--batch",
            fix=f"give sizes from 1 to {MOST_CLIPS}, as in 1,16",
        )
    known = sorted({*capability.lowerings, *capability.batch_lowerings})
    if lowering != "auto" and lowering not in known:
        raise LoweringError(
            f"unknown lowering {lowering!r} for {found.target}",
            where="--lowering",
            fix=f"auto, {', '.join(known)}",
        )
    if lowering not in ("auto", *capability.batch_lowerings) and max(batches) > 1:
        raise LoweringError(
            f"lowering {lowering!r} holds for one clip; in a batch, frames would leak into the next clip",
            where=f"--batch {','.join(map(str, batches))}",
            fix=f"use one of {', '.join(capability.batch_lowerings)}, or compile batch 1 alone",
        )
    unique = tuple(sorted(set(batches)))
    return Plan(found, capability, checked, unique, lowering, settings or RunSettings())


def compile_checkpoint(
    checkpoint: str | os.PathLike[str] | Checkpoint,
    output: str | os.PathLike[str],
    *,
    device: str = "host",
    precision: str = "fp32",
    lowering: str = "auto",
    batches: Sequence[int] = (1,),
    settings: RunSettings | None = None,
    say: Say = lambda _: None,
    **flags: Any,
) -> Bundle:
    """Compile a checkpoint or an ONNX file for a device and prove the result.

    Args:
        checkpoint: a file of any layout that `edgevid.checkpoints` knows, one read already, or
            an ONNX file of any exporter.
        output: where the bundle goes; an older bundle there is replaced in one step.
        device: a profile's name, see ``edgevid devices``.
        precision: fp32, bf16 or fp16, as the device has it.
        lowering: of the shift, or ``auto`` for the device's default.
        batches: one artifact for each.
        settings: threads, streams and hint that are written into the bundle.
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
    request = plan(device, precision, lowering=lowering, batches=batches, settings=settings)
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
    records = []
    for batch in request.batches:
        if batch > 1:
            graph = with_uint8_clips(source.graph(batch), source.normalization)
        records.append(_compile_batch(draft, graph, batch, request, golden.expectations, say))
    executed = request.capability.executes
    status: Status = "compiled, not executed"
    if executed:
        status = "verified on the device" if request.device.is_this_machine else "compiled, not measured"
    seal(
        draft,
        _manifest(
            source,
            request,
            status=status,
            shifts=[
                ShiftRecord(
                    name=name, segments=spec.segments, layout=spec.layout.value, moves=list(spec.flat)
                )
                for name, spec in source.shifts
            ],
            artifacts=records,
            golden=names,
            reference=ReferenceRecord(
                runtime=f"onnxruntime {reference_target.target().probe(request.device).version}",
                shift_removed=golden.removed,
                shift_swapped=golden.swapped,
            ),
        ),
    )


def _compile_batch(
    draft: Path, graph: ir.Model, batch: int, request: Plan, expected: Sequence[Expectation], say: Say
) -> ArtifactRecord:
    runtime = targets.find(request.device.target)
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
    if request.capability.executes:
        say(f"verifying batch {batch}")
        with runtime.open(artifact) as session:
            result = verify(session, expected, request.precision)
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


def verify_bundle(
    bundle: Bundle, *, against: Bundle | None = None, batch: int | None = None, seed: int = 0
) -> dict[int, Verification]:
    """Verify the artifacts of a bundle on this machine.

    Args:
        bundle: opened.
        against: another bundle of the same network; it becomes the reference, on new random
            clips beside the golden ones. Without it the recorded logits are.
        batch: of one artifact; all by default.
        seed: of the new random clips.

    Returns:
        Batch size to verification; nothing is raised for a failed one.

    Raises:
        ConfigError: the two bundles take different clips.
    """
    expected = bundle.expectations()
    if against is not None:
        mine, theirs = bundle.artifact(), against.artifact()
        if mine.input.shape[1:] != theirs.input.shape[1:] or mine.output.shape[1:] != theirs.output.shape[1:]:
            raise ConfigError(
                f"{bundle.path} takes {list(mine.input.shape)} and returns {list(mine.output.shape)}, "
                f"{against.path} {list(theirs.input.shape)} and {list(theirs.output.shape)}",
                fix="compare bundles of one network",
            )
        with against.session() as reference:
            expected = expectations(reference, expected[0].clips, count=4, seed=seed)
    results = {}
    for size in (batch,) if batch else bundle.batches:
        with bundle.session(size) as session:
            results[size] = verify(session, expected, bundle.manifest.precision)
    return results


def check_records(result: Verification) -> tuple[CheckRecord, ...]:
    """A verification as the manifest keeps it."""
    return tuple(CheckRecord(name=c.name, passed=c.passed, detail=c.detail) for c in result.checks)


def _open_reference(graph: ir.Model) -> Session:
    """A canonical graph in ONNX Runtime; its file is gone again as soon as it is loaded."""
    reference = reference_target.target()
    with tempfile.TemporaryDirectory(prefix="edgevid-") as folder:
        options = CompileOptions(
            device=find_device("reference"), folder=Path(folder), lowering="function", batch=1
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
        notes=[*source.notes, *notes],
        **found,
    )
