"""What a sweep's folder says of itself in ``sweep.json``: every point, measured or not."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from edgevid.contract import Precision

__all__ = ["SWEEP_FILE", "CurveId", "PointState", "Rejected", "SweepRecord"]

SWEEP_FILE = "sweep.json"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CurveId(_Model):
    """One curve of overhead over the proportion; all its networks are measured in one comparison.

    Attributes:
        device: name of a profile.
        precision: of the arithmetic.
        batch: clips a call.
    """

    device: str
    precision: Precision
    batch: int = 1

    @property
    def name(self) -> str:
        """Of its result's file, without the ending."""
        return f"{self.device}-{self.precision}-batch{self.batch}"

    def __str__(self) -> str:
        return f"{self.device}, {self.precision}, batch {self.batch}"


class Rejected(_Model):
    """A variant that was not timed, and why."""

    variant: str
    proportion: str
    reason: str


class PointState(_Model):
    """What became of one proportion on one device.

    Attributes:
        state: ``missing`` is not measured yet, or not to its end.
        reason: why it failed, or how far it is.
        used: see `edgevid.bench.report.overhead.Point`; None where nothing was measured.
        result: file in the same folder that holds its samples; empty where there is none.
        verdict: of that result; empty where there is none.
    """

    device: str
    precision: Precision
    batch: int
    proportion: str
    state: Literal["done", "failed", "missing"] = "missing"
    reason: str = ""
    used: float | None = None
    result: str = ""
    verdict: str = ""

    @property
    def curve(self) -> CurveId:
        """That it lies on."""
        return CurveId(device=self.device, precision=self.precision, batch=self.batch)


class SweepRecord(_Model):
    """All points of a folder.

    Attributes:
        model: name of the network's preset.
        segments: T, frames a clip.
        size: of a frame in pixels.
        threads: of each session.
        command: the last command line that measured into the folder.
    """

    schema_version: Literal[1] = 1
    kind: Literal["overhead sweep"] = "overhead sweep"
    model: str
    segments: int
    size: int
    threads: int
    command: tuple[str, ...] = ()
    points: tuple[PointState, ...] = ()
