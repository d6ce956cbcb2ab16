"""The demonstration's accuracy in TensorRT's precisions, with few clips; the command takes many."""

import pytest

from edgevid.demo.evaluate import SEED
from edgevid.demo.generated import Generated
from edgevid.demo.tensorrt_accuracy import claims, drops, main, variants


@pytest.fixture(scope="module")
def networks():
    return variants(60)


def test_float16_and_int8_keep_the_demonstrations_accuracy_on_the_hard_split(networks):
    found = drops(networks, Generated("hard", 200, SEED))
    assert set(found) == {"rtx-40 fp16", "rtx-40 int8", "t4 int8", "jetson-tx2 fp32"}
    assert all(pair.drop.value <= 0.015 for pair in found.values())  # three clips; one is half a point
    assert found["rtx-40 fp16"].drop.value <= 0.005
    assert found["jetson-tx2 fp32"].drop.value == 0


def test_a_network_that_answers_wrong_is_seen(networks):
    spoilt = networks["rtx-40 fp16"].graph.clone()
    name = max(spoilt.graph.initializers, key=lambda n: spoilt.graph.initializers[n].const_value.size)
    value = spoilt.graph.initializers[name]
    value.const_value = type(value.const_value)(-value.const_value.numpy(), name=name)
    first, *_ = networks
    pair = {first: networks[first], "spoilt": type(networks[first])("fp16", spoilt)}
    (claim,) = claims(drops(pair, Generated("hard", 40, SEED)))
    assert not claim.met


def test_the_command_says_what_it_found(capsys, monkeypatch, networks):
    monkeypatch.setattr("edgevid.demo.tensorrt_accuracy.variants", lambda clips: networks)
    assert main(["--count", "16"]) in (0, 1)
    assert "rtx-40 fp16: top-1 drop" in capsys.readouterr().out
