"""How a comparison is measured."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from edgevid.errors import ConfigError

__all__ = ["MINIMUM_ROUNDS", "Settings"]

MINIMUM_ROUNDS = 10
"""Rounds, over all processes, below which a result is invalid: with fewer, the 95 % interval of the median
hardly leaves out a sample, so that one disturbed run decides its width."""


class Settings(BaseModel):
    """Options of the timing protocol.

    Attributes:
        rounds: rounds a process; in each, every variant runs once.
        warmup: runs of each variant before the first round that counts, or ``stable``: until its median over
            three runs changes by less than 1 %, at most `edgevid.bench.protocol.MOST_WARMUPS` runs.
        budget_seconds: stop early after this time, over all processes; at least one round is finished.
        processes: fresh processes that the measurement is repeated in.
        within: end a process as soon as, after `MINIMUM_ROUNDS`, the 95 % interval of every variant's median
            wall time lies within this share of the median: 0.01 is 1 %. ``None`` runs all rounds.

    Raises:
        ConfigError: a value out of range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rounds: int = 40
    warmup: int | Literal["stable"] = 3
    budget_seconds: float | None = None
    processes: int = 1
    within: float | None = None

    @model_validator(mode="after")
    def _in_range(self) -> Settings:
        if self.rounds < 1:
            raise ConfigError(
                f"{self.rounds} rounds measure nothing", where="rounds", fix="ask for 10 or more"
            )
        if self.warmup != "stable" and self.warmup < 0:
            raise ConfigError(
                f"{self.warmup} warm-up runs are impossible",
                where="warmup",
                fix="give 0 or more, or 'stable'",
            )
        if self.budget_seconds is not None and not self.budget_seconds > 0:
            raise ConfigError(
                f"a time budget of {self.budget_seconds} s leaves no time",
                where="budget_seconds",
                fix="give a positive number of seconds, or none for no limit",
            )
        if self.processes < 1:
            raise ConfigError(
                f"{self.processes} processes measure nothing", where="processes", fix="ask for 1 or more"
            )
        if self.within is not None and not 0 < self.within < 1:
            raise ConfigError(
                f"an interval within {self.within:.4g} of the median",
                where="within",
                fix="give a share between 0 and 1, as 0.01 or 1%, or none to run all rounds",
            )
        return self
