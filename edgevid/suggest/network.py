"""A preset with random weights, compiled for this machine in a process of its own, to be timed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from edgevid import targets
from edgevid.bench.fresh_process import Keep, Told, call_apart
from edgevid.bench.protocol import Progress, ProgressEvent
from edgevid.contract import Artifact, Capability, Device, Precision, RunSettings, Tuning
from edgevid.errors import ConfigError, EdgevidError, LoweringError, TargetError
from edgevid.models.config import NetworkConfig, ShiftConfig
from edgevid.targets._profiles import device as find_device
from edgevid.targets._profiles import require_precision

if TYPE_CHECKING:
    from edgevid.calibration.int8_variants import Variants

__all__ = ["CLIPS", "Compiled", "PresetRun", "compile_apart", "compile_here", "reachable"]

CLIPS = 16
"""Generated clips that int8 and the batch normalizations are calibrated with."""

_ONLINE = ShiftConfig(proportion=Fraction(1, 8), direction="unidirectional")
"""Beside which a network without a shift takes one frame a call."""


class PresetRun(BaseModel):
    """What is compiled and timed.

    Attributes:
        title: name of the variant; unique in a comparison.
        preset: that the network is of.
        config: of the network.
        device: name of a profile of this machine.
        precision: of the arithmetic.
        batch: clips a call.
        threads: of the session.
        one_frame: it takes one frame a call.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    preset: str
    config: NetworkConfig
    device: str
    precision: Precision
    batch: int = 1
    threads: int = 1
    one_frame: bool = False

    def __str__(self) -> str:
        return f"{self.title} on {self.device}, {self.precision}, batch {self.batch}"


