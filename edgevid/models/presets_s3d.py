"""The presets of I3D, I2D, S3D, S3D-G and Fast-S3D, of what lies between, and of three releases."""

from __future__ import annotations

from typing import NamedTuple

from edgevid.contract import Normalization, Sampling
from edgevid.models.config import NetworkConfig
from edgevid.models.preset import Preset
from edgevid.models.volume_config import UNITS, Kernels, VolumeConfig

__all__ = ["RELEASES", "Release", "presets"]


class Release(NamedTuple):
    """What a publisher's network looks at.

    Attributes:
        segments: frames a clip.
        stride: frames of a video of 25 or 30 a second from one of these to the next.
        interval: seconds from one to the next.
        pixels: their normalization.
    """

    segments: int
    stride: int
    interval: float
    pixels: Normalization

    def sampling(self) -> Sampling:
        """One clip of neighbouring frames from the middle of a video."""
        window = self.segments * self.stride
        return Sampling(segments=self.segments, mode="dense", window=window, interval=self.interval)


RELEASES = {
    # S3D (ECCV 2018), section 4; kylemin/S3D, main.py: pixels from -1 to 1.
    "kylemin-s3d": Release(
        64, 1, 1 / 25, Normalization(mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5))
    ),
    # torchvision, S3D_Weights: 255 times the mean and the deviation of its video networks.
    "torchvision-s3d": Release(
        16,
        2,
        1 / 15,
        Normalization(mean=(110.2008, 100.63983, 95.99475), std=(58.14765, 56.46975, 55.332195)),
    ),
    # Miech et al., CVPR 2020; S3D_HowTo100M, README: pixels from 0 to 1.
    "howto100m": Release(32, 3, 1 / 10, Normalization(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0))),
}
"""By the layout of their checkpoints, see `edgevid.checkpoints.s3d`."""

_S3D = "S3D (ECCV 2018) table 2"
_TEXT = (
    "counted from the paper's text, and to the digit the parameters of published ports; the printed numbers "
    "do not follow from it"
)
_GATES = (
    "gates as the paper's text has them, behind every layer over time; the printed parameters are those of "
    "gates behind the stem, conv_2c and every mixed block but the last"
)
_KINDS: tuple[tuple[Kernels, str], ...] = (("full", "i3d"), ("separable", "s3d"))


def _published(
    name: str,
    volumes: VolumeConfig,
    source: str,
    *,
    release: Release = RELEASES["kylemin-s3d"],
    classes: int = 400,
    parameters: float | None = None,
    gmacs: float | None = None,
    remark: str = "",
    layout: str = "",
) -> Preset:
    config = NetworkConfig(
        backbone="inception_v1", classes=classes, segments=release.segments, size=224, volumes=volumes
    )
    return Preset.of(
        name,
        config,
        source,
        parameters=parameters,
        gmacs=gmacs,
        normalization=release.pixels,
        sampling=release.sampling(),
        remark=remark,
        layouts=(layout,) if layout else (),
    )


def _partial(kernels: Kernels, title: str, count: int) -> list[Preset]:
    source = "S3D (ECCV 2018) section 4.2, figure 4"
    return [
        _published(f"top-heavy-{title}-{count}", VolumeConfig.top_heavy(count, kernels), source),
        _published(f"bottom-heavy-{title}-{count}", VolumeConfig.bottom_heavy(count, kernels), source),
    ]


def presets() -> list[Preset]:
    """In the order in which they are listed; numbers count the layers that reach over time."""
    separable, full = VolumeConfig(), VolumeConfig(kernels="full")
    return [
        _published("i3d", full, _S3D, parameters=12.06, gmacs=107.89, remark=_TEXT),
        _published("i2d", VolumeConfig(temporal=(0, 0)), "S3D (ECCV 2018) section 4.1"),
        _published("s3d", separable, _S3D, parameters=8.77, gmacs=66.38, remark=_TEXT),
        _published(
            "s3d-g", VolumeConfig(gating="temporal"), _S3D, parameters=11.56, gmacs=71.38, remark=_GATES
        ),
        _published(
            "fast-s3d",
            VolumeConfig.top_heavy(2, "separable"),
            "S3D (ECCV 2018) section 4.4",
            gmacs=43.47,
            remark=_TEXT,
        ),
        *(
            preset
            for kernels, title in _KINDS
            for count in range(1, len(UNITS))
            for preset in _partial(kernels, title, count)
        ),
        _published("kylemin-s3d", separable, "kylemin/S3D, README", parameters=8.32, layout="kylemin-s3d"),
        _published(
            "torchvision-s3d",
            separable,
            "torchvision's documentation of s3d; its operations are those of 16 frames",
            release=RELEASES["torchvision-s3d"],
            parameters=8.32,
            gmacs=17.98,
            layout="torchvision-s3d",
        ),
        _published(
            "howto100m-s3dg",
            VolumeConfig(gating="branches", release="howto100m", head="features"),
            "S3D_HowTo100M, README: features, 32 frames",
            release=RELEASES["howto100m"],
            classes=1024,
            layout="howto100m",
        ),
    ]
