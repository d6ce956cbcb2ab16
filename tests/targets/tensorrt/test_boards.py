import re

import pytest

from edgevid.errors import ConfigError, TargetError
from edgevid.targets._profiles import device, device_names
from edgevid.targets.tensorrt.boards import BOARDS, board
from edgevid.targets.tensorrt.versions import RTX, VERSIONS, check_capability, version, versions_of

PROFILES = [found for found in map(device, device_names()) if found.target == "tensorrt"]
ALL = pytest.mark.parametrize("name", BOARDS)


def test_every_gpu_has_a_profile_and_every_profile_a_gpu():
    assert {profile.gpu for profile in PROFILES} == set(BOARDS)
    assert all(profile.name == profile.gpu for profile in PROFILES)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_a_profile_says_what_its_gpu_is(profile):
    gpu = board(profile.gpu)
    assert (profile.title, profile.precisions) == (gpu.title, gpu.precisions)


@ALL
def test_every_fact_has_a_source(name):
    gpu = BOARDS[name]
    assert len(gpu.source) > 10
    assert gpu.stacks
    assert all(len(stack.source) > 10 for stack in gpu.stacks)
    for stack in gpu.stacks:
        for number in (stack.tensorrt, stack.cuda, stack.python):
            assert re.fullmatch(r"\d+\.\d+(\.\d+)?", number)


@ALL
def test_stacks_are_known_versions_from_the_newest_on_that_support_the_gpu(name):
    gpu = BOARDS[name]
    numbers = [tuple(map(int, stack.tensorrt.split("."))) for stack in gpu.stacks]
    assert numbers == sorted(numbers, reverse=True)
    for stack in gpu.stacks:
        for capability in gpu.capabilities:
            check_capability(stack.tensorrt, capability, rtx=gpu.family == "rtx")


@ALL
def test_what_is_refused_is_no_precision_and_has_a_reason(name):
    gpu = BOARDS[name]
    assert not set(gpu.precisions) & set(gpu.refused)
    assert all(len(reason) > 20 for reason in gpu.refused.values())
    assert "int8" in {*gpu.precisions, *gpu.refused}


def test_a_tx2_is_what_its_last_jetpack_makes_of_it():
    tx2 = board("jetson-tx2")
    (stack,) = tx2.stacks
    assert (stack.name, stack.tensorrt, stack.cuda, stack.python) == ("JetPack 4.6.1", "8.2.1", "10.2", "3.6")
    assert (tx2.capabilities, tx2.shared, tx2.precisions) == (("6.2",), True, ("fp32", "fp16"))
    assert "int8" in tx2.refused
    assert versions_of(tx2) == (VERSIONS["8.2"],)


def test_the_p100_is_said_to_be_unsupported_and_sent_to_the_legacy_route():
    p100 = board("p100")
    assert p100.family == "board"
    assert "10 and 11 do not support it" in p100.note
    for installed in ("10.0.1", "11.2.0"):
        with pytest.raises(TargetError, match=r"does not support compute capability 6\.0"):
            check_capability(installed, "6.0")
    check_capability("8.6.1", "6.0")


def test_volta_is_gone_from_10_5_on():
    check_capability("10.4.0.26", "7.0")
    for installed in ("10.5.0", "10.16.1", "11.0"):
        with pytest.raises(TargetError, match=r"it needs 7\.5"):
            check_capability(installed, "7.0")


def test_a_compute_capability_of_two_digits_is_newer():
    check_capability("1.7.1.116", "12.0", rtx=True)
    check_capability("11.4.1", "12.1")


@pytest.mark.parametrize(
    ("installed", "entry"),
    [
        ("7.1.3", "7.1"),
        ("7.2.2.3", "7.1"),
        ("8.0.1.6", "8.0"),
        ("8.2.1.9", "8.2"),
        ("8.4.1", "8.2"),
        ("8.6.2", "8.5"),
        ("10.3.0.30", "10"),
        ("11.4.1", "11"),
    ],
)
def test_a_version_is_like_the_last_known_one_before_it(installed, entry):
    assert version(installed).name == entry


def test_tensorrt_for_rtx_counts_by_itself():
    assert version("1.7.1.116", rtx=True).name == RTX
    for installed, rtx in (("1.7.1", False), ("2.0", True), ("10.3", True)):
        with pytest.raises(TargetError, match="not one of the known versions"):
            version(installed, rtx=rtx)


@pytest.mark.parametrize("installed", ["", "6.0.1", "7.0", "9.2.0", "12.0", "nonsense"])
def test_an_unknown_version_is_refused_with_the_known_ones(installed):
    with pytest.raises(TargetError, match="not one of the known versions") as caught:
        version(installed)
    assert "8.x" in caught.value.fix


def test_versions_are_in_the_order_of_what_they_can():
    known = [entry for entry in VERSIONS.values() if entry.name != RTX]
    assert [entry.opset for entry in known] == sorted(entry.opset for entry in known)
    assert all(entry.typed == (entry.name in ("10", "11", RTX)) for entry in VERSIONS.values())
    assert all(len(entry.source) > 10 for entry in VERSIONS.values())
    assert not any("cache" in VERSIONS[name].int8 for name in ("11", RTX))


def test_rtx_gpus_are_joined_into_one_with_what_all_have():
    joined = board("rtx-40+rtx-30")
    assert joined.capabilities == ("8.9", "8.6")
    assert joined.memory == BOARDS["rtx-30"].memory
    assert joined.precisions == ("fp32", "fp16", "int8")
    old = board("rtx-40+rtx-20")
    assert old.precisions == ("fp16",)
    assert set(old.refused) == {"fp32", "int8"}


def test_other_gpus_are_not_joined():
    for name in ("t4+a10", "rtx-40+jetson-tx2", "jetson-tx2+jetson-nano"):
        with pytest.raises(ConfigError, match="one engine for several GPUs") as caught:
            board(name)
        assert "rtx-40" in caught.value.fix
    for name in ("", "rtx-41", "rtx-40+", "rtx-40+gtx"):
        with pytest.raises(ConfigError, match="no GPU is called"):
            board(name)
