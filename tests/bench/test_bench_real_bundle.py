import shutil

import pytest

from edgevid.bench.bundles import bench_bundles
from edgevid.bench.settings import Settings
from edgevid.errors import BundleIntegrityError, ConfigError

for name in ("torch", "onnxruntime", "openvino"):
    pytest.importorskip(name)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A small shifted network, compiled for this machine in batches of 1 and 2."""
    import torch

    from edgevid.checkpoints import native
    from edgevid.compiler import compile_checkpoint
    from edgevid.models import build
    from edgevid.models.config import NetworkConfig, ShiftConfig

    folder = tmp_path_factory.mktemp("bundle")
    config = NetworkConfig(
        backbone="resnet18",
        classes=5,
        segments=4,
        size=32,
        channels=(16,) * 5,
        blocks=(1,) * 4,
        shift=ShiftConfig(),
    )
    torch.manual_seed(0)
    native.write(folder / "small.safetensors", build(config).eval())
    compile_checkpoint(
        folder / "small.safetensors", folder / "small", batches=(1, 2), lowering="slice_concat"
    )
    return folder / "small"


def test_a_compiled_bundle_is_measured_at_a_batch_size_and_thread_count(bundle):
    result = bench_bundles([bundle], batch=2, threads=1, settings=Settings(rounds=12))
    assert [variant.name for variant in result.variants] == ["small", "small (A/A)"]
    assert result.variants[0].label == "measured"
    assert result.runs[0].rounds == 12
    assert min(result.runs[0].samples["small"].wall_ns) > 0
    assert "spins" not in str(result.verdict)


def test_a_batch_that_was_not_compiled_is_refused_with_those_that_were(bundle):
    with pytest.raises(ConfigError, match="no artifact for batch 3") as caught:
        bench_bundles([bundle], batch=3)
    assert "1, 2" in caught.value.fix


def test_a_damaged_bundle_is_not_measured(bundle, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(bundle, damaged)
    with next(damaged.glob("artifacts/*/model.bin")).open("r+b") as file:
        file.write(b"\0\1\2\3")
    with pytest.raises(BundleIntegrityError, match="has changed"):
        bench_bundles([bundle, damaged])
