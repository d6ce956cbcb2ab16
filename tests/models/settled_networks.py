"""Networks whose random weights give answers worth comparing, and the clips for them."""

import torch

from edgevid.models import build


def clips(config, count=1):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, config.segments, 3, config.size, config.size, generator=generator)


def settled(config, bias=None):
    """A network with random weights whose batch norms are fitted to the data.

    ``bias`` is the spread of the batch norms' biases; without it they are zero.
    """
    torch.manual_seed(0)
    network = build(config)
    for layer in network.modules():
        if isinstance(layer, (torch.nn.BatchNorm2d, torch.nn.BatchNorm3d)):
            layer.momentum = 1.0
            if bias is not None:
                torch.nn.init.normal_(layer.bias, std=bias)
        elif isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight)
    with torch.no_grad():
        network.train()(clips(config, 4))
    return network.eval()


def answer(network, frames):
    with torch.no_grad():
        return network(frames)


def relative(one, other):
    return float((one - other).abs().max() / other.abs().max())


def on_shapes_alone(config):
    with torch.device("meta"):
        return build(config)
