"""The benchmark of int8 on a network that takes no time."""

from functools import partial

import pytest

from edgevid.bench.settings import Settings
from edgevid.calibration import int8_latency, nncf_peer
from edgevid.calibration.int8_latency import Wanted, claims, measure_int8
from edgevid.calibration.int8_variants import Facts, Variants
from edgevid.errors import MissingDependencyError, VerificationError
from edgevid.graph.shift_op import replace_specs
from edgevid.models.config import NetworkConfig, ShiftConfig
from edgevid.shift import ShiftSpec

for name in ("torch", "onnxruntime", "openvino"):
    pytest.importorskip(name)

CONFIG = NetworkConfig(
    backbone="resnet50",
    classes=100,  # of a few random logits alone, noise may happen to be as large as what they say
    segments=4,
    size=64,
    blocks=(1, 1, 1, 1),
    channels=(32, 16, 16, 32, 32),
    shift=ShiftConfig(),
)
QUICK = Settings(rounds=2, warmup=1)
ALL_FAST = Wanted(speedup=0.0, nncf_ratio=1e9, overhead=1e9)


@pytest.fixture(scope="module")
def measured():
    return measure_int8(CONFIG, lowerings=["negative_pad", "slice_concat"], clips=2, settings=QUICK)


def test_int8_is_measured_against_float32_and_against_int8_without_the_shift(measured):
    result, facts = measured
    assert [(variant.name, variant.role) for variant in result.variants] == [
        ("int8", "baseline"),
        ("int8 (A/A)", "twin"),
        ("int8, no shift", "candidate"),
        ("float32, negative_pad", "candidate"),
        ("float32, slice_concat", "candidate"),
    ]
    assert result.runs[0].rounds == 2
    assert [str(facts[name]).partition(",")[0] for name in facts] == [
        "17 of 17 convolutions in int8",
        "17 of 17 convolutions in int8",
        "0 of 17 convolutions in int8",
        "0 of 17 convolutions in int8",
    ]
    assert facts["int8"].sqnr >= 20
    assert facts["int8, no shift"].sqnr >= 20
    assert facts["float32, negative_pad"].sqnr > 80


def test_every_wanted_figure_becomes_a_claim(measured):
    result, facts = measured
    found = claims(result, facts, ALL_FAST)
    assert [claim.met for claim in found] == [True] * 5
    slow = claims(result, facts, Wanted(speedup=1e9, nncf_ratio=0, overhead=0))
    assert [claim.met for claim in slow] == [True, True, False, False, False]
    in_float = {**facts, "int8": Facts(16, 17, 30.0)}
    assert not claims(result, in_float, ALL_FAST)[0].met


def test_by_default_float32_takes_the_lowering_that_auto_takes():
    form, _, layout = Variants(CONFIG).default_lowering.partition("@")
    assert form in ("volume_split_conv", "negative_pad")  # the former with AVX-512
    assert layout in ("", "blocked")
    assert Variants(CONFIG.without_shift()).default_lowering == "none"


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_lowering_that_shifts_the_other_way_is_not_timed(precision, tmp_path, monkeypatch):
    lowered = Variants.lowered
    monkeypatch.setattr(
        Variants,
        "lowered",
        lambda self, graph, name: lowered(self, replace_specs(graph, ShiftSpec.swapped), name),
    )
    network = Variants(CONFIG, clips=2)
    compiled = network.compile_int8 if precision == "int8" else partial(network.compile_float, "negative_pad")
    with pytest.raises(VerificationError, match="does not compute what ONNX Runtime computes"):
        compiled(tmp_path / precision)


def test_without_nncf_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(nncf_peer, "is_installed", lambda: False)
    with pytest.raises(MissingDependencyError, match="NNCF is not installed") as caught:
        measure_int8(CONFIG, nncf=True, clips=2, settings=QUICK)
    assert "pip install 'nncf==3.4.*'" in caught.value.fix


@pytest.mark.skipif(not nncf_peer.is_installed(), reason="NNCF is a peer, not a dependency")
def test_nncf_quantizes_the_same_networks_with_the_same_clips():
    result, facts = measure_int8(CONFIG, nncf=True, clips=2, settings=QUICK)
    peers = [name for name in facts if name.startswith("NNCF")]
    assert peers == [
        "NNCF performance, none",
        "NNCF mixed, none",
        "NNCF performance, slice_concat",
        "NNCF performance, negative_pad",
        "NNCF mixed, slice_concat",
        "NNCF mixed, negative_pad",
    ]
    assert facts["NNCF performance, none"].int8 > 10
    assert facts["NNCF performance, slice_concat"].int8 < facts["int8"].int8
    assert len(claims(result, facts, ALL_FAST)) == 4 + 2 * len(peers)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["resnet50", "mobilenet_v2"])
def test_the_script_measures_the_full_size(backbone, tmp_path, capsys):
    path = tmp_path / "int8.json"
    arguments = ["--backbone", backbone, "--rounds", "2", "--processes", "1", "--clips", "2"]
    assert int8_latency.main([*arguments, "--output", str(path)]) == 0
    printed = capsys.readouterr().out
    total = {"resnet50": 53, "mobilenet_v2": 52}[backbone]
    assert f"met     int8: {total} of {total} convolutions in int8" in printed
    assert f"met     int8, no shift: {total} of {total} convolutions in int8" in printed
    assert path.exists()
