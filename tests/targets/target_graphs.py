"""A small network as a graph that takes uint8 clips, for tests of targets."""

from functools import cache

import torch
from exported_once import export

from edgevid import targets
from edgevid.contract import CompileOptions, Normalization, RunSettings
from edgevid.graph.lower import lower
from edgevid.graph.prelude import with_uint8_clips
from edgevid.graph.verify import random_clips
from edgevid.models import NetworkConfig, ShiftConfig, build
from edgevid.targets._profiles import device, device_names


def canonical(batch=1, backbone="resnet50"):
    """The canonical graph of a narrow network with random weights. Do not change it."""
    return _canonical(batch, backbone)


@cache
def _canonical(batch, backbone):
    torch.manual_seed(0)
    widths = (16, 8, 8, 8, 8, 8, 16, 16, 32) if backbone == "mobilenet_v2" else (16,) * 5
    blocks = (1, 2, 2, 1, 1, 1, 1) if backbone == "mobilenet_v2" else (1, 2, 1, 1)
    config = NetworkConfig(
        backbone=backbone,
        classes=5,
        segments=4,
        size=32,
        shift=ShiftConfig(),
        blocks=blocks,
        channels=widths,
    )
    network = build(config).eval()
    torch.nn.init.normal_(network.get_submodule("fc" if backbone != "mobilenet_v2" else "classifier").weight)
    return with_uint8_clips(export(network, batch=batch), Normalization())


def device_of(target):
    """A device of that target, this machine where there is a profile for it."""
    devices = [found for found in map(device, device_names()) if found.target == target]
    return next((found for found in devices if found.is_this_machine), devices[0])


def capability_of(target):
    return targets.find(target).probe(device_of(target))


def compiled(target, folder, *, batch=1, precision="fp32", lowering=None, settings=None, graph=None):
    """An artifact in a new folder below ``folder``; by default with the target's own lowering."""
    graph = graph or canonical(batch)
    if lowering is None:
        lowering = targets.find(target).default_lowering(graph, device_of(target), precision, batch)
    place = folder / f"{target}-{precision}-{batch}-{lowering}"
    place.mkdir(parents=True)
    options = CompileOptions(
        device_of(target), place, precision, batch, lowering, settings or RunSettings(threads=1)
    )
    return targets.find(target).compile(lower(graph, lowering), options)


def clips_for(session, count=None, seed=0):
    """``[N, T, H, W, 3]`` for a session of N clips, or ``count`` of them."""
    return random_clips(session.input, count or session.input.shape[0], seed)
