"""What a network is, without its weights: everything that building and exporting it needs.

A configuration is plain data: frozen, validated, and written to a bundle's manifest as JSON.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator
from typing_extensions import Self

from edgevid.errors import ConfigError
from edgevid.models.attention_config import AttentionConfig
from edgevid.models.frozen import Frozen
from edgevid.models.gate_config import GateConfig
from edgevid.models.inflation_config import InflationConfig
from edgevid.models.proportion import Proportion
from edgevid.models.shift_config import Placement, ShiftConfig
from edgevid.models.synthesis_config import SynthesisConfig
from edgevid.models.volume_config import VolumeConfig
from edgevid.shift import First

__all__ = ["BackboneName", "NetworkConfig", "Placement", "Proportion", "ShiftConfig"]

BackboneName = Literal[
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "mobilenet_v2",
    "bn_inception",
    "eco_bn_inception",
    "inception_v3",
    "inception_v1",
]

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

MIXERS: dict[str, tuple[str, ...]] = {
    "bn_inception": ("gate",),
    "eco_bn_inception": (),
    "inception_v3": ("gate",),
    "inception_v1": ("volumes",),
    "mobilenet_v2": ("shift",),
}
_IN_RESNETS = ("shift", "synthesis", "inflation")
"""What may mix the frames of a backbone, as published. Each has a property ``mixes_time``."""


_SMALLEST = 17
"""Pixels of which two rows are left in a ResNet's third stage."""


