"""The artifacts of a bundle: one for all of its batches where the target holds that, else one for each."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgevid import targets
from edgevid.build import build, lowered, offered, written
from edgevid.contract import Artifact
from edgevid.errors import GraphError, TargetError
from edgevid.int8 import layer_records
from edgevid.manifest import ArtifactRecord, CheckRecord, ChoiceRecord, LayerRecord
from edgevid.plan import Plan
from edgevid.proof import Proof
from edgevid.source import Say

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx_ir as ir

__all__ = ["compile_batches"]

GraphOf = Callable[[int], "ir.Model"]


def compile_batches(
    draft: Path,
    graph_of: GraphOf,
    request: Plan,
    proof: Proof,
    float_layers: Mapping[str, str] | None,
    say: Say,
) -> list[ArtifactRecord]:
    """Compile all batches of a request into a bundle's draft, and hold what can be run here to its proof.

    Args:
        draft: folder of the bundle.
        graph_of: the graph of a number of clips, in the precision that is asked for.
        request: what is asked for.
        proof: what every artifact must compute.
        float_layers: of an int8 network, with the reason of each; None of another.
        say: is told each step.

    Returns:
        A record for each batch. Several may name one folder; if that was not to be, they say why.

    Raises:
        GraphError: no lowering holds, or the graph has no form in this precision.
        TargetError: the runtime refuses it.
        VerificationError: it computes something else.
    """
    made = _compiled(draft / "artifacts", graph_of, request, proof, float_layers or {}, say)
    records = []
    for artifact, choice in made.artifacts:
        checks, layers = _proved(artifact, request, proof, float_layers, say)
        records.append(
            ArtifactRecord(
                folder=artifact.folder.relative_to(draft).as_posix(),
                entry=artifact.entry,
                batch=artifact.batch,
                lowering=artifact.lowering,
                input=artifact.input,
                output=artifact.output,
                checks=checks,
                layers=layers,
                notes=[*artifact.notes, *made.notes],
                choice=choice,
            )
        )
    return records


@dataclass(frozen=True)
class _Made:
    """The artifact of each batch with how its lowering was chosen, and what is to be noted of all."""

    artifacts: list[tuple[Artifact, ChoiceRecord | None]]
    notes: tuple[str, ...] = ()


def _compiled(
    folder: Path,
    graph_of: GraphOf,
    request: Plan,
    proof: Proof,
    float_layers: Mapping[str, str],
    say: Say,
) -> _Made:
    notes: tuple[str, ...] = ()
    if request.capability.batch_profiles and len(request.batches) > 1:
        try:
            return _Made(
                [(artifact, None) for artifact in _together(folder / "batches", graph_of, request, say)]
            )
        except (GraphError, TargetError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            where = f" ({error.where})" if error.where else ""
            notes = (f"an artifact for each batch, since one for all is not to be had: {error.what}{where}",)
            say(notes[0])
    made: list[tuple[Artifact, ChoiceRecord | None]] = []
    for batch in request.batches:
        graph = graph_of(batch)
        choice = _choice(graph, batch, request, proof, float_layers, say)
        asked = replace(request, lowering=choice.chosen) if choice else request
        made.append((_made(graph, batch, asked, folder / f"batch{batch}", (), say), choice))
    return _Made(made, notes)


def _choice(
    graph: ir.Model, batch: int, request: Plan, proof: Proof, float_layers: Mapping[str, str], say: Say
) -> ChoiceRecord | None:
    """How the lowering is chosen, where that is left open and can be measured or was."""
    if request.lowering != "auto" or not request.capability.measures_lowerings:
        return None
    from edgevid.choose.candidates import Candidates, held_to
    from edgevid.choose.choice import choose

    return choose(
        Candidates(
            graph=graph,
            names=offered(graph, batch, request),
            device=request.device,
            runtime=f"{request.device.target} {request.capability.version}",
            precision=request.precision,
            batch=batch,
            settings=request.settings,
            build=lambda name, place: build(written(graph, name), name, batch, request, place),
            check=held_to(proof.recorded[0], request.precision),
            float_layers=float_layers,
        ),
        say,
    )


def _together(folder: Path, graph_of: GraphOf, request: Plan, say: Say) -> list[Artifact]:
    from edgevid.graph.any_batch import with_any_batch

    first, last = request.batches[0], request.batches[-1]
    graph = with_any_batch(graph_of(first), graph_of(last))
    made = _made(graph, first, request, folder, request.batches, say)
    return [made, *made.others]


def _made(
    graph: ir.Model, batch: int, request: Plan, folder: Path, batches: tuple[int, ...], say: Say
) -> Artifact:
    name, plain = lowered(graph, max(batches, default=batch), request)
    told = ", ".join(map(str, batches or (batch,)))
    say(f"compiling batch {told} for {request.device.name}, {request.precision}, lowering {name}")
    folder.mkdir(parents=True)
    return build(plain, name, batch, request, folder, batches)


def _proved(
    artifact: Artifact, request: Plan, proof: Proof, float_layers: Mapping[str, str] | None, say: Say
) -> tuple[list[CheckRecord], list[LayerRecord]]:
    """What the open artifact answered, where it can be opened here."""
    if not request.capability.executes:
        return [], []
    say(f"verifying batch {artifact.batch}")
    layers: list[LayerRecord] = []
    with targets.find(request.device.target).open(artifact) as session:
        result = proof.of(session, request.precision)
        if float_layers is not None:
            layers = layer_records(session.layers(), float_layers)
    result.raise_if_failed(f"{request.device.name}, batch {artifact.batch}, lowering {artifact.lowering}")
    return [CheckRecord(name=c.name, passed=c.passed, detail=c.detail) for c in result.checks], layers
