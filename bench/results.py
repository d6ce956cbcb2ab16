"""The result of a comparison: every raw sample, what produced it, and whether to trust it.

The file is JSON with a ``schema_version``; 1 had neither layers, memory, stages nor sustained runs.
Figures are made from the samples by `edgevid.bench.summary`; the file carries them under ``summary`` for
other readers, and reading ignores that part.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from edgevid.bench.environment import Environment
from edgevid.bench.load import Load
from edgevid.bench.settings import Settings
from edgevid.contract import LayerTime

__all__ = [
    "INVALID",
    "LABELS",
    "SCHEMA_VERSION",
    "STAGES",
    "BundleIdentity",
    "Label",
    "LayerTime",
    "ProcessRun",
    "Result",
    "Role",
    "Samples",
    "Stage",
    "Status",
    "Sustained",
    "SustainedPoint",
    "VariantRecord",
    "Verdict",
]

SCHEMA_VERSION = 2

Label = Literal["measured", "other-device", "emulated", "simulated", "estimated"]
LABELS: dict[Label, str] = {
    "measured": "executed on the device it is for",
    "other-device": "executed here, on another device than it was compiled for",
    "emulated": "executed, with a precision that this device lacks and emulates",
    "simulated": "from a simulator, not executed on the device",
    "estimated": "calculated, not executed",
}
"""What each label means. All but ``measured`` are printed beside the figure."""

INVALID = "INVALID: "
"""What stands before the reasons why figures are not to be trusted, in verdicts and in notes."""

Role = Literal["baseline", "twin", "candidate"]
Status = Literal["complete", "within", "budget", "interrupted"]
"""``complete``: all rounds ran; ``within``: the intervals became as narrow as was asked for before that."""

Stage = Literal["decode", "preprocess", "flow", "inference", "whole"]
STAGES: tuple[Stage, ...] = get_args(Stage)
"""From a video's file to its logits; ``whole`` is measured by itself, not summed. Only networks of optical
flow have the stage ``flow``."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BundleIdentity(_Model):
    """Which bundle was measured.

    Attributes:
        path: where it lay.
        manifest_sha256: of ``manifest.json``, which holds the hash of every other file.
    """

    path: str
    manifest_sha256: str


class VariantRecord(_Model):
    """One variant. ``role`` is ``baseline``, ``twin`` (its A/A pair) or ``candidate``.

    ``clips`` are what one sample computes; ``None`` where nobody said it.
    """

    name: str
    role: Role
    label: Label = "measured"
    note: str = ""
    bundle: BundleIdentity | None = None
    clips: int | None = None


class Samples(_Model):
    """Nanoseconds of each run, in the order they were taken.

    Attributes:
        wall_ns: by ``time.perf_counter_ns``.
        cpu_ns: by ``time.process_time_ns``: all threads of the process.
    """

    wall_ns: tuple[int, ...] = ()
    cpu_ns: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _same_length(self) -> Samples:
        if len(self.wall_ns) != len(self.cpu_ns):
            raise ValueError(f"{len(self.wall_ns)} wall times, {len(self.cpu_ns)} CPU times")
        return self


class ProcessRun(_Model):
    """All that one process measured.

    Attributes:
        variants: what was measured, the baseline first, its twin second.
        orders: for each round, the indexes into ``variants`` in the order they ran.
        samples: one a round for each variant, by name. Unfinished rounds are left out.
        warmup: the runs before, which no figure uses.
        idle: CPU time over wall time while the process slept after a warm-up run, by name; near 0 unless a
            thread pool spins. Empty without warm-up.
        load: of the machine during the rounds; ``None`` where it cannot be measured.
        status: ``complete``, or why it ended early.
        environment: the machine and the process, before the first run.
    """

    variants: tuple[VariantRecord, ...] = Field(min_length=2)
    orders: tuple[tuple[int, ...], ...]
    samples: dict[str, Samples]
    warmup: dict[str, Samples] = Field(default_factory=dict)
    idle: dict[str, float] = Field(default_factory=dict)
    load: Load | None = None
    status: Status = "complete"
    environment: Environment

    @model_validator(mode="after")
    def _consistent(self) -> ProcessRun:
        names = [variant.name for variant in self.variants]
        if [variant.role for variant in self.variants[:2]] != ["baseline", "twin"]:
            raise ValueError("the first two variants must be the baseline and its twin")
        if set(self.samples) != set(names) or len(set(names)) != len(names):
            raise ValueError("samples and variants have different names")
        for name, samples in self.samples.items():
            if len(samples.wall_ns) != len(self.orders):
                raise ValueError(f"{name!r} has {len(samples.wall_ns)} samples in {len(self.orders)} rounds")
        for order in self.orders:
            if sorted(order) != list(range(len(names))):
                raise ValueError(f"a round in which not every variant ran once: {order}")
        return self

    @property
    def rounds(self) -> int:
        """Finished rounds."""
        return len(self.orders)


