"""The journey from a checkpoint or a foreign ONNX file to a verified bundle.

open the source → its canonical graph → choose golden data → lower, compile and verify all
batches → seal. Every step is a function of another module; here they are put in order.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import edgevid
from edgevid.batches import compile_batches
from edgevid.build import check_form, open_here, open_reference
from edgevid.bundle import (
    Bundle,
    save_expectation,
    save_sequence,
    seal,
    sha256,
)
from edgevid.contract import RunSettings, Tuning
from edgevid.errors import ConfigError
from edgevid.graph.verify import random_clips
from edgevid.graph.verify_steps import FrameSequence
from edgevid.int8 import TABLE, Int8
from edgevid.manifest import (
    ArtifactRecord,
    Manifest,
    ReferenceRecord,
    SettingRecord,
    ShiftRecord,
    Status,
    StreamingRecord,
)
from edgevid.new_bundle import check_place, new_bundle
from edgevid.plan import Plan, plan
from edgevid.proof import Proof, int8_proof
from edgevid.source import Say, Source, open_source
from edgevid.targets import onnxruntime as reference_target

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgevid.checkpoints import Checkpoint
    from edgevid.recipe import Recipe

__all__ = ["compile_checkpoint"]

SEQUENCE = "sequence"
SEED = 20_221_022


def compile_checkpoint(
    checkpoint: str | os.PathLike[str] | Checkpoint | Source,
    output: str | os.PathLike[str],
    *,
    device: str = "host",
    precision: str = "fp32",
    lowering: str = "auto",
    batches: Sequence[int] = (1,),
    settings: RunSettings | None = None,
    int8: Int8 | None = None,
    tuning: Tuning | None = None,
    runner: str = "",
    workspace: int | None = None,
    streaming: bool = False,
    lookahead: bool = False,
    say: Say = lambda _: None,
    **flags: Any,
) -> Bundle:
    """Compile a checkpoint or an ONNX file for a device and prove the result.

    Args:
        checkpoint: a file of any layout that `edgevid.checkpoints` knows, one read already, an
            ONNX file of any exporter, or what `edgevid.source.open_source` made of one of these.
        output: where the bundle goes; an older bundle there is replaced in one step.
        device: a profile's name, see ``edgevid devices``.
        precision: fp32, bf16, fp16 or int8, as the device has it.
        lowering: of the shift, or ``auto`` for the fastest one where that can be measured.
        batches: one artifact for each, or one for all where the device's target holds that.
        settings: threads, streams and hint that are written into the bundle.
        int8: what int8 needs: clips to calibrate with, or a table of ranges.
        tuning: how kernels are chosen where a target has a choice; by a static rank if None.
        runner: ``cpp`` adds a program that runs the network where there is no Python.
        workspace: bytes that layers may use beside their tensors, where a target has such a limit.
        streaming: take frame by frame instead of whole clips.
        lookahead: with it, shifts that take from the future answer later instead of being refused.
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
    request = plan(
        device,
        precision,
        lowering=lowering,
        batches=batches,
        settings=settings,
        int8=int8,
        tuning=tuning,
        runner=runner,
        workspace=workspace,
        streaming=streaming,
        lookahead=lookahead,
    )
    source = open_source(checkpoint, say=say, **flags)
    if source.batch is not None and set(request.batches) != {source.batch}:
        raise ConfigError(
            f"the file is fixed to a batch of {source.batch}",
            where=f"{source.path}, --batch {','.join(map(str, request.batches))}",
            fix=f"compile --batch {source.batch}, or export the network with a dynamic batch",
        )
    if request.streaming and source.sampling.flow is not None:
        raise ConfigError(
            "a network of optical flow takes several fields a frame, and streams are of pictures",
            where=f"{source.path}, --streaming",
            fix="leave --streaming out, or give the network of RGB",
        )
    with new_bundle(place) as draft:
        _fill(draft, source, request, say)
        say("checking the bundle's files")
        Bundle.open(draft)
    return Bundle.open(place)


