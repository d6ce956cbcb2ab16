"""Which layers of Inception-V1 reach over time, and how (Xie et al., ECCV 2018)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from edgevid.errors import ConfigError
from edgevid.models.frozen import Frozen

__all__ = ["UNITS", "Gating", "Kernels", "VolumeConfig"]

UNITS = (
    *("stem", "conv_2c", "mixed_3b", "mixed_3c"),
    *("mixed_4b", "mixed_4c", "mixed_4d", "mixed_4e", "mixed_4f"),
    *("mixed_5b", "mixed_5c"),
)
"""The layers that may reach over time, from the bottom: K counts these (Xie et al., section 4.2)."""

Kernels = Literal["separable", "full"]
Gating = Literal["none", "temporal", "branches"]
Index = Annotated[int, Field(ge=0, le=len(UNITS))]


class VolumeConfig(Frozen):
    """An Inception-V1 that takes whole clips: I3D, I2D, S3D, S3D-G and what lies between.

    Attributes:
        kernels: ``full`` k x k x k (I3D), or ``separable`` 1 x k x k and then k x 1 x 1 (S3D).
        temporal: first, and one past the last, of `UNITS` that reach over time; the others have
            1 x k x k kernels. ``(0, 11)`` is I3D or S3D, ``(0, 0)`` I2D, ``(9, 11)`` Fast-S3D.
            Strides and maxima over time stay in all of them.
        gating: ``temporal`` scales channels behind every layer that reaches over time (section
            4.4); ``branches`` behind conv_2c and every branch of a mixed block, as the published
            codes do.
        release: whose arithmetic is followed where published codes differ. ``kylemin`` is also
            torchvision's: symmetric pads, averages over two neighbouring moments. ``howto100m``:
            a 4 x 8 x 8 stem (space to depth, then 2 x 4 x 4), TensorFlow's SAME pads, the plain
            mean, and another epsilon of the batch norms.
        head: ``features`` returns the averaged features instead of logits, as the HowTo100M
            release does.

    Raises:
        ConfigError: the range is no range, or the release has no such variant.
    """

    kernels: Kernels = "separable"
    temporal: tuple[Index, Index] = (0, len(UNITS))
    gating: Gating = "none"
    release: Literal["kylemin", "howto100m"] = "kylemin"
    head: Literal["classifier", "features"] = "classifier"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        first, end = self.temporal
        if first > end:
            raise ConfigError(
                f"layers {first} to {end} reach over time",
                where="volumes.temporal",
                fix=f"give the first, and one past the last, of {len(UNITS)} layers; (0, 0) for none",
            )
        if self.gating == "temporal" and first == end:
            raise ConfigError(
                "gates behind layers over time, of which there are none",
                where="volumes.gating",
                fix="take gates behind branches, or none",
            )
        everything = (self.kernels, self.temporal) == ("separable", (0, len(UNITS)))
        if self.release == "howto100m" and not everything:
            raise ConfigError(
                "the HowTo100M release is separable in all layers",
                where="volumes.release",
                fix="leave kernels and temporal out, or take the release kylemin",
            )
        if self.release == "kylemin" and self.head == "features":
            raise ConfigError(
                "features instead of logits",
                where="volumes.head",
                fix="take the head classifier: the HowTo100M release alone returns features",
            )
        return self

    @classmethod
    def top_heavy(cls, count: int, kernels: Kernels = "full") -> VolumeConfig:
        """Only the ``count`` uppermost of `UNITS` reach over time (section 4.2).

        Raises:
            ConfigError: there are not so many.
        """
        return cls(kernels=kernels, temporal=(len(UNITS) - count, len(UNITS)))

    @classmethod
    def bottom_heavy(cls, count: int, kernels: Kernels = "full") -> VolumeConfig:
        """Only the ``count`` lowest of `UNITS` reach over time (section 4.2).

        Raises:
            ConfigError: there are not so many.
        """
        return cls(kernels=kernels, temporal=(0, count))

    def reaches(self, unit: int) -> bool:
        """This one of `UNITS` reaches over time."""
        return self.temporal[0] <= unit < self.temporal[1]

    @property
    def mixes_time(self) -> bool:
        """The order of the frames matters: even I2D takes maxima of neighbouring moments."""
        return True

    @property
    def epsilon(self) -> float:
        """Of the batch norms."""
        return 1e-5 if self.release == "howto100m" else 1e-3

    def check(self, segments: int, size: int) -> None:
        """Raise `ConfigError` unless clips of ``segments`` frames of ``size`` pixels pass all strides."""
        even = self.release == "howto100m"
        for name, value, least in (("segments", segments, 5), ("size", size, 17)):
            if even and value % 2:
                raise ConfigError(
                    f"{name} is {value}", where=name, fix="give an even number: the stem joins pairs"
                )
            if not even and value < least:
                raise ConfigError(
                    f"{name} is {value}",
                    where=name,
                    fix=f"give {least} or more: nothing is left behind the last pooling",
                )
