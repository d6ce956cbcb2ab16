"""A published network together with the preprocessing that its publisher trained it for."""

from __future__ import annotations

from dataclasses import dataclass

from edgevid.contract import Normalization, Sampling
from edgevid.models.config import NetworkConfig

__all__ = ["Preset"]


@dataclass(frozen=True)
class Preset:
    """A published network.

    Attributes:
        name: what `edgevid.models.registry.preset` finds it by.
        config: of the network.
        normalization: of its pixels.
        sampling: of the frames it is tested on.
        parameters: in millions as published, ``None`` where nothing is published.
        gmacs: billions of multiply-accumulates a clip as published, or ``None``.
        source: of the two numbers, or of the network where there are none.
        layouts: of checkpoints (see `edgevid.checkpoints.Checkpoint`) that hold this publisher's
            networks; empty where any may.
        remark: why a number that is counted differs by more than 1 % from the published one.
    """

    name: str
    config: NetworkConfig
    normalization: Normalization
    sampling: Sampling
    parameters: float | None
    gmacs: float | None
    source: str
    layouts: tuple[str, ...] = ()
    remark: str = ""

    @classmethod
    def of(
        cls,
        name: str,
        config: NetworkConfig,
        source: str,
        *,
        parameters: float | None = None,
        gmacs: float | None = None,
        normalization: Normalization | None = None,
        sampling: Sampling | None = None,
        layouts: tuple[str, ...] = (),
        remark: str = "",
    ) -> Preset:
        """A preset of ImageNet's normalization and one centre crop of uniformly taken frames, where
        nothing else is given.

        Frames are resized to 256 pixels a short side for crops of 224, and in proportion for
        other sizes.
        """
        if sampling is None:
            resize = round(config.size * 256 / 224)
            sampling = Sampling(segments=config.segments, resize=resize, crop=config.size)
        normalization = normalization or Normalization()
        return cls(name, config, normalization, sampling, parameters, gmacs, source, layouts, remark)
