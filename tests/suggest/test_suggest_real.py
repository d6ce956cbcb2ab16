"""Tiny networks compiled in a process of their own and measured in others, by the reference runtime."""

import pytest
from suggest_fakes import TINY, run_of

from edgevid.bench.settings import Settings
from edgevid.errors import ConfigError, UnsupportedPrecisionError
from edgevid.models.config import NetworkConfig, ShiftConfig
from edgevid.models.volume_config import VolumeConfig
from edgevid.suggest.measure import Workshop, measure_run, networks_of
from edgevid.suggest.network import compile_apart

for name in ("torch", "onnxruntime"):
    pytest.importorskip(name)

ONLINE = TINY.model_copy(update={"shift": ShiftConfig(proportion="1/8", direction="unidirectional")})
VOLUMES = NetworkConfig(
    backbone="inception_v1", classes=100, segments=8, size=32, width="1/8", volumes=VolumeConfig()
)


def measured(tmp_path, asked, reference=None):
    shop = Workshop(tmp_path / "shop")
    settings = Settings(rounds=3, warmup=1)
    return measure_run(asked, reference, tmp_path / "r.json", settings, shop)


def test_a_network_is_compiled_timed_and_weighed(tmp_path):
    result = measured(tmp_path, run_of("tiny"))
    assert [run.rounds for run in result.runs] == [3]
    assert result.peak_memory["tiny"] > 10_000_000
    said = networks_of(result)["tiny"]
    assert said["lowering"] == "function"
    assert said["macs"] > 0 < said["parameters"]
    assert "random weights: only time and memory mean something" in result.notes


def test_an_error_of_the_compiling_process_arrives_as_it_is(tmp_path):
    with pytest.raises(UnsupportedPrecisionError, match="cannot run int8"):
        compile_apart(run_of(precision="int8"), tmp_path / "a")
    with pytest.raises(ConfigError, match="one thread"):
        compile_apart(run_of(config=ONLINE, one_frame=True, threads=2), tmp_path / "b")


@pytest.mark.slow
def test_one_frame_with_caches_is_measured_beside_one_without(tmp_path):
    plain = run_of("TSN", config=TINY.without_shift(), one_frame=True)
    online = run_of("online", config=ONLINE, one_frame=True)
    result = measured(tmp_path, online, plain)
    assert [variant.name for variant in result.variants] == ["TSN", "TSN (A/A)", "online"]
    said = networks_of(result)
    assert said["TSN"]["macs"] == said["online"]["macs"]
    assert said["online"]["one frame"]


@pytest.mark.slow
def test_networks_over_volumes_and_batches_are_measured_too(tmp_path):
    result = measured(tmp_path, run_of("volumes", config=VOLUMES, batch=2))
    assert result.parameters["batch"] == 2
    assert result.runs[0].rounds == 3
