"""The presets of PSN (Tian et al., arXiv 2007.11460) and of the baselines of its table 1."""

from __future__ import annotations

from fractions import Fraction

from edgevid.models.config import NetworkConfig
from edgevid.models.preset import Preset
from edgevid.models.synthesis_config import SpatialKernel, SynthesisConfig, TemporalKernel

__all__ = ["presets"]

_TABLE_1 = "PSN (arXiv 2007.11460) table 1"
_TABLE_4 = "PSN (arXiv 2007.11460) table 4"
_SPATIAL: tuple[SpatialKernel, ...] = (1, 3, 5, "pool")
_TEMPORAL: tuple[TemporalKernel, ...] = (1, 3, 5, 7)


def _published(
    name: str,
    synthesis: SynthesisConfig,
    source: str,
    *,
    segments: int = 8,
    size: int = 224,
    parameters: float | None = None,
    gmacs: float | None = None,
) -> Preset:
    # Something-Something has 174 classes.
    config = NetworkConfig(
        backbone="resnet50", classes=174, segments=segments, size=size, synthesis=synthesis
    )
    return Preset.of(name, config, source, parameters=parameters, gmacs=gmacs)


def presets() -> list[Preset]:
    """In the order in which they are listed."""
    whole = SynthesisConfig(spatial=(1, 3, 5), temporal=(1, 3, 5), share=Fraction(1))
    sixteenth = whole.model_copy(update={"share": Fraction(1, 16)})
    baselines = {
        "rf-s": SynthesisConfig(spatial=(3,), temporal=(3,), routing=False),
        "rf-l": SynthesisConfig(spatial=(5,), temporal=(7,), routing=False),
        "rf-l-inception": SynthesisConfig(spatial=_SPATIAL, temporal=(7,), routing=False),
        "rf-l-inception-t": SynthesisConfig(spatial=_SPATIAL, temporal=_TEMPORAL, routing=False),
    }
    return [
        _published("psn-resnet50", SynthesisConfig(), _TABLE_4, gmacs=36.19),
        _published("psn-resnet50-16f", SynthesisConfig(), _TABLE_4, segments=16, gmacs=72.38),
        _published("psn-resnet50-5x5x5", whole, _TABLE_1, size=112, parameters=27.55),
        _published("psn-resnet50-sixteenth", sixteenth, _TABLE_1, size=112, parameters=24.05),
        *(
            _published(f"psn-resnet50-{name}", synthesis, _TABLE_1, size=112)
            for name, synthesis in baselines.items()
        ),
    ]
