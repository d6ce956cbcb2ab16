"""Fixtures that several folders share: tiny checkpoints and bundles."""

import contextlib
import functools
import gc
import os
from importlib import import_module
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


def pytest_collection_finish():
    """What stands in memory before the first test stays: the collector need not look through it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def the_users_cache_stays_as_it_is(tmp_path_factory):
    """What tests choose, tune and download is kept in a cache of their own, from one run to the next.

    The commands that they start inherit it. Downloads that the user has are taken from there.
    """
    base = tmp_path_factory.getbasetemp()
    runs = base.parent.parent if "PYTEST_XDIST_WORKER" in os.environ else base.parent
    cache = runs / "edgevid-cache"
    (cache / "edgevid").mkdir(parents=True, exist_ok=True)
    users = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgevid"
    for link in (cache / "edgevid").iterdir():
        if link.is_symlink() and not link.exists():
            link.unlink(missing_ok=True)
    for download in (*users.glob("tvm-*-aarch64"), *users.glob("python-arm64-*")):
        with contextlib.suppress(FileExistsError):
            (cache / "edgevid" / download.name).symlink_to(download)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        yield


@pytest.fixture(scope="session", autouse=True)
def each_network_is_exported_once(tmp_path_factory):
    """Of those that edgevid exports, by all processes that test together: see `exported_once`."""
    import exported_once

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "exported"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(exported_once.FOLDER, str(folder))
        patch.setattr(import_module("edgevid.graph.export"), "export", exported_once.export)
        yield


@pytest.fixture(scope="session", autouse=True)
def the_exporter_lists_its_operations_once():
    """PyTorch's exporter finds out anew for each network what it can translate: a third of a small export."""
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    listed = functools.cache(ONNXRegistry.from_torchlib)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(listed))
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
def tiny_flow_checkpoint(tiny_checkpoint, tmp_path_factory) -> Path:
    """``tiny_checkpoint`` as a network of optical flow: ten channels a frame."""
    from edgevid.demo.flow_start import write_flow_network

    path = tmp_path_factory.mktemp("tiny-flow") / "flow.safetensors"
    write_flow_network(tiny_checkpoint, path)
    return path


@pytest.fixture(scope="session")
def tiny_flow_bundle(tiny_flow_checkpoint, tmp_path_factory) -> Path:
    """``tiny_flow_checkpoint`` compiled for this machine. Do not change it: copy it."""
    from edgevid.compiler import compile_checkpoint

    path = tmp_path_factory.mktemp("flow-bundles") / "flow.bundle"
    compile_checkpoint(tiny_flow_checkpoint, path, lowering="slice_concat")
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


@pytest.fixture(scope="session")
def tiny_ensemble(tiny_bundle, tiny_checkpoint, tmp_path_factory) -> Path:
    """``tiny_bundle`` and its network for 8 frames, which counts three times as much. Do not change it."""
    from edgevid.ensemble_compiler import compile_ensemble

    path = tmp_path_factory.mktemp("ensembles") / "tiny.ensemble"
    compile_ensemble([tiny_bundle, tiny_checkpoint], path, segments=[4, 8], weights=[1, 3])
    return path
