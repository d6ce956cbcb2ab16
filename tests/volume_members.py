"""Small networks over volumes that several folders' tests share."""

from fractions import Fraction

import torch

from edgevid.models import NetworkConfig, build
from edgevid.models.volume_config import VolumeConfig

MEMBERS = {
    "s3d-g": {"gating": "temporal"},
    "top-heavy": {"kernels": "full", "temporal": (9, 11)},
    "howto100m": {"gating": "branches", "release": "howto100m"},
}
FRAMES, SIZE, CLASSES = 8, 32, 5


def member(name):
    """A narrow network of 8 frames of 32x32 pixels, with weights that keep the variance."""
    torch.manual_seed(0)
    config = NetworkConfig(
        backbone="inception_v1",
        classes=CLASSES,
        segments=FRAMES,
        size=SIZE,
        width=Fraction(1, 8),
        volumes=VolumeConfig(**MEMBERS[name]),
    )
    network = build(config).eval()
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv3d):
            torch.nn.init.kaiming_normal_(layer.weight)
        elif isinstance(layer, torch.nn.BatchNorm3d):
            torch.nn.init.normal_(layer.bias, 0, 0.1)
        elif isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=0.3)
    return network
