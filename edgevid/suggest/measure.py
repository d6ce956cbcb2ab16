"""Time a preset, alone or beside a reference, process by process; what is finished is never lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import JsonValue, TypeAdapter

from edgevid import targets
from edgevid.bench.artifacts import factory_of
from edgevid.bench.compare import conclude
from edgevid.bench.factory import Factory
from edgevid.bench.memory import peak_memory
from edgevid.bench.processes import measure_in_process
from edgevid.bench.protocol import Comparison, Progress, Variant
from edgevid.bench.results import Label, ProcessRun, Result
from edgevid.bench.settings import Settings
from edgevid.bench.storage import load_result, save_result
from edgevid.contract import Artifact
from edgevid.errors import BenchmarkError, EdgevidError
from edgevid.overhead.identity import changes, identity
from edgevid.overhead.record import CurveId
from edgevid.overhead.sweep import Sweep
from edgevid.suggest.network import CLIPS, Compiled, PresetRun, compile_apart, reachable

__all__ = ["KIND", "Tell", "Workshop", "measure_run", "networks_of", "open_alone"]

KIND = "preset"
"""What ``parameters["kind"]`` of such results says."""

SEED = 0
_ARTIFACT = TypeAdapter(Artifact)

Tell = Callable[[str], None]


class Workshop:
    """Networks compiled once each, as long as it is open.

    Args:
        folder: for the artifacts.
        progress: called for each step.
    """

    def __init__(self, folder: Path, progress: Progress | None = None) -> None:
        self.progress = progress
        self._folder = folder
        self._made: dict[PresetRun, tuple[Path, Compiled | EdgevidError]] = {}
        self._count = 0

    def compiled(self, asked: PresetRun) -> Compiled:
        """The network, compiled now or before.

        Raises:
            EdgevidError: it cannot be compiled; tried once.
        """
        if asked not in self._made:
            # A new name each time: a library that is loaded again from the same path is the old one.
            self._count += 1
            place = self._folder / str(self._count)
            try:
                self._made[asked] = place, compile_apart(asked, place, self.progress)
            except EdgevidError as error:
                self._made[asked] = place, error
        _, found = self._made[asked]
        if isinstance(found, EdgevidError):
            raise found
        return found

    def discard(self, asked: PresetRun) -> None:
        """Give back the disk that a network takes."""
        if asked in self._made:
            place, _ = self._made.pop(asked)
            shutil.rmtree(place, ignore_errors=True)


def measure_run(
    asked: PresetRun,
    reference: PresetRun | None,
    file: Path,
    settings: Settings,
    shop: Workshop,
    *,
    tell: Tell = lambda _: None,
) -> Result:
    """Measure what is missing in a file: a network beside a reference, the baseline, or alone.

    Args:
        asked: the network.
        reference: the baseline; the network itself if None.
        file: takes the result after each process; what it holds of the same measurement is gone on with.
        settings: of the protocol; ``processes`` are measured.
        shop: compiles.
        tell: is told what becomes of an earlier result.

    Raises:
        TargetError: the device is not this machine, or cannot do what is asked.
        EdgevidError: a network cannot be compiled, or a process crashed.
        KeyboardInterrupt: what is finished is in the file.
    """
    device, capability = reachable(asked.device, asked.precision)
    belongs = _belongs(asked, reference, settings, f"{device.target} {capability.version}")
    runs: list[ProcessRun] = []
    if (earlier := _earlier(file, tell)) is not None:
        past = _mapping(earlier.parameters.get("measured"))
        if difference := changes(_mapping(past.get("belongs")), belongs):
            tell(f"{asked}: measured anew, since of what is there {difference}")
        elif past.get("ended") and len(earlier.runs) >= settings.processes:
            tell(f"{asked}: finished by an earlier run")
            return earlier
        else:
            runs = [run for run in earlier.runs if run.status != "interrupted"]
            tell(f"{asked}: goes on after {len(runs)} process(es) of an earlier run")
    compiled = {run.title: shop.compiled(run) for run in (reference, asked) if run is not None}
    label: Label = "emulated" if asked.precision in device.emulated else "measured"
    factory = factory_of({name: made.artifact for name, made in compiled.items()}, label)
    remarks = [note for made in compiled.values() for note in made.notes]

    def keep(memory: Mapping[str, int], *, ended: bool) -> Result:
        parameters: dict[str, JsonValue] = {
            "kind": KIND,
            "device": asked.device,
            "target": device.target,
            "precision": asked.precision,
            "batch": asked.batch,
            "threads": asked.threads,
            "networks": {
                run.title: _described(run, compiled[run.title])
                for run in (reference, asked)
                if run is not None
            },
            "measured": {"belongs": belongs, "ended": ended},
        }
        told = asked.title if reference is None else f"{asked.title} against {reference.title}"
        result = conclude(
            runs,
            settings,
            title=f"{told}, {asked.precision}, batch {asked.batch}",
            device=device.title,
            parameters=parameters,
            notes=["random weights: only time and memory mean something", *dict.fromkeys(remarks)],
        ).model_copy(update={"peak_memory": dict(memory)})
        save_result(result, file)
        return result

    while len(runs) < settings.processes:
        run, remark = measure_in_process(factory, settings, len(runs), progress=shop.progress)
        runs.append(run)
        remarks += [remark] if remark else []
        keep({}, ended=False)
        if run.status == "interrupted":
            raise KeyboardInterrupt
    return keep(_memory(asked, compiled[asked.title].artifact, remarks), ended=True)


def networks_of(result: Result) -> dict[str, Mapping[str, JsonValue]]:
    """What `measure_run` wrote of the networks of a result, by variant; empty for another one's."""
    if result.parameters.get("kind") != KIND:
        return {}
    return {name: _mapping(said) for name, said in _mapping(result.parameters.get("networks")).items()}


