"""Measuring what no result says of presets."""

import pytest

from edgevid.bench.settings import Settings
from edgevid.errors import TargetError
from edgevid.suggest import Reader, measure_missing
from edgevid.targets._profiles import device

SETTINGS = Settings(rounds=12, warmup=1)
NAMES = ("tsn-mobilenetv2", "tsm-mobilenetv2", "mmaction2-tsm-mobilenetv2")


@pytest.fixture
def measure(machine, tmp_path):
    def run(names=NAMES, known=(), name="reference"):
        told = []
        failures = measure_missing(
            [(preset, "fp32") for preset in names], known, name, tmp_path / "m", SETTINGS, tell=told.append
        )
        return failures, told

    return run


def test_one_network_is_measured_once_whatever_its_presets_are_called(measure, machine, tmp_path):
    assert measure() == ({}, [])
    assert machine.compiled == ["tsn-mobilenetv2", "tsm-mobilenetv2"]
    found = Reader(device("reference")).read([tmp_path / "m"])
    assert {each.preset for each in found} == set(NAMES)
    assert {each.memory for each in found} == {50_000_000}


def test_what_is_known_is_not_measured(measure, machine, tmp_path):
    measure(NAMES[:1])
    known = Reader(device("reference")).read([tmp_path / "m"])
    measure(NAMES[:2], known)
    assert machine.compiled == list(NAMES[:2])


def test_the_same_command_goes_on(measure, machine):
    machine.status = ["complete", "interrupted"]
    with pytest.raises(KeyboardInterrupt):
        measure()
    measure()
    assert machine.runs == 3


def test_one_that_fails_is_told_and_the_others_go_on(measure, machine):
    machine.broken = {"tsn-mobilenetv2"}
    failures, told = measure()
    assert failures == {("tsn-mobilenetv2", "fp32"): "no form of it holds"}
    assert told[0].startswith("tsn-mobilenetv2 on reference, fp32, batch 1 is not measured: no form")
    assert machine.runs == 1


def test_a_device_that_is_elsewhere_is_refused_before_anything_is_made(measure, tmp_path):
    with pytest.raises(TargetError, match="is not this machine"):
        measure(name="xeon-e5-2690")
    assert not (tmp_path / "m").exists()
