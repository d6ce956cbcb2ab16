"""Which convolutions of a ResNet reach over time, and where time is halved."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgevid.errors import ConfigError
from edgevid.models.frozen import Frozen

__all__ = ["InflationConfig", "Place"]

Place = Literal["first", "front"]
Blocks = tuple[Annotated[int, Field(ge=0)], ...]
Stride = Literal[1, 2]


class InflationConfig(Frozen):
    """A ResNet that takes whole clips: I3D (Carreira and Zisserman, CVPR 2017; Wang et al., CVPR
    2018, section 3.3) and Temporal-1D. The defaults are I3D of Wang and Gupta (ECCV 2018, table 1).

    Attributes:
        blocks: numbers of the blocks with a kernel over three frames, for each of four stages.
        place: where it stands in them. ``first`` makes the first 1x1 convolution one of 3x1x1;
            ``front`` puts a 3x1x1 convolution of all channels in front of the residual branch,
            where TSM has its shift.
        stem: frames that the 7x7 convolution spans.
        strides: over time, of the stem, of the maxima behind it, and of maxima behind the first
            stage, which are left out where it is 1.
        last_stride: over height and width, of the fourth stage.

    Raises:
        ConfigError: fields are unknown or out of range.
    """

    blocks: tuple[Blocks, Blocks, Blocks, Blocks] = ((0, 1, 2), (0, 2), (0, 2, 4), (1,))
    place: Place = "first"
    stem: Literal[1, 3, 5] = 5
    strides: tuple[Stride, Stride, Stride] = (1, 1, 2)
    last_stride: Stride = 1

    @property
    def mixes_time(self) -> bool:
        """Some kernel reaches other frames."""
        return self.stem > 1 or any(self.blocks)

    def check(self, counts: tuple[int, ...]) -> None:
        """Raise `ConfigError` unless stages of ``counts`` blocks have all of `blocks`."""
        for stage, (blocks, count) in enumerate(zip(self.blocks, counts, strict=True), start=1):
            if blocks and max(blocks) >= count:
                raise ConfigError(
                    f"block {max(blocks)} of stage {stage} is inflated, which has {count}",
                    where="inflation.blocks",
                    fix=f"give numbers from 0 to {count - 1} there",
                )
