import pytest

from edgevid.bench.overhead_resnet50 import main, measure_overhead
from edgevid.bench.settings import Settings
from edgevid.bench.storage import load_result

for name in ("torch", "onnxruntime", "openvino"):
    pytest.importorskip(name)


def test_the_shift_of_a_small_network_is_measured_against_the_network_without_it():
    from edgevid.models.config import NetworkConfig, ShiftConfig

    config = NetworkConfig(
        backbone="resnet50", classes=5, size=32, blocks=(1, 1, 1, 1), channels=(8,) * 5, shift=ShiftConfig()
    )
    result = measure_overhead(
        config, lowerings=["negative_pad", "slice_concat"], settings=Settings(rounds=2, warmup=1)
    )
    assert [(variant.name, variant.role) for variant in result.variants] == [
        ("no shift", "baseline"),
        ("no shift (A/A)", "twin"),
        ("negative_pad", "candidate"),
        ("slice_concat", "candidate"),
    ]
    assert result.runs[0].rounds == 2
    assert result.parameters["threads"] == 1
    assert result.title == "resnet50, p = 1/4: overhead of the shift"


@pytest.mark.slow
def test_the_script_measures_resnet50_and_writes_the_result(tmp_path, capsys):
    path = tmp_path / "overhead.json"
    assert main(["--rounds", "2", "--processes", "1", "--output", str(path)]) == 0
    result = load_result(path)
    assert result.parameters["size"] == 224
    assert {"no shift", "volume_split_conv", "no shift, tuned"} <= {
        variant.name for variant in result.variants
    }
    assert "overhead of the shift" in capsys.readouterr().out
