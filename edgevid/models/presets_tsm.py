"""The presets of TSM, with and without non-local blocks, of its 2D baseline TSN, and of mmaction2's
releases of them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from edgevid.contract import Sampling
from edgevid.models.attention_config import AttentionConfig, Pairwise
from edgevid.models.config import BackboneName, NetworkConfig
from edgevid.models.preset import Preset
from edgevid.models.presets_stsm import STSM_MOBILENET, STSM_TABLE_4
from edgevid.models.shift_config import ShiftConfig

__all__ = ["presets"]

_TSM = "TSM (ICCV 2019) table 2"
_MMACTION2 = "mmaction2 1.x, configs/recognition/tsm/README.md"
_NON_LOCAL: tuple[tuple[Pairwise, float, float], ...] = (
    ("embedded_gaussian", 31.68, 61.30),
    ("dot_product", 31.68, 61.30),
    ("gaussian", 28.00, 59.06),
)
"""Millions of parameters and GMACs there."""

_REORDERED = (
    "printed work has all queries by all keys; without a soft-max keys and values are multiplied first"
)


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
    attention: Pairwise | None = None,
    dense: bool = False,
    mmaction2: bool = False,
    remark: str = "",
) -> Preset:
    config = NetworkConfig(
        backbone=backbone,
        classes=classes,
        segments=segments,
        size=size,
        shift=shift,
        attention=AttentionConfig(pairwise=attention) if attention else None,
    )
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
    return Preset.of(
        name,
        config,
        source,
        parameters=parameters,
        gmacs=gmacs,
        sampling=sampling,
        layouts=("mmaction2",) if mmaction2 else (),
        remark=remark,
    )


def presets() -> list[Preset]:
    """In the order in which they are listed."""
    tsm = ShiftConfig()
    mobilenet: dict[str, Any] = {"source": STSM_TABLE_4, "parameters": 2.33, "gmacs": 2.55}
    mobilenet["remark"] = STSM_MOBILENET
    online = ShiftConfig(proportion=Fraction(1, 8), direction="unidirectional")
    return [
        _published("tsn-resnet50", "resnet50", None, _TSM, parameters=24.3, gmacs=33),
        _published("tsn-resnet50-16f", "resnet50", None, _TSM, segments=16, parameters=24.3, gmacs=65),
        _published("tsn-resnet101", "resnet101", None, "TSM's published code"),
        _published("tsn-mobilenetv2", "mobilenet_v2", None, **mobilenet),
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
        _published(
            "tsm-resnet50-nl",
            "resnet50",
            tsm,
            "TSM's published code: 10 clips, 3 crops",
            size=256,
            attention="embedded_gaussian",
            dense=True,
        ),
        _published("tsm-resnet50-online", "resnet50", online, "TSM (ICCV 2019) section 4.2, uni-directional"),
        _published("tsm-resnet101", "resnet101", tsm, "TSM's published code"),
        _published("tsm-mobilenetv2", "mobilenet_v2", tsm, **mobilenet),
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
            remark="printed parameters are with 174 classes; printed work counts two operations for every "
            "batch-normed number",
        ),
        *(
            _published(
                f"mmaction2-tsm-resnet50-nl-{pairwise.replace('_', '-')}",
                "resnet50",
                tsm,
                _MMACTION2,
                parameters=parameters,
                gmacs=gmacs,
                attention=pairwise,
                mmaction2=True,
                remark=_REORDERED if pairwise == "dot_product" else "",
            )
            for pairwise, parameters, gmacs in _NON_LOCAL
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
            remark="printed work is of frames of 256 pixels and counts two operations for every batch-normed "
            "number",
        ),
    ]
