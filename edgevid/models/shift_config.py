"""How a shift stands in a 2D network: TSM's along time, STSM's along time, height and width."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from typing_extensions import Self

from edgevid.errors import ConfigError, ShiftError
from edgevid.models.frozen import Frozen
from edgevid.models.proportion import Proportion
from edgevid.shift import Direction, First, Move, Rounding, ShiftSpec

__all__ = ["Placement", "ShiftConfig"]

Placement = Literal["residual", "inplace"]


def _axes(value: Any) -> Any:
    axes = str(value).replace(" ", "").upper()
    try:
        ShiftSpec.stsm(1024, 1, 1, axes)
    except ShiftError as error:
        raise ConfigError(error.what, where="axes", fix=error.fix) from error
    return axes


class ShiftConfig(Frozen):
    """How the shift of TSM (Lin et al., ICCV 2019, sections 3.2 to 4.1) or STSM (Yang and An,
    Mathematics 2022, section 3) stands in a network.

    Attributes:
        proportion: p, the share of all channels that move; 0 means that none does. MIT's
            ``shift_div`` is ``2 / p`` for the bidirectional and ``1 / p`` for the
            uni-directional shift; STSM calls it alpha.
        axes: where to: sets of axes joined by ``+``, such as ``T``, ``H+W``, ``T+H+W`` or
            ``TH+TW+HW``; see `edgevid.shift.ShiftSpec.stsm`. ``T`` alone is TSM.
        placement: ``residual`` shifts inside the residual branch, before the first
            convolution; ``inplace`` before the whole block, shortcut included (figure 3).
        direction: ``unidirectional`` takes from the past only.
        first: what the first fold takes; the published code takes the ``future``. Along
            height and width it is the row below and the column to the right.
        rounding: see `edgevid.shift.ShiftSpec.tsm`.
        every: every n-th block of a stage is shifted. ``None`` follows the published code,
            see `NetworkConfig.shift_every`.
        repeats: how often the shift is applied on end. Checkpoints written by a doubly
            initialized mmaction2 backbone hold it twice, which moves by two frames.

    Raises:
        ConfigError: unknown axes, or a spatial shift in one direction or rounded otherwise.
    """

    proportion: Proportion = Fraction(1, 4)
    axes: Annotated[str, BeforeValidator(_axes)] = "T"
    placement: Placement = "residual"
    direction: Direction = "bidirectional"
    first: First = "future"
    rounding: Rounding = "fold"
    every: int | None = Field(default=None, ge=1)
    repeats: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _published(self) -> Self:
        for name, value, only in (
            ("direction", self.direction, "bidirectional"),
            ("rounding", self.rounding, "fold"),
        ):
            if self.axes != "T" and value != only:
                raise ConfigError(
                    f"a shift along {self.axes} with {name} {value}", where=name, fix=f"leave it at {only}"
                )
        return self

    @property
    def mixes_time(self) -> bool:
        """Some channel moves between frames."""
        return self.proportion > 0 and "T" in self.axes

    def spec(self, channels: int, segments: int) -> ShiftSpec:
        """The shift of a tensor with ``channels`` channels.

        Raises:
            ShiftError: the proportion moves no channel.
        """
        if self.axes == "T":
            once = ShiftSpec.tsm(
                channels,
                segments,
                self.proportion,
                direction=self.direction,
                first=self.first,
                rounding=self.rounding,
            )
        else:
            once = ShiftSpec.stsm(channels, segments, self.proportion, self.axes, first=self.first)
        # Zero-filled steps add up: n shifts by one step are one shift by n steps.
        moves = tuple(
            Move(move.start, move.stop, *(step * self.repeats for step in move.displacement))
            for move in once.moves
        )
        return ShiftSpec(segments, moves)
