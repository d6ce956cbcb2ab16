"""The networks of one curve, compiled: without a shift in all its forms, and shifted by each proportion."""

from __future__ import annotations

import math
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from edgevid.bench.protocol import Progress, ProgressEvent
from edgevid.bench.report.overhead import Point, Role
from edgevid.contract import Artifact, Capability, Device, RunSettings, Tuning
from edgevid.errors import BenchmarkError, EdgevidError, LoweringError
from edgevid.overhead.record import CurveId, Rejected
from edgevid.overhead.sweep import Sweep

if TYPE_CHECKING:
    from edgevid.calibration.int8_variants import Variants

__all__ = ["DEFAULT", "Candidates", "compile_candidates", "require_lowering"]

DEFAULT = "no shift"
"""The network without a shift as its runtime takes it: the baseline."""

PLAIN_EXPORT = "slice_concat"
"""What exporters make of the shift: slices and concats on ``[N,T,C,H,W]``."""

HOPELESS = 5.0
"""Times the default network's latency from which on a variant is not timed: in bf16 some fall to kernels
that are a hundred times slower, and one of them would take longer than all the rest."""

HARMLESS = 0.1
"""Seconds of a run up to which that does not matter."""

OUT_OF_THE_RUNNING = 1.3
"""Times the fastest lowering of a proportion from which on another of all that a target offers is not timed:
every variant that is stays open in memory."""

BRIEF = 0.01
"""Seconds of a run up to which a network is small, and three runs of it say too little to leave it out."""


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
    timed: Collection[str]
    took: dict[str, float] = field(default_factory=dict)

    def network(self, proportion: Fraction) -> Variants:
        from edgevid.calibration.int8_variants import Variants

        sweep = self.sweep
        # Without a budget: what the first network has no time left for, the later ones would have theirs for,
        # and they would be held against a baseline that is tuned less.
        tuning = (
            Tuning(measure=True, records=sweep.records, budget=math.inf) if self.capability.tunes else None
        )
        return Variants(
            sweep.shifted(proportion), sweep.clips, sweep.threads, self.curve.device, tuning, self.curve.batch
        )

    def add(self, network: Variants, name: str, proportion: Fraction, lowering: str, role: Role) -> bool:
        """Compile one; whether it may be timed."""
        place = self.folder / str(len(self.found.artifacts) + len(self.found.rejected))
        try:
            artifact = network.compile(self.curve.precision, lowering, place)
            self.took[name] = network.seconds(artifact)
            self._require_speed(self.took[name], name)
        except EdgevidError as error:
            if name == DEFAULT:
                raise
            shutil.rmtree(place, ignore_errors=True)
            self.reject(name, proportion, error.what)
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

    def reject(self, name: str, proportion: Fraction, reason: str) -> None:
        self.found.rejected.append(Rejected(variant=name, proportion=str(proportion), reason=reason))

    def drop_slow(self, names: Sequence[str], proportion: Fraction) -> None:
        """Keep those lowerings of a proportion that may be the fastest, or that were timed before."""
        least = min((self.took[name] for name in names), default=0.0)
        for name in names:
            times = self.took[name] / least
            slow = name not in self.timed if self.timed else least > BRIEF and times > OUT_OF_THE_RUNNING
            if slow:
                self.found.points = [point for point in self.found.points if point.variant != name]
                shutil.rmtree(self.found.artifacts.pop(name).folder, ignore_errors=True)
                told = f"a run takes {1000 * self.took[name]:.4g} ms, {times:.2f} times that of the fastest"
                self.reject(name, proportion, told)


def compile_candidates(
    sweep: Sweep,
    curve: CurveId,
    device: Device,
    capability: Capability,
    folder: Path,
    progress: Progress | None = None,
    timed: Collection[str] = (),
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
        timed: names of what an earlier run has timed: they are not left out for what three runs took now.

    Raises:
        LoweringError: the target has no lowering of the name that is asked for.
        EdgevidError: the default network without a shift cannot be compiled or verified.
    """
    require_lowering(sweep, curve, device, capability)
    names = _names(sweep, _offered(curve, capability))
    shop = _Workshop(sweep, curve, device, capability, folder, Candidates(), progress, timed)
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
            shop.reject(f"p = {proportion}", proportion, error.what)
    return shop.found


def _add_plain_forms(shop: _Workshop, network: Variants) -> None:
    for number, form in enumerate(shop.capability.plain_forms):
        shop.add(network, f"{DEFAULT}, {form}" if number else DEFAULT, Fraction(0), form, "no shift")


def _add_shifted(shop: _Workshop, network: Variants, proportion: Fraction, names: Sequence[str]) -> None:
    automatic = shop.sweep.lowering == "auto"
    if automatic:
        names = _ranked(shop, network, proportion, names)
    added = []
    for lowering in names:
        name = f"p = {proportion}, {lowering}"
        if shop.add(network, name, proportion, lowering, "shift"):
            added.append(name)
            if automatic:
                break
    if shop.sweep.lowering == "all":
        shop.drop_slow(added, proportion)
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


def require_lowering(sweep: Sweep, curve: CurveId, device: Device, capability: Capability) -> None:
    """Raise `LoweringError` if the target of a curve's device lacks the lowering that is asked for."""
    offered = _offered(curve, capability)
    if sweep.lowering not in ("auto", "all", *offered):
        raise LoweringError(
            f"{device.target} has no lowering {sweep.lowering!r}; it has {', '.join(offered)}",
            where=f"--lowering {sweep.lowering}",
            fix="auto, all, or one of these",
        )


def _offered(curve: CurveId, capability: Capability) -> Sequence[str]:
    return capability.lowerings if curve.batch == 1 else capability.batch_lowerings


def _names(sweep: Sweep, offered: Sequence[str]) -> Sequence[str]:
    """Lowerings to be tried, in order; all that are offered where the choice is not the user's."""
    if sweep.lowering == "all" and sweep.plain:
        return [name for name in offered if name != PLAIN_EXPORT]
    return offered if sweep.lowering in ("auto", "all") else [sweep.lowering]