class SustainedPoint(_Model):
    """Some runs in a row of many. ``None``: the machine does not tell.

    Attributes:
        seconds: since the first run of all began.
        wall_ns: the median of these runs.
        megahertz: mean clock of the processors that the process may use.
        celsius: of the hottest sensor.
        joules: that the processor's packages took meanwhile, by their own counters.
        clips: that these runs computed.
    """

    seconds: float
    wall_ns: int
    megahertz: float | None = None
    celsius: float | None = None
    joules: float | None = None
    clips: int = 1


class Sustained(_Model):
    """One variant, run without a pause.

    Attributes:
        variant: its name.
        wanted_seconds: how long it was to run.
        status: ``complete`` or ``interrupted``.
        points: in order.
        notes: which counters the machine lacks.
    """

    variant: str
    wanted_seconds: float
    status: Status = "complete"
    points: tuple[SustainedPoint, ...] = ()
    notes: tuple[str, ...] = ()


class Verdict(_Model):
    """Whether the figures can be trusted; prints as ``VALID`` or ``INVALID: reason; reason``."""

    reasons: tuple[str, ...] = ()

    @property
    def valid(self) -> bool:
        return not self.reasons

    def __str__(self) -> str:
        return "VALID" if self.valid else INVALID + "; ".join(self.reasons)


class Result(_Model):
    """A comparison, complete: reports are made from this alone.

    Attributes:
        title: one line for people.
        device: name of the device that was measured.
        created: when it ended, with time zone.
        command: the command line.
        parameters: of what was measured, as ``batch`` and ``threads``.
        runs: one a process.
        layer_times: operations in the order they ran, by variant, from runs apart from the timed ones.
        peak_memory: bytes of a fresh process that opened this variant alone and ran it, by variant.
        stages: samples of each stage from a video to its logits, by variant.
        sustained: one variant over minutes.
    """

    schema_version: Literal[2] = 2
    title: str
    device: str = ""
    created: datetime
    command: tuple[str, ...]
    settings: Settings
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    runs: tuple[ProcessRun, ...] = Field(min_length=1)
    verdict: Verdict
    notes: tuple[str, ...] = ()
    layer_times: dict[str, tuple[LayerTime, ...]] = Field(default_factory=dict)
    peak_memory: dict[str, int] = Field(default_factory=dict)
    stages: dict[str, dict[Stage, Samples]] = Field(default_factory=dict)
    sustained: Sustained | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_an_older_schema(cls, given: Any) -> Any:
        """Version 1 only lacks fields, which are then empty."""
        if isinstance(given, dict) and given.get("schema_version") == 1:
            return {**given, "schema_version": SCHEMA_VERSION}
        return given

    @model_validator(mode="after")
    def _same_variants(self) -> Result:
        if any(run.variants != self.runs[0].variants for run in self.runs):
            raise ValueError("the processes measured different variants")
        names = {variant.name for variant in self.variants}
        about = {*self.layer_times, *self.peak_memory, *self.stages}
        if unknown := sorted(about - names):
            raise ValueError(f"figures of {unknown[0]!r}, which is no variant")
        return self

    @property
    def variants(self) -> tuple[VariantRecord, ...]:
        """What was measured, the baseline first, its twin second."""
        return self.runs[0].variants

    @property
    def environment(self) -> Environment:
        """Of the first process."""
        return self.runs[0].environment

    @property
    def status(self) -> Status:
        """``interrupted``, ``budget`` or ``complete`` when any process ended so, ``within`` when all did."""
        found = {run.status for run in self.runs}
        if "interrupted" in found or len(self.runs) < self.settings.processes:
            return "interrupted"
        order: tuple[Status, ...] = ("budget", "complete")
        return next((status for status in order if status in found), "within")
