"""The presets of GSM (Sudhakaran et al., CVPR 2020), and of its 2D baseline."""

from __future__ import annotations

from edgevid.contract import Normalization, Sampling
from edgevid.models.config import BackboneName, NetworkConfig
from edgevid.models.gate_config import GateConfig
from edgevid.models.preset import Preset

__all__ = ["CAFFE_PIXELS", "SIZES", "presets"]

CAFFE_PIXELS = Normalization(mean=(104.0, 117.0, 128.0), std=(1.0, 1.0, 1.0), color="BGR")
"""Of both Inceptions, as GSM's published code has it; ECO starts from the same BN-Inception."""

SIZES = {"bn_inception": (224, 256), "eco_bn_inception": (224, 256), "inception_v3": (229, 261)}
"""Crop and short side before it, as there: 256/224 of the crop, rounded down."""

_TABLE_2 = "GSM (CVPR 2020) table 2"
_TABLE_8 = "GSM (CVPR 2020) table 8"


def _published(
    name: str,
    backbone: BackboneName,
    gate: GateConfig | None,
    source: str,
    parameters: float,
    gmacs: float,
    *,
    segments: int = 8,
) -> Preset:
    crop, resize = SIZES[backbone]
    return Preset.of(
        name,
        # Something-Something-V1 has 174 classes.
        NetworkConfig(backbone=backbone, classes=174, segments=segments, size=crop, gate=gate),
        source,
        parameters=parameters,
        gmacs=gmacs,
        normalization=CAFFE_PIXELS,
        sampling=Sampling(segments=segments, resize=resize, crop=crop),
    )


def presets() -> list[Preset]:
    """In the order in which they are listed. Names tell the gates where there are fewer than 10, and
    the frames where there are more than 8; ``plain`` is the gate of the paper's text.
    """
    one, five, ten = (GateConfig(count=count) for count in (1, 5, 10))
    plain = GateConfig(norm=False)
    gmacs = {8: 26.85, 12: 40.26, 16: 53.7, 24: 80.55}
    return [
        _published("tsn-bninception", "bn_inception", None, _TABLE_2, 10.45, 16.37),
        _published("gsm-bninception-1gate", "bn_inception", one, _TABLE_2, 10.46, 16.37),
        _published("gsm-bninception-5gates", "bn_inception", five, _TABLE_2, 10.48, 16.39),
        _published("gsm-bninception", "bn_inception", ten, _TABLE_2, 10.50, 16.46),
        _published("gsm-bninception-plain", "bn_inception", plain, _TABLE_2, 10.50, 16.46),
        *(
            _published(
                "gsm-inceptionv3" + (f"-{segments}f" if segments > 8 else ""),
                "inception_v3",
                ten,
                _TABLE_8,
                22.21,
                work,
                segments=segments,
            )
            for segments, work in gmacs.items()
        ),
    ]
