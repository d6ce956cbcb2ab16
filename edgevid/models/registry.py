"""Named presets: a network together with the preprocessing that its publisher trained it for.

A preset says what a checkpoint's weights cannot: frames, proportion, direction,
normalization and sampling. Its number of classes is only that of the published example.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from fractions import Fraction

from edgevid.contract import Normalization, Sampling
from edgevid.errors import ConfigError
from edgevid.models.config import BackboneName, NetworkConfig, ShiftConfig

__all__ = ["Preset", "preset", "preset_names"]

_TSM = "TSM (ICCV 2019) table 2"
_STSM = "STSM (Mathematics 2022) table 4"
_MMACTION2 = "mmaction2 1.x, configs/recognition/tsm/README.md"


@dataclass(frozen=True)
class Preset:
    """A published network.

    Attributes:
        name: what `preset` finds it by.
        config: of the network.
        normalization: of its pixels.
        sampling: of the frames it is tested on.
        parameters: in millions as published, ``None`` where nothing is published.
        gmacs: billions of multiply-accumulates a clip as published, or ``None``.
        source: of the two numbers, or of the network where there are none.
    """

    name: str
    config: NetworkConfig
    normalization: Normalization
    sampling: Sampling
    parameters: float | None
    gmacs: float | None
    source: str


def _published(
    name: str,
    backbone: BackboneName,
    shift: ShiftConfig | None,
    source: str,
    *,
    segments: int = 8,
    classes: int = 400,
    size: int = 224,
    parameters: float | None = None,
    gmacs: float | None = None,
    dense: bool = False,
    mmaction2: bool = False,
) -> Preset:
    config = NetworkConfig(backbone=backbone, classes=classes, segments=segments, size=size, shift=shift)
    sampling = Sampling(
        segments=segments,
        mode="dense" if dense else "uniform",
        clips=10 if dense else 1,
        crops=3 if dense else 1,
        resize=256,
        crop=size,
        library="opencv" if mmaction2 else "pil",
        average="softmax" if mmaction2 else "logits",
    )
    return Preset(name, config, Normalization(), sampling, parameters, gmacs, source)


def _presets() -> list[Preset]:
    tsm = ShiftConfig()
    online = ShiftConfig(proportion=Fraction(1, 8), direction="unidirectional")
    return [
        _published("tsn-resnet50", "resnet50", None, _TSM, parameters=24.3, gmacs=33),
        _published("tsn-resnet50-16f", "resnet50", None, _TSM, segments=16, parameters=24.3, gmacs=65),
        _published("tsn-resnet101", "resnet101", None, "TSM's published code"),
        _published("tsn-mobilenetv2", "mobilenet_v2", None, _STSM, parameters=2.33, gmacs=2.55),
        _published("tsm-resnet50", "resnet50", tsm, _TSM, parameters=24.3, gmacs=33),
        _published("tsm-resnet50-16f", "resnet50", tsm, _TSM, segments=16, parameters=24.3, gmacs=65),
        _published(
            "tsm-resnet50-dense",
            "resnet50",
            tsm,
            "TSM's published code: 10 clips, 3 crops",
            size=256,
            dense=True,
        ),
        _published(
            "tsm-resnet50-inplace", "resnet50", ShiftConfig(placement="inplace"), "TSM (ICCV 2019) figure 3"
        ),
        _published("tsm-resnet50-online", "resnet50", online, "TSM (ICCV 2019) section 4.2, uni-directional"),
        _published("tsm-resnet101", "resnet101", tsm, "TSM's published code"),
        _published("tsm-mobilenetv2", "mobilenet_v2", tsm, _STSM, parameters=2.33, gmacs=2.55),
        _published("tsm-mobilenetv2-online", "mobilenet_v2", online, "TSM's online demo, Jester", classes=27),
        _published("mmaction2-tsn-resnet50", "resnet50", None, "mmaction2 1.x", mmaction2=True),
        _published(
            "mmaction2-tsm-resnet50",
            "resnet50",
            tsm,
            _MMACTION2,
            parameters=23.87,
            gmacs=32.88,
            mmaction2=True,
        ),
        _published(
            "mmaction2-tsm-resnet50-16f", "resnet50", tsm, "mmaction2 1.x", segments=16, mmaction2=True
        ),
        _published(
            "mmaction2-tsm-mobilenetv2",
            "mobilenet_v2",
            tsm,
            _MMACTION2,
            parameters=2.736,
            gmacs=3.269,
            mmaction2=True,
        ),
    ]


def preset_names() -> tuple[str, ...]:
    """All names that `preset` knows."""
    return tuple(item.name for item in _presets())


def preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        ConfigError: there is none; the close ones are named.
    """
    presets = {item.name: item for item in _presets()}
    if name not in presets:
        close = difflib.get_close_matches(name, presets, n=3, cutoff=0.5) or list(presets)
        raise ConfigError(f"no preset named {name!r}", where="preset", fix=f"take one of {', '.join(close)}")
    return presets[name]
