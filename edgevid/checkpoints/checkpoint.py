"""A checkpoint that was read: its network, its preprocessing, and where every value is from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from edgevid.checkpoints.keys import Reading, check_keys
from edgevid.contract import Normalization, Sampling, Sourced
from edgevid.models import build
from edgevid.models.config import NetworkConfig
from edgevid.models.network import VideoNetwork

__all__ = ["Checkpoint"]


@dataclass(frozen=True)
class Checkpoint:
    """All that a checkpoint, its name, a preset and flags say about one network.

    Attributes:
        path: of the file.
        layout: ``mit``, ``mit-online``, ``mmaction2``, ``torchvision``, ``gsm``, one of S3D's
            (see `edgevid.checkpoints.s3d`), or ``edgevid`` for our own.
        config: of the network.
        state: float32 weights by our key, checked against the network.
        normalization: of the pixels.
        sampling: of the frames.
        labels: class names, ``None`` where nothing says them.
        settings: every value by name with its source: ``flag``, ``file``, ``keys``,
            ``preset``, ``name`` or ``default``.
    """

    path: Path
    layout: str
    config: NetworkConfig
    state: Mapping[str, torch.Tensor]
    normalization: Normalization
    sampling: Sampling
    labels: tuple[str, ...] | None
    settings: Mapping[str, Sourced]

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Names of the settings that nothing says: they are defaults, and may be wrong."""
        return tuple(name for name, item in self.settings.items() if item.source == "default")

    def network(self) -> VideoNetwork:
        """The network with these weights, in evaluation mode."""
        return load(self.config, self.state)


def load(config: NetworkConfig, state: Mapping[str, torch.Tensor]) -> VideoNetwork:
    """The network of ``config`` with a copy of ``state``, loaded strictly, in evaluation mode.

    Useful with `NetworkConfig.without_shift` for a control that differs in the shift only.

    Raises:
        KeyMismatchError: the state does not fit the configuration.
    """
    with torch.device("meta"):
        network = build(config)
    reading = Reading("edgevid", dict(state), {key: key for key in state}, None)
    shapes = {key: tensor.shape for key, tensor in network.state_dict().items()}
    state = check_keys(reading, shapes, config.backbone)
    network.load_state_dict({key: tensor.clone() for key, tensor in state.items()}, strict=True, assign=True)
    return network.eval()
