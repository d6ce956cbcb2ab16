"""What is asked of a sweep, checked before anything slow begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from pathlib import Path

from edgevid.bench.settings import Settings
from edgevid.contract import Precision
from edgevid.errors import ConfigError
from edgevid.models.config import NetworkConfig, ShiftConfig
from edgevid.models.registry import preset
from edgevid.overhead.record import CurveId

__all__ = ["PROPORTIONS", "PROTOCOL", "Sweep", "model_config", "parse_proportions"]

PROPORTIONS = tuple(map(Fraction, ("0", "1/8", "1/4", "1/2", "1")))
"""Those of the TSM paper (fig. 2a)."""

PROTOCOL = Settings(rounds=40, processes=3)
"""What a claim is made of: the median over three processes of 40 rounds."""


@dataclass(frozen=True)
class Sweep:
    """A sweep of one network.

    Attributes:
        model: name of its preset, for the record.
        config: of the network, with a shift of any proportion.
        devices: names of profiles.
        proportions: ascending; the network without a shift is always measured.
        precisions, batches: each makes a curve of its own on every device.
        threads: of each session.
        lowering: ``auto``, ``all`` that the device's target offers, or the name of one.
        plain: measure what an exporter writes, slices and concats on ``[N,T,C,H,W]``, too.
        settings: of the timing protocol in each process; ``processes`` are measured at least.
        within: go on with further processes until the 95 % interval of every ratio to the default
            network without a shift is within this share of it; ``None`` stops after ``processes``.
        clips: that int8 and the batch normalizations are calibrated with.
        records: file of tuned kernels, where the target has a choice; its own if None.
    """

    model: str
    config: NetworkConfig
    devices: Sequence[str] = ("host",)
    proportions: Sequence[Fraction] = PROPORTIONS
    precisions: Sequence[Precision] = ("fp32",)
    batches: Sequence[int] = (1,)
    threads: int = 1
    lowering: str = "auto"
    plain: bool = False
    settings: Settings = field(default=PROTOCOL)
    within: float | None = 0.01
    clips: int = 16
    records: Path | None = None

    @property
    def curves(self) -> tuple[CurveId, ...]:
        """One a device, precision and batch, each once."""
        wanted = product(self.devices, self.precisions, self.batches)
        return tuple(
            dict.fromkeys(
                CurveId(device=device, precision=precision, batch=batch)
                for device, precision, batch in wanted
            )
        )

    def shifted(self, proportion: Fraction) -> NetworkConfig:
        """The network with that proportion; without a shift for 0."""
        if not proportion:
            return self.config.without_shift()
        shift = self.config.shift or ShiftConfig()
        return self.config.model_copy(update={"shift": shift.model_copy(update={"proportion": proportion})})


def model_config(model: str, *, size: int | None = None, frames: int | None = None) -> NetworkConfig:
    """The network of a preset, its frames smaller or fewer if wanted.

    Raises:
        ConfigError: an unknown preset, one without a shift, or a size that no network has.
    """
    config = preset(model).config
    if not config.has_shift:
        raise ConfigError(
            f"{model} has no shift, and so no overhead of one",
            where=f"--model {model}",
            fix=f"take its counterpart with a shift, as {model.replace('tsn', 'tsm')}",
        )
    changes = {"size": size or config.size, "segments": frames or config.segments}
    return NetworkConfig.model_validate({**config.model_dump(), **changes})


def parse_proportions(text: str) -> tuple[Fraction, ...]:
    """Proportions between commas, as ``0,1/8,0.25``, in ascending order and each once.

    Raises:
        ConfigError: something else, or one outside 0 to 1.
    """
    try:
        found = {ShiftConfig(proportion=part.strip()).proportion for part in text.split(",")}  # type: ignore[arg-type]
    except ConfigError as error:
        raise ConfigError(
            error.what, where=f"--proportions {text}", fix="write shares of all channels, as 0,1/8,1/4,1/2,1"
        ) from error
    return tuple(sorted(found))
