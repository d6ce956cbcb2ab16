"""The networks of one curve, compiled: without a shift in all its forms, and shifted by each proportion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from edgevid.bench.protocol import Progress, ProgressEvent
from edgevid.contract import Artifact, Capability, Device, RunSettings, Tuning
from edgevid.errors import BenchmarkError, EdgevidError, LoweringError
from edgevid.overhead.record import CurveId, Point, Rejected, Role
from edgevid.overhead.sweep import Sweep

if TYPE_CHECKING:
    from edgevid.calibration.int8_variants import Variants

__all__ = ["DEFAULT", "Candidates", "compile_candidates"]

DEFAULT = "no shift"
"""The network without a shift as its runtime takes it: the baseline."""

PLAIN_EXPORT = "slice_concat"
"""What exporters make of the shift: slices and concats on ``[N,T,C,H,W]``."""

HOPELESS = 5.0
"""Times the default network's latency from which on a variant is not timed: in bf16 some fall to kernels
that are a hundred times slower, and one of them would take longer than all the rest."""

HARMLESS = 0.1
"""Seconds of a run up to which that does not matter."""


@dataclass
class Candidates:
    """What was compiled and held to ONNX Runtime.

    Attributes:
        points: one a variant, the default network without a shift first.
        artifacts: of each, by its name.
        rejected: what is not timed, and why.
        notes: what a reader should know of some of them.
        seconds: of the default network without a shift, roughly.
    """

    points: list[Point] = field(default_factory=list)
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class _Workshop:
    sweep: Sweep
    curve: CurveId
    device: Device
    capability: Capability
    folder: Path
    found: Candidates
    progress: Progress | None

    def network(self, proportion: Fraction) -> Variants:
        from edgevid.calibration.int8_variants import Variants

        sweep = self.sweep
        tuning = Tuning(measure=True, records=sweep.records) if self.capability.tunes else None
        return Variants(
            sweep.shifted(proportion), sweep.clips, sweep.threads, self.curve.device, tuning, self.curve.batch
        )

    def add(self, network: Variants, name: str, proportion: Fraction, lowering: str, role: Role) -> bool:
        """Compile one; whether it may be timed."""
        try:
            place = self.folder / str(len(self.found.artifacts) + len(self.found.rejected))
            artifact = network.compile(self.curve.precision, lowering, place)
            self._require_speed(network.seconds(artifact), name)
        except EdgevidError as error:
            if name == DEFAULT:
                raise
            self.reject(name, proportion, error)
            return False
        used = float(network.proportion)
        self.found.points.append(
            Point(variant=name, proportion=str(proportion), used=used, lowering=lowering, role=role)
        )
        self.found.artifacts[name] = artifact
        if role != "plain export":  # of which every operation may be worth a note
            self.found.notes += [note for note in artifact.notes if note not in self.found.notes]
        if self.curve.precision == "int8":
            self.found.notes.append(f"{name}: {network.facts(artifact)}")
        return True

    def say(self, step: str) -> None:
        """Show a step that takes long."""
        if self.progress is not None:
            self.progress(ProgressEvent(f"{self.curve}: {step}", 0, 1))

    def _require_speed(self, seconds: float, name: str) -> None:
        """Raise `BenchmarkError` for a variant that fell to a runtime's reference kernels."""
        if name == DEFAULT:
            self.found.seconds = seconds
        times = seconds / self.found.seconds
        if times > HOPELESS and seconds > HARMLESS:
            raise BenchmarkError(f"it takes {times:.0f} times as long as the network without a shift")

    def reject(self, name: str, proportion: Fraction, error: EdgevidError) -> None:
        self.found.rejected.append(Rejected(variant=name, proportion=str(proportion), reason=error.what))


