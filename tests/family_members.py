"""Small networks of GSM, STSM and PSN over frames that several tests share."""

import torch

from edgevid.models import NetworkConfig, ShiftConfig, build
from edgevid.models.gate_config import GateConfig
from edgevid.models.synthesis_config import SynthesisConfig

RESNET = {"backbone": "resnet50", "blocks": (1, 1, 1, 1), "channels": (16, 8, 8, 16, 16), "size": 32}
MEMBERS = {
    "gsm": {"backbone": "bn_inception", "width": "1/16", "size": 64, "gate": GateConfig(count=3)},
    "stsm": {**RESNET, "shift": ShiftConfig(proportion="3/4", axes="T+H+W")},
    "psn": {**RESNET, "synthesis": SynthesisConfig(spatial=(1, 3), temporal=(3, 5))},
}
FRAMES, CLASSES = 4, 5


def member(name):
    """With weights that keep the variance."""
    torch.manual_seed(0)
    network = build(NetworkConfig(classes=CLASSES, segments=FRAMES, **MEMBERS[name])).eval()
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight)
        elif isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(layer.bias, std=0.1)
        elif isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=0.3)
    return network
