"""The presets of the networks that TSM is compared with (Lin et al., ICCV 2019, tables 2 and 4)."""

from __future__ import annotations

from edgevid.contract import Sampling
from edgevid.models.attention_config import AttentionConfig
from edgevid.models.config import NetworkConfig
from edgevid.models.inflation_config import InflationConfig
from edgevid.models.preset import Preset
from edgevid.models.presets_gsm import CAFFE_PIXELS

__all__ = ["presets"]

_TABLE_2 = "TSM (ICCV 2019) table 2"
_TABLE_4 = "TSM (ICCV 2019) table 4"
_EVERYWHERE = ((0, 1, 2), (0, 1, 2, 3), (0, 1, 2, 3, 4, 5), (0, 1, 2))


def _inflated(
    name: str,
    inflation: InflationConfig,
    source: str,
    parameters: float,
    gmacs: float,
    *,
    attention: AttentionConfig | None = None,
    segments: int = 8,
    clips: int = 1,
    remark: str = "",
) -> Preset:
    config = NetworkConfig(
        backbone="resnet50", classes=400, segments=segments, inflation=inflation, attention=attention
    )
    sampling = None
    if segments == 32:
        # Every second frame (Wang et al., CVPR 2018, section 4).
        sampling = Sampling(segments=segments, mode="dense", window=2 * segments, clips=clips)
    return Preset.of(
        name, config, source, parameters=parameters, gmacs=gmacs, sampling=sampling, remark=remark
    )


def _eco(segments: int, gmacs: float) -> Preset:
    return Preset.of(
        f"eco-{segments}f",
        NetworkConfig(backbone="eco_bn_inception", classes=400, segments=segments),
        _TABLE_2,
        parameters=47.5,
        gmacs=gmacs,
        normalization=CAFFE_PIXELS,
    )


def presets() -> list[Preset]:
    """In the order in which they are listed; GMACs are of one clip, where several are averaged."""
    wang = InflationConfig()
    # Wang et al., CVPR 2018, table 1 and section 3.3: one kernel for every two blocks.
    alternate = InflationConfig(blocks=((0, 2), (0, 2), (0, 2, 4), (0, 2)), strides=(2, 2, 2), last_stride=2)
    replace = InflationConfig(blocks=_EVERYWHERE, stem=1, strides=(1, 1, 1), last_stride=2)
    temporal = replace.model_copy(update={"place": "front"})
    non_local = AttentionConfig()
    return [
        _inflated("i3d-resnet50", wang, _TABLE_2, 28.0, 153, segments=32, clips=2),
        _inflated(
            "nl-i3d-resnet50",
            wang,
            _TABLE_2,
            35.3,
            168,
            attention=non_local,
            segments=32,
            clips=2,
            remark="printed work has two of the four 1x1 convolutions of a non-local block, and no product",
        ),
        _inflated("i3d-3x1x1-resnet50", alternate, _TABLE_4, 29.3, 33, segments=32),
        _inflated("i3d-replace-resnet50", replace, _TABLE_4, 33.0, 48),
        _inflated("temporal1d-resnet50", temporal, _TABLE_4, 72.1, 107),
        _eco(8, 32),
        _eco(16, 64),
    ]