def _fill(draft: Path, source: Source, request: Plan, say: Say) -> None:
    from edgevid.graph.golden import choose_golden
    from edgevid.graph.prelude import with_uint8_clips
    from edgevid.graph.streaming import stream_graph

    graph = with_uint8_clips(source.graph(1), source.normalization)
    check_form(graph, request)
    if request.streaming:
        stream_graph(graph, lookahead=request.lookahead)  # refuses before anything slow begins
    say("running the float32 reference and its negative controls")
    golden = choose_golden(graph, open_reference, request.precision, mixes_time=source.mixes_time)
    recipe = _recipe(draft, graph, source, request, say)
    proof = Proof(golden.expectations)
    if recipe is not None:
        say("comparing the int8 graph with float")
        proof = int8_proof(recipe, graph, golden.expectations, open_reference)
    if request.streaming:
        proof = replace(proof, sequence=_sequence(recipe.apply(graph) if recipe else graph, say))
    names = [save_expectation(draft, part) for part in proof.recorded]

    def graph_of(batch: int) -> ir.Model:
        made = graph if batch == 1 else with_uint8_clips(source.graph(batch), source.normalization)
        return recipe.apply(made) if recipe else made

    records = compile_batches(draft, graph_of, request, proof, recipe.float_layers if recipe else None, say)
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
            quantization=recipe.record() if recipe else None,
            streaming=_streaming(draft, source, request, proof, records[0]),
            reference=ReferenceRecord(
                runtime=f"onnxruntime {reference_target.target().probe(request.device).version}",
                shift_removed=golden.removed,
                shift_swapped=golden.swapped,
                clip_reversed=golden.reversed,
            ),
        ),
    )


def _sequence(graph: ir.Model, say: Say) -> FrameSequence:
    """More frames than a clip has, and what the offline network answers to each when it sees all at once."""
    from edgevid.graph.retime import per_frame, segments_of

    length = 2 * segments_of(graph) + 3
    say(f"running the offline network on {length} frames as one clip")
    with open_reference(per_frame(graph, length)) as reference:
        noise, waves = random_clips(reference.input, 2, SEED)
        # Frames that are alike would hide which of them a shift takes.
        frames = np.concatenate([waves[: length // 2], noise[length // 2 :]])
        return FrameSequence(frames, reference.run(frames[None]))


def _streaming(
    draft: Path, source: Source, request: Plan, proof: Proof, record: ArtifactRecord
) -> StreamingRecord | None:
    if record.streaming is None or proof.sequence is None:
        return None
    save_sequence(draft, SEQUENCE, proof.sequence)
    return StreamingRecord(
        lookahead=request.lookahead,
        delay=record.streaming.delay,
        frame_interval=source.sampling.interval,
        cache_bytes=record.streaming.nbytes,
        sequence=SEQUENCE,
    )


def _status(request: Plan) -> Status:
    if not request.capability.executes:
        return "compiled, not executed"
    if request.device.simulates:
        return "simulated"
    return "verified on the device" if request.device.is_this_machine else "compiled, not measured"


def _recipe(draft: Path, graph: ir.Model, source: Source, request: Plan, say: Say) -> Recipe | None:
    """What makes it int8; its ranges are kept in the bundle too."""
    scheme = request.capability.scheme
    if request.int8 is None or scheme is None:
        return None
    from edgevid.calibration.table import save_table
    from edgevid.recipe import find_recipe

    recipe = find_recipe(
        request.int8,
        graph,
        source,
        scheme,
        open_float=open_reference,
        open_int8=partial(open_here, request=request),
        measured_with=_measured_with(request),
        say=say,
    )
    save_table(recipe.table, draft / TABLE)
    return recipe


def _measured_with(request: Plan) -> str:
    """What accuracy is measured with, in words."""
    if request.capability.executes and not request.device.simulates:
        return f"{request.device.target} {request.capability.version}"
    return f"{request.device.simulates or request.device.target}, simulated with ONNX Runtime"


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
