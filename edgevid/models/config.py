"""What a network is, without its weights: everything that building and exporting it needs.

A configuration is plain data: frozen, validated, and written to a bundle's manifest as JSON.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import core_schema
from typing_extensions import Self

from edgevid.errors import ConfigError
from edgevid.shift import Direction, First, Move, Rounding, ShiftSpec

__all__ = ["BackboneName", "NetworkConfig", "Placement", "Proportion", "ShiftConfig"]

BackboneName = Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "mobilenet_v2"]
Placement = Literal["residual", "inplace"]

RESNET_BLOCKS: dict[str, tuple[int, ...]] = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}
"""Blocks a stage (He et al., CVPR 2016, table 1)."""

RESNET_CHANNELS = (64, 64, 128, 256, 512)
"""Stem, then the inner width of the four stages (He et al., table 1)."""

MOBILENET_V2_BLOCKS = (1, 2, 3, 4, 3, 3, 1)
MOBILENET_V2_CHANNELS = (32, 16, 24, 32, 64, 96, 160, 320, 1280)
"""Stem, seven stages, last 1x1 convolution (Sandler et al., CVPR 2018, table 2)."""


class _Exact:
    """Teaches pydantic a `Fraction` that is read from 1/4, 0.25 or "1/4" and written as 1/4."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.is_instance_schema(Fraction)


def _fraction(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Fraction)):
        raise ConfigError(f"the proportion is {value!r}, not a number", fix="give 0 to 1, such as 1/4")
    try:
        exact = Fraction(value).limit_denominator(10**6)
    except (ValueError, OverflowError, ZeroDivisionError) as error:
        raise ConfigError(
            f"the proportion is {value!r}, not a number", fix="give 0 to 1, such as 1/4"
        ) from error
    if not 0 <= exact <= 1:
        raise ConfigError(
            f"the proportion is {value}, outside 0 to 1",
            fix="give the share of all channels that move: a published shift_div of 8 is 1/4",
        )
    return exact


Proportion = Annotated[
    Fraction,
    _Exact,
    BeforeValidator(_fraction),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["1/4"]}),
]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Turn pydantic's report into one `ConfigError` that names every field at fault."""
        try:
            return handler(data)
        except ValidationError as error:
            faults = [
                f"{'.'.join(map(str, fault['loc'])) or cls.__name__}: {fault['msg']}"
                for fault in error.errors(include_url=False, include_context=False)
            ]
            known = ", ".join(cls.model_fields)
            raise ConfigError("; ".join(faults), where=cls.__name__, fix=f"the fields are {known}") from error


class ShiftConfig(_Frozen):
    """How the shift of TSM stands in a network (Lin et al., ICCV 2019, sections 3.2 to 4.1).

    Attributes:
        proportion: p, the share of all channels that move; 0 means that none does. MIT's
            ``shift_div`` is ``2 / p`` for the bidirectional and ``1 / p`` for the
            uni-directional shift.
        placement: ``residual`` shifts inside the residual branch, before the first
            convolution; ``inplace`` before the whole block, shortcut included (figure 3).
        direction: ``unidirectional`` takes from the past only.
        first: what the first fold takes; the published code takes the ``future``.
        rounding: see `edgevid.shift.ShiftSpec.tsm`.
        every: every n-th block of a stage is shifted. ``None`` follows the published code,
            see `NetworkConfig.shift_every`.
        repeats: how often the shift is applied on end. Checkpoints written by a doubly
            initialized mmaction2 backbone hold it twice, which moves by two frames.
    """

    proportion: Proportion = Fraction(1, 4)
    placement: Placement = "residual"
    direction: Direction = "bidirectional"
    first: First = "future"
    rounding: Rounding = "fold"
    every: int | None = Field(default=None, ge=1)
    repeats: int = Field(default=1, ge=1)

    def spec(self, channels: int, segments: int) -> ShiftSpec:
        """The shift of a tensor with ``channels`` channels.

        Raises:
            ShiftError: the proportion moves no channel.
        """
        once = ShiftSpec.tsm(
            channels,
            segments,
            self.proportion,
            direction=self.direction,
            first=self.first,
            rounding=self.rounding,
        )
        # Zero-filled steps add up: n shifts by one frame are one shift by n frames.
        moves = tuple(Move(move.start, move.stop, move.dt * self.repeats) for move in once.moves)
        return ShiftSpec(segments, moves)