class Compiled(BaseModel):
    """A network that was compiled, and what it computes held to ONNX Runtime.

    Attributes:
        artifact: on disk.
        parameters: trainable numbers.
        macs: multiply-accumulates of one clip, or of one frame if it takes single frames.
        notes: what a reader should know of how it was made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    artifact: Artifact
    parameters: int
    macs: int
    notes: tuple[str, ...] = ()


def reachable(device: str, precision: str) -> tuple[Device, Capability]:
    """A device that can be measured from here.

    Raises:
        TargetError: it is unknown, elsewhere, simulated, or lacks the precision.
    """
    found = find_device(device)
    require_precision(precision, found)
    capability = targets.find(found.target).probe(found)
    if not capability.executes or not found.is_this_machine or found.simulates:
        reason = capability.reason or f"{found.title} is not this machine"
        raise TargetError(reason, where=f"--device {device}", fix="run the command on that device")
    return found, capability


def compile_apart(asked: PresetRun, folder: Path, progress: Progress | None = None) -> Compiled:
    """Compile in a fresh process: one that runs out of memory ends alone, and gives back what it took.

    Args:
        asked: the network.
        folder: for the artifact; made if it is not there.
        progress: called for each step.

    Raises:
        EdgevidError: of the type that was raised in the process.
        BenchmarkError: the process was killed.
        KeyboardInterrupt: Ctrl-C.
    """

    def told(step: dict[str, Any]) -> None:
        if progress is not None:
            progress(ProgressEvent(**step))

    answer = call_apart(
        f"{__name__}:compile_here",
        {"asked": asked.model_dump(mode="json"), "folder": str(folder.absolute())},
        label=f"compiling {asked}",
        told=told,
    )
    if answer.interrupted:
        raise KeyboardInterrupt
    return Compiled.model_validate_json(answer.text)


def compile_here(asked: Mapping[str, Any], folder: str, *, keep: Keep, tell: Told) -> None:
    """What the fresh process calls."""
    run, place = PresetRun.model_validate(asked), Path(folder)

    def say(step: str) -> None:
        tell({"stage": f"{run}: {step}", "done": 0, "total": 1})

    place.mkdir(parents=True, exist_ok=True)
    artifact, notes = (_one_frame if run.one_frame else _whole_clips)(run, place, say)
    from edgevid.models.cost import cost  # now, as a refusal need not wait for torch

    work = cost(run.config)
    macs = work.macs // run.config.segments if run.one_frame else work.macs
    found = Compiled(artifact=artifact, parameters=work.parameters, macs=macs, notes=notes)
    keep(found.model_dump_json())


_Say = Callable[[str], None]
_Made = tuple[Artifact, tuple[str, ...]]


def _whole_clips(run: PresetRun, folder: Path, say: _Say) -> _Made:
    """In the fastest form that computes what ONNX Runtime computes."""
    device, capability = reachable(run.device, run.precision)
    from edgevid.calibration.int8_variants import Variants

    network = Variants(run.config, CLIPS, run.threads, run.device, _tuning(capability), run.batch)
    say("exporting the graph")
    names, notes = _forms(run, network, device, capability, say)
    refused = []
    for number, name in enumerate(names):
        say(f"compiling, {name}")
        try:
            artifact = network.compile(run.precision, name, folder / str(number))
        except EdgevidError as error:
            refused.append(f"{name} does not hold: {error.what}")
            continue
        return artifact, (*notes, *refused, *artifact.notes)
    raise LoweringError(f"no form of it holds: {'; '.join(refused)}", where=run.preset, fix="report the case")


def _tuning(capability: Capability) -> Tuning | None:
    # Without a budget: two networks are compared, of which none may be tuned less.
    return Tuning(measure=True, budget=math.inf) if capability.tunes else None


def _forms(
    run: PresetRun, network: Variants, device: Device, capability: Capability, say: _Say
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Lowerings of the shift, or forms of a network without one, the fastest first; and how that is known."""
    from edgevid.choose.candidates import Candidates
    from edgevid.choose.choice import choose
    from edgevid.graph.shift_op import shift_nodes

    names = capability.plain_forms
    if shift_nodes(network.graph):
        offered = capability.lowerings if run.batch == 1 else capability.batch_lowerings
        names = tuple(dict.fromkeys((network.default_lowering_in(run.precision), *offered)))
    if not capability.measures_lowerings or len(names) == 1:
        return names, ()
    choice = choose(
        Candidates(
            graph=network.graph_in(run.precision),
            names=names,
            device=device,
            runtime=f"{device.target} {capability.version}",
            precision=run.precision,
            batch=run.batch,
            settings=RunSettings(threads=run.threads),
            build=lambda name, place: network.compile(run.precision, name, place / "artifact"),
            # Compiling holds it to ONNX Runtime already.
            check=lambda session: "",
        ),
        say,
        valid=True,
    )
    if choice is None:
        return names, ()
    told = f"{run.title}: {choice.chosen} is the fastest of {len(choice.tried)} forms, {choice.source}"
    return tuple(choice.ranked()), (told,)


def _one_frame(run: PresetRun, folder: Path, say: _Say) -> _Made:
    """One that takes a frame a call: with caches if it has a shift."""
    _, capability = reachable(run.device, run.precision)
    if run.threads != 1 or run.batch != 1:
        raise ConfigError(
            "networks that take one frame a call are measured on one thread, one stream",
            where=f"--threads {run.threads}",
            fix="give --threads 1",
        )
    from edgevid.overhead.streaming import NO_SHIFT, STREAMING, StreamingNetworks

    wanted, config = STREAMING, run.config
    if not config.has_shift:
        wanted, config = NO_SHIFT, config.model_copy(update={"shift": _ONLINE})
    say("compiling, frame by frame")
    networks = StreamingNetworks(config, run.precision, run.device, folder, _tuning(capability))
    networks.compile()
    for name, artifact in networks.artifacts.items():
        if name.startswith(wanted):
            return artifact, (*networks.rejected, *artifact.notes)
    raise LoweringError(
        f"no form of it takes frame by frame: {'; '.join(networks.rejected)}", where=run.preset
    )
