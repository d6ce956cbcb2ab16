"""Fixtures that several folders share: tiny checkpoints and bundles."""

import dataclasses
import hashlib
import os
from pathlib import Path

import pytest

from edgevid.bench.environment import quiet_thread_pools

# Two processes test at once: a pool that spins for its next piece of work takes the processor from the other,
# and the tests of networks cost four times as much.
for name, value in quiet_thread_pools().items():
    os.environ.setdefault(name, value)

LONGEST = ("test_readme.py", "test_demo_on_arm.py", "test_recipe.py")
"""Begun first, so that no process is left alone with them at the end."""


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session", autouse=True)
def each_network_is_exported_once():
    """PyTorch takes seconds to export a network: of one with the same weights, copies are given out.

    What tests export by `edgevid.graph.export` themselves is exported each time.
    """
    from edgevid import source

    graphs, of_checkpoint = {}, source._of_checkpoint

    def remembered(checkpoint, say):
        opened = of_checkpoint(checkpoint, say)
        weights = hashlib.sha256(repr(checkpoint.config).encode())
        for name, tensor in sorted(checkpoint.state.items()):
            weights.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            weights.update(tensor.numpy())

        def graph(batch):
            key = weights.hexdigest(), batch
            if key in graphs:
                say("exporting the graph")
            else:
                graphs[key] = opened.graph(batch)
            return graphs[key].clone()

        return dataclasses.replace(opened, graph=graph)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "_of_checkpoint", remembered)
        yield


@pytest.fixture(scope="session")
def tiny_network():
    """A narrow TSM ResNet with random weights, in evaluation mode."""
    import torch

    from edgevid.models import build
    from edgevid.models.config import NetworkConfig, ShiftConfig

    torch.manual_seed(0)
    config = NetworkConfig(
        backbone="resnet50",
        blocks=(1, 1, 1, 1),
        channels=(16, 8, 8, 16, 16),
        classes=5,
        segments=4,
        size=32,
        shift=ShiftConfig(),
    )
    network = build(config).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.05)
            module.running_var.uniform_(0.5, 1.5)
        elif isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, std=0.5)
    return network


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny_network, tmp_path_factory) -> Path:
    """``tiny_network`` in edgevid's own layout."""
    from edgevid.checkpoints import write

    path = tmp_path_factory.mktemp("tiny") / "tiny.safetensors"
    write(path, tiny_network)
    return path


@pytest.fixture(scope="session")
def tiny_onnx(tiny_network, tmp_path_factory) -> Path:
    """``tiny_network`` as others export it: shifts by assignment in place, any batch."""
    from edgevid.bench.in_place import export_in_place

    path = tmp_path_factory.mktemp("foreign") / "tiny.onnx"
    return export_in_place(tiny_network, "legacy", path, dynamic=True)


@pytest.fixture(scope="session")
def tiny_bundle(tiny_checkpoint, tmp_path_factory) -> Path:
    """``tiny_checkpoint`` compiled for this machine, batches 1 and 2. Do not change it: copy it."""
    from edgevid.compiler import compile_checkpoint

    path = tmp_path_factory.mktemp("bundles") / "tiny.bundle"
    compile_checkpoint(tiny_checkpoint, path, batches=(1, 2))
    return path
