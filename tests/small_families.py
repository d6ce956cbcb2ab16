"""The smallest networks of the demonstration's families, which several folders' tests share."""

from fractions import Fraction

import torch

from edgevid.demo.families import FAMILIES
from edgevid.models import NetworkConfig, build

RESNET = {"blocks": (1, 1, 1, 1), "channels": (16, 8, 8, 16, 16), "size": 32, "segments": 4}
CHANGES = {
    "stsm": RESNET,
    "gsm": {"width": Fraction(1, 16), "segments": 4},
    "s3d-g": {"width": Fraction(1, 8), "size": 32},
    "psn": RESNET,
}


def tiny(name):
    """The configuration of a member, narrower than the demonstration's."""
    return NetworkConfig.model_validate({**FAMILIES[name].model_dump(), **CHANGES[name]})


def random_member(name):
    """A network of that configuration whose batch norms are fitted to noise, in evaluation mode."""
    torch.manual_seed(0)
    config = tiny(name)
    network = build(config).train()
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
            layer.momentum = 1.0  # else the values of a deep network vanish
        elif isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=0.3)
    with torch.no_grad():
        network(torch.randn(4, config.segments, 3, config.size, config.size))
    return network.eval()