class NetworkConfig(Frozen):
    """A 2D network over the frames of a clip with average consensus, or one over volumes.

    At most one of ``shift``, ``gate``, ``volumes``, ``synthesis`` and ``inflation`` mixes
    frames; without any of them the network is the 2D baseline (TSN), but for ECO, which is
    BN-Inception with a 3D ResNet-18.

    Attributes:
        backbone: the family and depth.
        classes: length of the logits.
        segments: T, frames a clip.
        size: height and width of a frame in pixels.
        shift: of TSM or STSM, in a ResNet or MobileNetV2.
        gate: the gate-shift of GSM, in BN-Inception or Inception-V3.
        volumes: which layers of Inception-V1 reach over time (I3D, S3D, S3D-G).
        synthesis: the perceptron synthesis of PSN behind the stages of a ResNet.
        inflation: which layers of a ResNet reach over time (I3D, Temporal-1D).
        attention: non-local blocks in ResNet-50, beside a shift or an inflation or alone.
        blocks: blocks a stage, 4 for a ResNet, 7 for MobileNetV2; ``None`` is the standard.
        channels: widths, for a ResNet the stem and the inner width of 4 stages, for
            MobileNetV2 the stem, 7 stages and the last convolution; ``None`` is the standard.
        width: multiplies all channels of an Inception, see `scaled`.
        expansion: of MobileNetV2's inverted residuals from the second stage on.
        dropout: before the classifier, inert outside training.
        frame_channels: 3 of a picture, or 2k of k stacked fields of optical flow in a network over frames;
            k is 5 in TSN (Wang et al., ECCV 2016, section 3.2).

    Raises:
        ConfigError: a field is unknown, out of range, or contradicts another.
    """

    backbone: BackboneName
    classes: int = Field(ge=1)
    segments: int = Field(default=8, ge=1, le=1024)
    size: int = Field(default=224, ge=1, le=4096)
    shift: ShiftConfig | None = None
    gate: GateConfig | None = None
    volumes: VolumeConfig | None = None
    synthesis: SynthesisConfig | None = None
    inflation: InflationConfig | None = None
    attention: AttentionConfig | None = None
    blocks: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    channels: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    width: Proportion = Fraction(1)
    expansion: int = Field(default=6, ge=2)
    dropout: float = Field(default=0.5, ge=0, lt=1)
    frame_channels: int = Field(default=3, ge=2, le=64)

    @model_serializer(mode="wrap")
    def _as_before_flow(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Of pictures nothing is written about channels, so that their records stay the same."""
        written: dict[str, Any] = handler(self)
        if self.frame_channels == 3:
            written.pop("frame_channels", None)
        return written

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check_mixing()
        self._check_sizes()
        self._check_attention()
        self._check_channels()
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

    def _check_mixing(self) -> None:
        allowed = MIXERS.get(self.backbone, _IN_RESNETS)
        given = [name for name in ("gate", "volumes", *_IN_RESNETS) if getattr(self, name) is not None]
        for name in given:
            if name not in allowed:
                raise ConfigError(
                    f"a {self.backbone} with {name}",
                    where=name,
                    fix=f"leave it out: published are {' and '.join(allowed) or 'none'}",
                )
        if len(given) > 1:
            raise ConfigError(
                f"frames are mixed by {' and by '.join(given)}", where=given[1], fix="give one of them"
            )
        for name in given:
            if name in ("synthesis", "inflation") and self.backbone in ("resnet18", "resnet34"):
                raise ConfigError(f"a {self.backbone} with {name}", where=name, fix="take resnet50 or deeper")

    def _check_attention(self) -> None:
        if self.attention is None:
            return
        if self.backbone != "resnet50" or self.synthesis is not None:
            beside = "" if self.synthesis is None else " and synthesis"
            raise ConfigError(
                f"a {self.backbone} with attention{beside}",
                where="attention",
                fix="take resnet50 with a shift, an inflation or neither: no other is published",
            )
        if self.size < _SMALLEST:
            raise ConfigError(
                f"attention on frames of {self.size} pixels",
                where="size",
                fix=f"give {_SMALLEST} or more: its maxima of 2x2 need as many positions in the third stage",
            )

    def _check_channels(self) -> None:
        if self.frame_channels == 3:
            return
        if self.frame_channels % 2:
            raise ConfigError(
                f"frames of {self.frame_channels} channels",
                where="frame_channels",
                fix="give 3 for pictures, or an even number for stacked fields of optical flow",
            )
        if self.volumes is not None or self.inflation is not None:
            raise ConfigError(
                f"frames of {self.frame_channels} channels in a network over volumes",
                where="frame_channels",
                fix="leave it out: optical flow is for networks over frames",
            )

    def _check_sizes(self) -> None:
        stages, widths = (7, 9) if self.is_mobilenet else (4, 5)
        for name, value, length in (("blocks", self.blocks, stages), ("channels", self.channels, widths)):
            if value is not None and self.is_inception:
                raise ConfigError(
                    f"{name} for {self.backbone}", where=name, fix="scale an Inception by its width"
                )
            if value is not None and len(value) != length:
                raise ConfigError(
                    f"{len(value)} {name} for {self.backbone}",
                    where=name,
                    fix=f"give {length}: {self._meaning(name)}",
                )
        if self.inflation is not None:
            self.inflation.check(self.stage_blocks)
        if not self.is_inception and self.width != 1:
            raise ConfigError(
                f"a width of {self.width} for {self.backbone}",
                where="width",
                fix="give its channels: the width belongs to the Inceptions",
            )

    def _meaning(self, name: str) -> str:
        if name == "blocks":
            return "one number a stage"
        return "stem, 7 stages, last convolution" if self.is_mobilenet else "stem, 4 stages"

    @property
    def is_mobilenet(self) -> bool:
        """The backbone is a MobileNetV2."""
        return self.backbone == "mobilenet_v2"

    @property
    def is_inception(self) -> bool:
        """The backbone is an Inception."""
        return "inception" in self.backbone

    @property
    def stage_blocks(self) -> tuple[int, ...]:
        """Blocks a stage, the standard ones filled in; none for an Inception."""
        if self.blocks is not None:
            return self.blocks
        return MOBILENET_V2_BLOCKS if self.is_mobilenet else RESNET_BLOCKS.get(self.backbone, ())

    @property
    def widths(self) -> tuple[int, ...]:
        """`channels`, the standard ones filled in; none for an Inception."""
        if self.channels is not None:
            return self.channels
        if self.is_inception:
            return ()
        return MOBILENET_V2_CHANNELS if self.is_mobilenet else RESNET_CHANNELS

    def scaled(self, channels: int) -> int:
        """Channels of an Inception's layer: times ``width``, rounded to a multiple of 4, at least 4."""
        return channels if self.width == 1 else max(4, 4 * round(channels * self.width / 4))

    @property
    def has_shift(self) -> bool:
        """Some channel is moved by ``shift``, be it between frames or in space."""
        return self.shift is not None and self.shift.proportion > 0

    @property
    def mixes_time(self) -> bool:
        """The order of the frames matters to the answer."""
        mixer = self.shift or self.gate or self.volumes or self.synthesis or self.inflation
        return self.backbone == "eco_bn_inception" or (mixer is not None and mixer.mixes_time)

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
        """The same network without its shift: a negative control."""
        return self.model_copy(update={"shift": None})

    def with_swapped_shift(self) -> NetworkConfig:
        """The same network with every shift reversed: a negative control.

        Raises:
            ConfigError: there is no shift, or it is uni-directional and has no order to swap.
        """
        if self.shift is None or self.shift.direction == "unidirectional":
            raise ConfigError("no order of folds to swap", where="shift", fix="take a bidirectional network")
        swapped: First = "past" if self.shift.first == "future" else "future"
        return self.model_copy(update={"shift": self.shift.model_copy(update={"first": swapped})})
