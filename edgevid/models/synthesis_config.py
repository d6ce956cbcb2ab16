"""How the perceptron synthesis of PSN stands in a ResNet."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from edgevid.errors import ConfigError
from edgevid.models.frozen import Frozen
from edgevid.models.proportion import Proportion

__all__ = ["SpatialKernel", "SynthesisConfig", "TemporalKernel"]

SpatialKernel = Literal[1, 3, 5, "pool"]
TemporalKernel = Literal[1, 3, 5, 7]


class SynthesisConfig(Frozen):
    """The action perceptron synthesizer (Tian et al., arXiv 2007.11460): spatial kernels, a
    channel-wise routing, temporal kernels.

    Its baselines are values of it too: one kernel on either side is RF-S and RF-L, several
    spatial ones are RF-L-Inception, several on both sides without routing RF-L-Inception-T.

    Attributes:
        spatial: extents of the kernels, one a group of channels. 1 passes its group on, 5 is
            a 3x3 dilated by 2, ``pool`` is a 3x3 maximum of all features, projected.
        temporal: extents of the kernels, one a group; 5 and 7 are 3 taps dilated by 2 and 3.
        share: of a stage's channels that are compressed to; 1 takes them as they are.
        routing: every temporal group takes a learned sum of all spatial ones, channel by
            channel; without it the groups pass straight on.

    Raises:
        ConfigError: a routing between different numbers of groups, or a share of 0.
    """

    spatial: tuple[SpatialKernel, ...] = Field(default=(1, 3, 5, "pool"), min_length=1)
    temporal: tuple[TemporalKernel, ...] = Field(default=(1, 3, 5, 7), min_length=1)
    share: Proportion = Fraction(1, 4)
    routing: bool = True

    @model_validator(mode="after")
    def _routable(self) -> Self:
        if self.routing and len(self.spatial) != len(self.temporal):
            raise ConfigError(
                f"a routing from {len(self.spatial)} to {len(self.temporal)} groups",
                where="routing",
                fix="give as many temporal kernels as spatial ones, or no routing",
            )
        if not self.share:
            raise ConfigError("a synthesis of no features", where="share", fix="leave out the synthesis")
        return self

    @property
    def mixes_time(self) -> bool:
        """Some kernel reaches other frames."""
        return any(extent > 1 for extent in self.temporal)

    def features(self, channels: int) -> int:
        """How many features of a stage with ``channels`` channels are synthesized.

        Groups are of equal size, so it is the largest multiple of the groups within the share.
        """
        groups = math.lcm(len(self.spatial), len(self.temporal))
        return groups * max(1, math.floor(channels * self.share / groups))
