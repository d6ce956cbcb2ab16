"""A comparison of networks on the same videos, complete: reports are made from this alone.

Shares are from 0 to 1; drops are reference minus candidate, so that a loss is positive. The first
variant is the reference that the others are held to.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgevid.bench.results import Label, Result
from edgevid.bench.summary import Estimate as Timing
from edgevid.calibration.ranking import Ranking
from edgevid.calibration.statistics import Estimate, Paired
from edgevid.disk import write_text
from edgevid.errors import ConfigError
from edgevid.manifest import SamplingRecord

__all__ = [
    "Beginning",
    "ClassChange",
    "Comparison",
    "DataRecord",
    "Flip",
    "Pair",
    "SkippedVideo",
    "Variant",
    "Verdict",
    "VideoRecord",
    "load_comparison",
    "save_comparison",
]

Verdict = Literal["within", "exceeded", "too few to tell"]
"""Whether the drop is above the allowed one. ``exceeded``: the whole interval is above it; ``within``:
none of it; ``too few to tell``: it lies inside the interval."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataRecord(_Model):
    """The videos that every variant has seen.

    Attributes:
        source: where they are.
        sha256: of the list, or of packed clips.
        packed: they were decoded on another occasion.
        videos: that were compared; those that could not be read are not among them.
        labelled: those of them whose class is known.
        views: clips and crops of all of them.
    """

    source: str
    sha256: str
    packed: bool
    sampling: SamplingRecord
    videos: int
    labelled: int
    views: int


class Variant(_Model):
    """One network.

    Attributes:
        name: short.
        label: what its figures are worth; ``simulated`` where another runtime stood in for its device.
        note: why, in words.
        source: bundle, or file of logits.
        sha256: of the bundle's manifest, or of the file.
        bytes: of the artifact that was run.
        top1, top5: shares of right answers; ``None`` without labels.
        latency_ms: of one run; ``None`` where it was not measured.
        ratio: latency over the reference's, paired; ``None`` for the reference itself.
        frame_ms: of one frame of a network that takes frame by frame; its run is over all frames of a clip.
    """

    name: str
    label: Label
    note: str = ""
    source: str
    sha256: str
    device: str = ""
    precision: str = ""
    bytes: int | None = None
    top1: Estimate | None = None
    top5: Estimate | None = None
    latency_ms: Timing | None = None
    ratio: Timing | None = None
    frame_ms: Timing | None = None

    @property
    def speedup(self) -> float | None:
        """How many times faster than the reference."""
        return 1 / self.ratio.median if self.ratio and self.ratio.median else None

    @property
    def title(self) -> str:
        """Name, and the label unless it was measured."""
        return self.name if self.label == "measured" else f"{self.name} [{self.label}]"


class ClassChange(_Model):
    """Right answers for the videos of one class, among ``videos``."""

    index: int
    name: str
    videos: int
    reference: int
    candidate: int

    @property
    def change(self) -> int:
        """Right answers won, less those lost."""
        return self.candidate - self.reference


class Flip(_Model):
    """A video for which the candidate's first answer is another one."""

    video: str
    label: int | None
    reference: int
    candidate: int

    @property
    def kind(self) -> Literal["lost", "gained", "other"]:
        """Whether a right answer was lost or gained; ``other`` without label, or if both are wrong."""
        if self.label == self.reference:
            return "lost"
        return "gained" if self.label == self.candidate else "other"


class Pair(_Model):
    """A candidate against the reference, video by video.

    Attributes:
        name: the candidate's.
        top1, top5: the drop, its interval and McNemar's test; ``None`` without labels.
        agreement: share of videos with the same first answer.
        sqnr: of the logits in dB; ``None`` where they are the same.
        cosine: of the logits of a clip, averaged.
        classes: those that have videos; empty without labels.
        flips: in the order of the videos.
        verdict: on the top-1 drop; ``None`` where no limit was given.
        remark: the verdict in words.
    """

    name: str
    top1: Paired | None
    top5: Paired | None
    agreement: Estimate
    sqnr: float | None
    cosine: float
    classes: tuple[ClassChange, ...]
    flips: tuple[Flip, ...]
    verdict: Verdict | None = None
    remark: str = ""


class Beginning(_Model):
    """What was right when no more than the first ``share`` of each video had been seen.

    Attributes:
        share: above 0, up to 1.
        repeating: videos that have fewer frames there than a clip, which then repeats some.
        top1, top5: of each variant.
    """

    share: float = Field(gt=0, le=1)
    repeating: int
    top1: tuple[Estimate, ...]
    top5: tuple[Estimate, ...]


class VideoRecord(_Model):
    """One video: for each variant its first five answers, the most probable first."""

    name: str
    label: int | None
    views: int
    answers: tuple[tuple[int, ...], ...]


class SkippedVideo(_Model):
    """One that could not be read, and so was shown to none of the variants."""

    name: str
    reason: str
    error: str


class Comparison(_Model):
    """Everything that a comparison found.

    Attributes:
        created: when it ended, with time zone.
        command: the command line.
        max_drop: allowed drop of top-1.
        labels: names of the classes, empty if unknown.
        variants: the reference first.
        pairs: one a candidate, in the order of the variants.
        early: accuracy by the part of a video that was seen, ascending; empty if not asked for.
        sensitivity: by the name of a variant what int8 costs at each of its layers.
        latency: every sample of the timing; ``None`` where none was done.
        notes: what the reader must know.
    """

    schema_version: Literal[1] = 1
    edgevid: str
    created: datetime
    command: tuple[str, ...]
    data: DataRecord
    max_drop: float | None
    labels: tuple[str, ...]
    variants: tuple[Variant, ...] = Field(min_length=2)
    pairs: tuple[Pair, ...] = Field(min_length=1)
    videos: tuple[VideoRecord, ...]
    skipped: tuple[SkippedVideo, ...]
    early: tuple[Beginning, ...] = ()
    sensitivity: dict[str, Ranking] = {}
    latency: Result | None = None
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Comparison:
        if [pair.name for pair in self.pairs] != [variant.name for variant in self.variants[1:]]:
            raise ValueError("the pairs are not those of the variants")
        if any({len(part.top1), len(part.top5)} != {len(self.variants)} for part in self.early):
            raise ValueError("the accuracies of a beginning are not those of the variants")
        return self

    @property
    def exceeded(self) -> tuple[Pair, ...]:
        """Those whose drop is above the limit, with confidence."""
        return tuple(pair for pair in self.pairs if pair.verdict == "exceeded")

    def class_name(self, index: int) -> str:
        """For people."""
        return self.labels[index] if self.labels else f"class {index}"


def save_comparison(comparison: Comparison, path: Path) -> None:
    """Write JSON, whole or not at all.

    Raises:
        ConfigError: the file cannot be written.
    """
    document = comparison.model_dump(mode="json")
    write_text(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def load_comparison(path: Path) -> Comparison:
    """Read what `save_comparison` wrote.

    Raises:
        ConfigError: the file is missing or damaged; the message names the key.
    """
    fix = "give a file that `edgevid compare --output` wrote"
    try:
        return Comparison.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "whole"
        raise ConfigError(
            f"the comparison is damaged: {place}: {first['msg']}", where=path, fix=fix
        ) from error
    except OSError as error:
        raise ConfigError(
            f"the comparison cannot be read: {error.strerror or error}", where=path, fix=fix
        ) from error