def compile_candidates(
    sweep: Sweep,
    curve: CurveId,
    device: Device,
    capability: Capability,
    folder: Path,
    progress: Progress | None = None,
) -> Candidates:
    """Compile all networks of a curve, each compared with ONNX Runtime.

    A variant that is refused or computes something else is left out with its reason.

    Args:
        sweep: what is asked.
        curve: of it.
        device: of the curve.
        capability: of its target.
        folder: for the artifacts; empty.
        progress: called for each network.

    Raises:
        LoweringError: the target has no lowering of the name that is asked for.
        EdgevidError: the default network without a shift cannot be compiled or verified.
    """
    offered = capability.lowerings if curve.batch == 1 else capability.batch_lowerings
    names = _names(sweep, offered, device)
    shop = _Workshop(sweep, curve, device, capability, folder, Candidates(), progress)
    shifted = [proportion for proportion in sweep.proportions if proportion]
    for done, proportion in enumerate((Fraction(0), *shifted)):
        if progress is not None:
            progress(ProgressEvent(f"{curve}: compiling p = {proportion}", done, 1 + len(shifted)))
        try:
            network = shop.network(proportion)
            network.graph  # noqa: B018 - made now, so that a shift that moves nothing is told once
            if not proportion:
                _add_plain_forms(shop, network)
            else:
                _add_shifted(shop, network, proportion, names)
        except EdgevidError as error:
            if not proportion:
                raise
            shop.reject(f"p = {proportion}", proportion, error)
    return shop.found


def _add_plain_forms(shop: _Workshop, network: Variants) -> None:
    for number, form in enumerate(shop.capability.plain_forms):
        shop.add(network, f"{DEFAULT}, {form}" if number else DEFAULT, Fraction(0), form, "no shift")


def _add_shifted(shop: _Workshop, network: Variants, proportion: Fraction, names: Sequence[str]) -> None:
    automatic = shop.sweep.lowering == "auto"
    if automatic:
        names = _ranked(shop, network, proportion, names)
    for name in names:
        if shop.add(network, f"p = {proportion}, {name}", proportion, name, "shift") and automatic:
            break
    if shop.sweep.plain:
        shop.add(network, f"p = {proportion}, plain export", proportion, PLAIN_EXPORT, "plain export")


def _ranked(shop: _Workshop, network: Variants, proportion: Fraction, names: Sequence[str]) -> Sequence[str]:
    """What ``auto`` stands for in a compile of this network, then what it would take instead."""
    from edgevid.choose.candidates import Candidates as Lowerings
    from edgevid.choose.choice import choose

    precision = shop.curve.precision
    names = tuple(dict.fromkeys((network.default_lowering_in(precision), *names)))
    if not shop.capability.measures_lowerings:
        return names
    choice = choose(
        Lowerings(
            graph=network.graph_in(precision),
            names=names,
            device=shop.device,
            runtime=f"{shop.device.target} {shop.capability.version}",
            precision=precision,
            batch=shop.curve.batch,
            settings=RunSettings(threads=shop.sweep.threads),
            build=lambda name, place: network.compile(precision, name, place / "artifact"),
            # Compiling holds it to ONNX Runtime already.
            check=lambda session: "",
        ),
        shop.say,
        valid=True,
    )
    if choice is None:
        return names
    shop.found.notes.append(
        f"p = {proportion}: {choice.chosen} is the fastest of {len(choice.tried)} lowerings, {choice.source}"
    )
    return choice.ranked()


def _names(sweep: Sweep, offered: Sequence[str], device: Device) -> Sequence[str]:
    """Lowerings to be tried, in order; all that are offered where the choice is not the user's."""
    if sweep.lowering == "all" and sweep.plain:
        return [name for name in offered if name != PLAIN_EXPORT]
    if sweep.lowering in ("auto", "all"):
        return offered
    if sweep.lowering not in offered:
        raise LoweringError(
            f"{device.target} has no lowering {sweep.lowering!r}; it has {', '.join(offered)}",
            where=f"--lowering {sweep.lowering}",
            fix="auto, all, or one of these",
        )
    return [sweep.lowering]
