"""The manifest of a bundle: every fact about it, validated when it is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    WrapSerializer,
    model_validator,
)

from edgevid.contract import Artifact, Normalization, Precision, RunSettings, Sampling, Streaming, TensorSpec
from edgevid.errors import ConfigError

__all__ = [
    "SCHEMA_VERSION",
    "ArtifactRecord",
    "CheckRecord",
    "ChoiceRecord",
    "DropRecord",
    "LayerRecord",
    "Manifest",
    "PassRecord",
    "QuantizationRecord",
    "ReferenceRecord",
    "SamplingRecord",
    "SettingRecord",
    "ShiftRecord",
    "Status",
    "StreamingRecord",
    "TriedRecord",
]

SCHEMA_VERSION: Literal[1] = 1

Status = Literal["verified on the device", "compiled, not measured", "compiled, not executed", "simulated"]
"""How far a bundle came. ``compiled, not measured``: it was verified, but on another machine
than the device it is for. ``compiled, not executed``: nothing here could run it.
``simulated``: another runtime's arithmetic, imitated; its time means nothing."""


def _as_before_flow(sampling: Sampling, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
    """Of pictures nothing is written about flow, so that their records stay the same."""
    written: dict[str, Any] = handler(sampling)
    if sampling.flow is None:
        written.pop("flow", None)
    return written


SamplingRecord = Annotated[Sampling, WrapSerializer(_as_before_flow)]
"""A `Sampling` as records hold it."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SettingRecord(_Record):
    """A setting and where it came from."""

    value: Any
    source: str


class ShiftRecord(_Record):
    """One shift of the network: ``moves`` are five numbers each (start, stop, dt, dh, dw)."""

    name: str
    segments: int
    layout: str
    moves: list[int]


class CheckRecord(_Record):
    """One answer of `edgevid.graph.verify`."""

    name: str
    passed: bool
    detail: str


class ReferenceRecord(_Record):
    """What the golden clips tell apart: relative change of the logits when a shift is wrong.

    ``clip_reversed``: when the clip runs backwards, of a network whose frames are mixed by other means.
    """

    runtime: str
    shift_removed: float | None
    shift_swapped: float | None
    clip_reversed: float | None = None


class LayerRecord(_Record):
    """A convolution or dense layer as the runtime computes it; ``reason`` why it is not int8."""

    name: str
    kind: Literal["Conv", "Dense"]
    precision: str
    kernel: str
    reason: str


class PassRecord(_Record):
    """A change that was asked for to make int8 better, and what it did.

    The first two figures are SQNR at the logits in dB before and after it, over ``clips`` calibration
    clips in ONNX Runtime; None where nothing could be measured, or nothing differs from float.
    ``gain`` is the median of what single clips gain, in dB, and ``gain_interval`` its interval of at least
    95 %. ``held_out``: these are clips that it was not fitted to.
    """

    name: str
    sqnr_before: float | None
    sqnr_after: float | None
    clips: int
    gain: float | None = None
    gain_interval: tuple[float, float] | None = None
    held_out: bool = False


class DropRecord(_Record):
    """What int8 loses on labelled videos, and what was tried until it was little enough.

    Drops are shares from 0 to 1 of top-1 against float; ``low`` and ``high`` are a 95 % interval.
    ``trials``: number of layers in float to the drop, in the order of trying.
    """

    limit: float
    drop: float
    low: float
    high: float
    lost: int
    gained: int
    videos: int
    data: str
    measured_with: str
    trials: list[tuple[int, float]]
    verdict: str
    remark: str


class QuantizationRecord(_Record):
    """How an int8 network was made; ``table`` is the file of its ranges in the bundle."""

    method: str
    clips: int
    graph_sha256: str
    table: str
    scheme: dict[str, Any]
    float_layers: dict[str, str]
    warnings: list[str]
    passes: list[PassRecord] = []
    drop: DropRecord | None = None


class TriedRecord(_Record):
    """One lowering that was tried.

    Attributes:
        name: of the lowering.
        state: ``chosen``, ``slower``, or ``rejected`` as wrong, refused or on slow kernels.
        milliseconds: median wall time of the whole network; None where it was not timed.
        ratio: to the default lowering, paired within rounds; None where it was dropped before.
        interval: of 95 % of that.
        reason: why it was rejected or dropped; empty for others.
    """

    name: str
    state: Literal["chosen", "slower", "rejected"]
    milliseconds: float | None = None
    ratio: float | None = None
    interval: tuple[float, float] | None = None
    reason: str = ""


class ChoiceRecord(_Record):
    """How the lowering was chosen.

    Attributes:
        source: ``measured now``, ``measured before`` on this machine, or ``shipped`` with edgevid, measured
            on ``machine``, which need not be the device.
        chosen: name of the lowering.
        machine: the processor it was measured on.
        runtime: with its version.
        rounds: of the last heat.
        verdict: of the timing protocol on it.
        tried: all candidates, in the order of trying.
    """

    source: Literal["measured now", "measured before", "shipped"]
    chosen: str
    machine: str
    runtime: str
    rounds: int
    verdict: str
    tried: list[TriedRecord]

    def without(self, name: str, reason: str, chosen: str) -> ChoiceRecord:
        """``name`` turned out not to hold, and ``chosen`` stands in its place."""
        changes: dict[str, dict[str, str]] = {
            name: {"state": "rejected", "reason": reason},
            chosen: {"state": "chosen"},
        }
        tried = [one.model_copy(update=changes.get(one.name, {})) for one in self.tried]
        return self.model_copy(update={"chosen": chosen, "tried": tried})

    def ranked(self) -> list[str]:
        """The chosen lowering, then the other timed ones from fast to slow."""
        timed = [one for one in self.tried if one.state == "slower"]
        key = {one.name: (one.ratio is None, one.ratio or one.milliseconds or 0.0) for one in timed}
        return [self.chosen, *sorted(key, key=lambda name: key[name])]


class ArtifactRecord(_Record):
    """One compiled network, of one batch size."""

    folder: str
    entry: str = Field(min_length=1)
    batch: int = Field(ge=1)
    lowering: str
    input: TensorSpec
    output: TensorSpec
    checks: list[CheckRecord] = []
    layers: list[LayerRecord] = []
    notes: list[str] = []
    choice: ChoiceRecord | None = None
    streaming: Streaming | None = None

    def artifact(self, folder: Path, manifest: Manifest) -> Artifact:
        """As the target takes it."""
        made = manifest.quantization
        return Artifact(
            target=manifest.target,
            folder=folder / self.folder,
            entry=self.entry,
            precision=manifest.precision,
            batch=self.batch,
            lowering=self.lowering,
            input=self.input,
            output=self.output,
            settings=manifest.settings,
            weight_bits=made.scheme.get("weight_bits", 0) if made else 0,
            streaming=self.streaming,
        )


class StreamingRecord(_Record):
    """Of a network that takes frame by frame.

    Attributes:
        lookahead: shifts that take from the future are delayed.
        delay: D; the answer to a frame comes with the D-th frame after it.
        frame_interval: seconds from frame to frame that it was trained at; None where nothing says it.
        cache_bytes: that each stream keeps between frames.
        sequence: name of the golden sequence, ``golden/NAME.frames.npy`` and ``golden/NAME.logits.npy``.
    """

    lookahead: bool
    delay: int = Field(ge=0)
    frame_interval: float | None
    cache_bytes: int = Field(ge=0)
    sequence: str = Field(min_length=1)


class Manifest(_Record):
    """Everything that is known about a bundle."""

    schema_version: Literal[1] = SCHEMA_VERSION
    edgevid: str
    source: str
    source_sha256: str
    layout: str
    network: dict[str, Any]
    parameters: int
    macs: int
    shifts: list[ShiftRecord]
    labels: list[str] | None
    normalization: Normalization
    sampling: SamplingRecord
    provenance: dict[str, SettingRecord]
    device: str
    device_title: str
    status: Status
    target: str
    runtime: str
    precision: Precision
    settings: RunSettings
    artifacts: list[ArtifactRecord] = Field(min_length=1)
    golden: list[str] = Field(min_length=1)
    reference: ReferenceRecord
    quantization: QuantizationRecord | None = None
    streaming: StreamingRecord | None = None
    simulates: str = ""
    notes: list[str] = []
    files: dict[str, str] = {}

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        flow = self.sampling.flow is not None
        if flow != (self.normalization.color == "XY"):
            raise ValueError(f"channels are {self.normalization.color}, and frames of something else")
        batches = [record.batch for record in self.artifacts]
        if len(set(batches)) != len(batches):
            raise ValueError(f"two artifacts of one batch: {batches}")
        for record in self.artifacts:
            how = self.sampling
            if (record.streaming is None) != (self.streaming is None):
                raise ValueError(
                    "an artifact takes whole clips, and the bundle single frames, or the reverse"
                )
            frames = how.segments if record.streaming is None else 1
            if record.input.shape != (record.batch, frames, how.crop, how.crop, how.channels):
                raise ValueError(f"input {record.input.shape} does not fit the sampling and the batch")
            if record.input.dtype != "uint8" or record.output.dtype != "float32":
                raise ValueError("clips are uint8 and logits float32")
            if len(record.output.shape) != 2 or record.output.shape[0] != record.batch:
                raise ValueError(f"output {record.output.shape} is not [batch, classes]")
            if self.labels is not None and len(self.labels) != record.output.shape[1]:
                raise ValueError(f"{len(self.labels)} labels for {record.output.shape[1]} classes")
        return self

    @staticmethod
    def head(text: str) -> int:
        """The schema version alone, readable even when the rest is of a newer schema.

        Raises:
            ConfigError: not a manifest.
        """
        try:
            version = json.loads(text)["schema_version"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ConfigError(f"not a manifest: {error}") from error
        if not isinstance(version, int) or isinstance(version, bool):
            raise ConfigError(f"schema_version is {version!r}")
        return version
