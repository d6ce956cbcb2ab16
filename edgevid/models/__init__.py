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
    if config.backbone == "bn_inception":
        from edgevid.models.bn_inception import BNInception

        return BNInception(config)
    if config.backbone == "inception_v3":
        from edgevid.models.inception_v3 import InceptionV3

        return InceptionV3(config)
    if config.backbone == "inception_v1":
        from edgevid.models.inception_v1 import InceptionV1

        return InceptionV1(config)
    if config.backbone == "eco_bn_inception":
        from edgevid.models.eco import ECO

        return ECO(config)
    if config.inflation is not None:
        from edgevid.models.inflated_resnet import InflatedResNet

        return InflatedResNet(config)
    from edgevid.models.resnet import ResNet

    return ResNet(config)