@contextmanager
def open_alone(artifact: Mapping[str, Any]) -> Iterator[Comparison]:
    """Open one artifact once, for its memory; called in a process of its own.

    Raises:
        TargetError: its runtime refuses it.
    """
    made = _ARTIFACT.validate_python(artifact)
    with targets.find(made.target).open(made) as session:
        clip = np.random.default_rng(SEED).integers(0, 256, session.input.shape, dtype=np.uint8)
        run: Callable[[], object] = partial(session.run, clip)
        if made.streaming is not None:
            run = partial(session.step, clip[0, 0])
        yield Comparison(Variant("alone", run))


def _memory(asked: PresetRun, artifact: Artifact, remarks: list[str]) -> dict[str, int]:
    """Bytes at the peak of a process that runs the network alone; a failure becomes a remark."""
    factory = Factory(
        target=f"{__name__}:open_alone",
        arguments={"artifact": _ARTIFACT.dump_python(artifact, mode="json")},
    )
    try:
        found = peak_memory(factory, asked.title)
    except EdgevidError as error:
        remarks.append(f"peak memory: not measured: {error.what}")
        return {}
    return {} if found is None else {asked.title: found}


def _described(run: PresetRun, made: Compiled) -> JsonValue:
    return {
        "preset": run.preset,
        "config": run.config.model_dump(mode="json"),
        "one frame": run.one_frame,
        "lowering": made.artifact.lowering,
        "parameters": made.parameters,
        "macs": made.macs,
    }


def _belongs(
    asked: PresetRun, reference: PresetRun | None, settings: Settings, runtime: str
) -> dict[str, JsonValue]:
    """Everything that decides what one process measures."""
    curve = CurveId(device=asked.device, precision=asked.precision, batch=asked.batch)
    sweep = Sweep(
        model=asked.preset,
        config=asked.config,
        devices=(asked.device,),
        proportions=(),
        precisions=(asked.precision,),
        batches=(asked.batch,),
        threads=asked.threads,
        settings=settings,
        clips=CLIPS,
    )
    return {
        **identity(sweep, curve, runtime),
        "network": asked.model_dump(mode="json"),
        "reference": None if reference is None else reference.model_dump(mode="json"),
        "within": settings.within,
        "budget seconds": settings.budget_seconds,
    }


def _earlier(file: Path, tell: Tell) -> Result | None:
    """What a file holds; a damaged one counts as nothing, and is told."""
    if not file.exists():
        return None
    try:
        return load_result(file)
    except BenchmarkError as error:
        tell(f"{file} counts as not measured: {error.what}")
        return None


def _mapping(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}
