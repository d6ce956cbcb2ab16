"""The presets of STSM (Yang and An, Mathematics 2022): its best shift on both backbones."""

from __future__ import annotations

from fractions import Fraction

from edgevid.models.config import BackboneName, NetworkConfig
from edgevid.models.preset import Preset
from edgevid.models.shift_config import ShiftConfig

__all__ = ["ALPHAS", "AXES", "STSM_MOBILENET", "STSM_TABLE_4", "presets"]

ALPHAS = tuple(Fraction(alpha) for alpha in ("0", "1/8", "1/4", "3/8", "1/2", "3/4", "1"))
"""Shares of the channels that move in the paper's comparison of them; 3/8 is the best."""

AXES = ("T", "H", "W", "H+W", "HW", "T+H+W", "T+HW", "TH+TW+HW", "T+H+W+TH+TW+HW")
"""Directions in the paper's comparison of them (tables 2 and 3); ``T+H+W`` is the best."""

STSM_TABLE_4 = "STSM (Mathematics 2022) table 4"
STSM_MOBILENET = (
    "printed parameters are with 174 classes, in units of 2^20; printed work counts two operations for every "
    "batch-normed and one for every activated number"
)
"""What its MobileNetV2 row counts, which its text does not say; `tests/models/test_presets_and_cost.py`
has the sums."""


def _published(
    name: str, backbone: BackboneName, parameters: float, gmacs: float, remark: str = ""
) -> Preset:
    shift = ShiftConfig(proportion=Fraction(3, 8), axes="T+H+W")
    config = NetworkConfig(backbone=backbone, classes=400, shift=shift)
    return Preset.of(name, config, STSM_TABLE_4, parameters=parameters, gmacs=gmacs, remark=remark)


def presets() -> list[Preset]:
    """In the order in which they are listed."""
    return [
        _published("stsm-resnet50", "resnet50", 24.3, 33),
        _published("stsm-mobilenetv2", "mobilenet_v2", 2.33, 2.55, STSM_MOBILENET),
    ]
