"""The networks: configuration, building, presets, parameters and multiply-accumulates.

Importing this package does not import torch; `build` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevid.models.config import NetworkConfig, ShiftConfig

if TYPE_CHECKING:
    from edgevid.models.network import VideoNetwork

__all__ = ["NetworkConfig", "ShiftConfig", "build"]


def build(config: NetworkConfig) -> VideoNetwork:
    """The network of ``config`` with random weights, in training mode.

    Raises:
        ShiftError: the proportion moves no channel of some shifted layer.
    """
    if config.is_mobilenet:
        from edgevid.models.mobilenet_v2 import MobileNetV2

        return MobileNetV2(config)
    from edgevid.models.resnet import ResNet

    return ResNet(config)
