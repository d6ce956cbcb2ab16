import pytest

from edgevid.bench.foreign_resnet50 import measure_foreign
from edgevid.bench.in_place import in_place
from edgevid.bench.settings import Settings

for name in ("torch", "onnxruntime", "openvino"):
    pytest.importorskip(name)


def test_the_network_with_assignments_in_place_computes_the_same(tiny_network):
    import torch

    frames = torch.randn(2, 4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted, got = tiny_network(frames), in_place(tiny_network)(frames.reshape(2, 12, 32, 32))
    assert torch.allclose(got, wanted, atol=1e-5)


@pytest.mark.slow
def test_files_of_both_exporters_are_measured_beside_the_checkpoint(tiny_network):
    result, facts = measure_foreign(tiny_network.config, settings=Settings(rounds=2, warmup=1))
    assert [(variant.name, variant.role) for variant in result.variants] == [
        ("checkpoint", "baseline"),
        ("checkpoint (A/A)", "twin"),
        ("legacy", "candidate"),
        ("dynamo", "candidate"),
        ("legacy, plain", "candidate"),
        ("dynamo, plain", "candidate"),
    ]
    for name in ("legacy", "dynamo"):
        assert facts[name].difference <= 1e-4
        assert facts[name].artifact_bytes == pytest.approx(facts["checkpoint"].artifact_bytes, rel=0.02)
        assert facts[name].layers < facts[f"{name}, plain"].layers