class NetworkConfig(_Frozen):
    """A 2D network over the frames of a clip with average consensus, with or without a shift.

    Attributes:
        backbone: the family and depth.
        classes: length of the logits.
        segments: T, frames a clip.
        size: height and width of a frame in pixels.
        shift: ``None`` for the 2D baseline (TSN).
        blocks: blocks a stage, 4 for a ResNet, 7 for MobileNetV2; ``None`` is the standard.
        channels: widths, for a ResNet the stem and the inner width of 4 stages, for
            MobileNetV2 the stem, 7 stages and the last convolution; ``None`` is the standard.
        expansion: of MobileNetV2's inverted residuals from the second stage on.
        dropout: before the classifier, inert outside training.

    Raises:
        ConfigError: a field is unknown, out of range, or contradicts another.
    """

    backbone: BackboneName
    classes: int = Field(ge=1)
    segments: int = Field(default=8, ge=1, le=1024)
    size: int = Field(default=224, ge=1, le=4096)
    shift: ShiftConfig | None = None
    blocks: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    channels: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    expansion: int = Field(default=6, ge=2)
    dropout: float = Field(default=0.5, ge=0, lt=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        stages, widths = (7, 9) if self.is_mobilenet else (4, 5)
        for name, value, length in (("blocks", self.blocks, stages), ("channels", self.channels, widths)):
            if value is not None and len(value) != length:
                raise ConfigError(
                    f"{len(value)} {name} for {self.backbone}",
                    where=name,
                    fix=f"give {length}: {self._meaning(name)}",
                )
        if self.is_mobilenet and self.shift is not None:
            if self.shift.placement == "inplace":
                raise ConfigError(
                    "no in-place shift is published for MobileNetV2",
                    where="shift.placement",
                    fix="use the residual placement",
                )
            if self.shift.every not in (None, 1):
                raise ConfigError(
                    f"MobileNetV2 with a shift in every {self.shift.every}th block",
                    where="shift.every",
                    fix="leave it out: all blocks with a skip connection are shifted",
                )
        if not self.is_mobilenet and self.expansion != 6:
            raise ConfigError(
                f"an expansion of {self.expansion} for {self.backbone}",
                where="expansion",
                fix="leave it out: it belongs to MobileNetV2",
            )
        return self

    def _meaning(self, name: str) -> str:
        if name == "blocks":
            return "one number a stage"
        return "stem, 7 stages, last convolution" if self.is_mobilenet else "stem, 4 stages"

    @property
    def is_mobilenet(self) -> bool:
        """The backbone is a MobileNetV2 rather than a ResNet."""
        return self.backbone == "mobilenet_v2"

    @property
    def stage_blocks(self) -> tuple[int, ...]:
        """Blocks a stage, the standard ones filled in."""
        if self.blocks is not None:
            return self.blocks
        return MOBILENET_V2_BLOCKS if self.is_mobilenet else RESNET_BLOCKS[self.backbone]

    @property
    def widths(self) -> tuple[int, ...]:
        """`channels`, the standard ones filled in."""
        if self.channels is not None:
            return self.channels
        return MOBILENET_V2_CHANNELS if self.is_mobilenet else RESNET_CHANNELS

    @property
    def has_shift(self) -> bool:
        """Some channel moves between frames."""
        return self.shift is not None and self.shift.proportion > 0

    @property
    def shift_every(self) -> int:
        """Every n-th block of a stage is shifted.

        The published code shifts every second block when the third stage has 23 blocks or
        more (ResNet-101 and deeper), in the residual placement only.
        """
        if self.shift is None or self.is_mobilenet:
            return 1
        if self.shift.every is not None:
            return self.shift.every
        return 2 if self.shift.placement == "residual" and self.stage_blocks[2] >= 23 else 1

    def without_shift(self) -> NetworkConfig:
        """The same network without temporal mixing: a negative control."""
        return self.model_copy(update={"shift": None})

    def with_swapped_shift(self) -> NetworkConfig:
        """The same network with every shift reversed in time: a negative control.

        Raises:
            ConfigError: there is no shift, or it is uni-directional and has no order to swap.
        """
        if self.shift is None or self.shift.direction == "unidirectional":
            raise ConfigError("no order of folds to swap", where="shift", fix="take a bidirectional network")
        swapped: First = "past" if self.shift.first == "future" else "future"
        return self.model_copy(update={"shift": self.shift.model_copy(update={"first": swapped})})
