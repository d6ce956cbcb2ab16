"""The artifacts of a bundle: one for all of its batches where the target holds that, else one for each."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgevid import targets
from edgevid.build import build, lowered, offered, stream, stream_names, written
from edgevid.contract import Artifact
from edgevid.errors import GraphError, LoweringError, TargetError, VerificationError
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
    shop = _Workshop(draft, graph_of, request, proof, float_layers, say)
    if request.streaming:
        return [shop.stream()]
    if not (request.capability.batch_profiles and len(request.batches) > 1):
        return [shop.alone(batch) for batch in request.batches]
    try:
        return shop.together()
    except (GraphError, TargetError) as error:
        shutil.rmtree(draft / "artifacts", ignore_errors=True)
        where = f" ({error.where})" if error.where else ""
        note = f"an artifact for each batch, since one for all is not to be had: {error.what}{where}"
        say(note)
        records = [shop.alone(batch) for batch in request.batches]
        return [record.model_copy(update={"notes": [*record.notes, note]}) for record in records]


@dataclass(frozen=True)
class _Workshop:
    """The arguments of `compile_batches`."""

    draft: Path
    graph_of: GraphOf
    request: Plan
    proof: Proof
    float_layers: Mapping[str, str] | None
    say: Say

    def together(self) -> list[ArtifactRecord]:
        """One artifact for all batches."""
        from edgevid.graph.any_batch import with_any_batch

        batches = self.request.batches
        graph = with_any_batch(self.graph_of(batches[0]), self.graph_of(batches[-1]))
        folder = self.draft / "artifacts" / "batches"
        made = _made(graph, batches[0], self.request, folder, batches, self.say)
        return [self._record(artifact, None) for artifact in (made, *made.others)]

    def stream(self) -> ArtifactRecord:
        """One artifact that takes frame by frame, in the first form that opens and computes what it must."""
        folder = self.draft / "artifacts" / "stream"
        self.say(f"compiling for {self.request.device.name}, {self.request.precision}, frame by frame")
        graph, names, notes = self.graph_of(1), stream_names(self.request), list[str]()
        while True:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            artifact = stream(graph, self.request, folder, names)
            names = names[names.index(artifact.lowering) + 1 :]
            try:
                record = self._record(artifact, None)
            except (TargetError, VerificationError) as error:
                if not names:
                    raise
                notes.append(f"the form {artifact.lowering} does not hold: {error.what}")
                self.say(notes[-1])
            else:
                return record.model_copy(update={"notes": [*record.notes, *notes]})

    def alone(self, batch: int) -> ArtifactRecord:
        """One batch, in the fastest lowering that holds."""
        graph = self.graph_of(batch)
        choice = _choice(graph, batch, self.request, self.proof, self.float_layers or {}, self.say)
        names = choice.ranked() if choice else [self.request.lowering]
        return self._first_that_holds(graph, batch, names, choice)

    def _first_that_holds(
        self, graph: ir.Model, batch: int, names: Sequence[str], choice: ChoiceRecord | None
    ) -> ArtifactRecord:
        """What was measured before, or on other clips, need not hold for this network."""
        first, *others = names
        try:
            return self._in_lowering(graph, batch, first, choice)
        except (LoweringError, TargetError, VerificationError) as error:
            if choice is None or not others:
                raise
            self.say(f"lowering {first} does not hold: {error.what}")
            choice = choice.without(first, error.what, others[0])
        return self._first_that_holds(graph, batch, others, choice)

    def _in_lowering(
        self, graph: ir.Model, batch: int, lowering: str, choice: ChoiceRecord | None
    ) -> ArtifactRecord:
        folder = self.draft / "artifacts" / f"batch{batch}"
        shutil.rmtree(folder, ignore_errors=True)
        request = replace(self.request, lowering=lowering)
        return self._record(_made(graph, batch, request, folder, (), self.say), choice)

    def _record(self, artifact: Artifact, choice: ChoiceRecord | None) -> ArtifactRecord:
        checks, layers = _proved(artifact, self.request, self.proof, self.float_layers, self.say)
        return ArtifactRecord(
            folder=artifact.folder.relative_to(self.draft).as_posix(),
            entry=artifact.entry,
            batch=artifact.batch,
            lowering=artifact.lowering,
            input=artifact.input,
            output=artifact.output,
            checks=checks,
            layers=layers,
            notes=list(artifact.notes),
            choice=choice,
            streaming=artifact.streaming,
        )


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
