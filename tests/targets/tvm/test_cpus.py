import platform

import pytest
import tvm
from tvm.target.codegen import llvm_get_cpu_archlist, llvm_get_cpu_features

from edgevid.errors import ConfigError
from edgevid.targets._machine import Processor, parse_cpuinfo
from edgevid.targets._profiles import device, device_names
from edgevid.targets.tvm.cpus import cpu, cpu_names, host_cpu

ARM = ("cortex-a53", "cortex-a57", "cortex-a72", "cortex-a76", "neoverse-n1", "neoverse-v1")
AVX512 = "avx2 fma f16c avx512f avx512bw avx512dq avx512vl"


def processor(flags, name="a processor"):
    return Processor(name, "", None, None, None, frozenset(flags.split()))


@pytest.mark.parametrize("name", cpu_names())
def test_llvm_knows_every_cpu_and_its_features(name):
    one = cpu(name)
    target = tvm.target.Target(one.llvm)
    assert llvm_get_cpu_archlist(target).count(one.mcpu) == 1
    assert set(one.features) <= set(llvm_get_cpu_features(target))
    assert "dotprod" not in llvm_get_cpu_features(tvm.target.Target(cpu("cortex-a53").llvm))


@pytest.mark.parametrize("name", ARM)
def test_arm_cores_have_32_registers_of_four_numbers_and_an_emulator(name):
    one = cpu(name)
    assert (one.architecture, one.lanes, one.registers, bool(one.qemu)) == ("aarch64", 4, 32, True)
    assert (one.dot == "sdot") == one.fp16 == (name in ARM[3:])


@pytest.mark.parametrize(
    ("flags", "dot", "lanes"),
    [
        (f"{AVX512} avx512_vnni", "vnni512", 16),
        (AVX512, "madd512", 16),
        (f"{AVX512.removesuffix(' avx512vl')} avx512_vnni", "madd256", 8),
        ("avx2 fma f16c avx_vnni", "vnni256", 8),
        ("avx2 fma f16c", "madd256", 8),
        ("fp asimd asimdhp asimddp sve", "sdot", 4),
        ("fp asimd crc32", "smull", 4),
    ],
)
def test_the_host_is_the_most_capable_cpu_whose_instructions_it_has(flags, dot, lanes):
    found = host_cpu(processor(flags, "box"))
    assert (found.dot, found.lanes, found.name, found.title) == (dot, lanes, "host", "this machine: box")
    assert found.kernel_flags <= set(flags.split())


def test_wide_vectors_are_welcome_on_zen_4_alone():
    zen = "sse4a avx512_bf16 avx512_vbmi2 avx512_bitalg avx512ifma gfni vaes"
    assert host_cpu(processor(f"{AVX512} avx512_vnni {zen}")).mcpu == "znver4"
    assert host_cpu(processor(f"{AVX512} avx512_vnni sse4a")).mcpu == "cascadelake"


def test_this_machine_is_of_its_own_architecture():
    assert cpu("host").architecture == platform.machine()


def test_a_machine_without_vectors_is_refused_with_what_can_be_compiled_for():
    with pytest.raises(ConfigError, match="neither AVX2") as caught:
        host_cpu(processor("sse4_2 avx", "Xeon E5-2690"))
    assert caught.value.where == "Xeon E5-2690"
    assert "cortex-a53" in caught.value.fix


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("cortex-a75", "cortex-a76"),
        ("Cortex-A72", "cortex-a72"),
        ("neoverse_v1", "neoverse-v1"),
        ("avx", "avx2"),
    ],
)
def test_an_unknown_cpu_names_the_nearest_and_all(wrong, right):
    with pytest.raises(ConfigError, match=f"unknown CPU '{wrong}'") as caught:
        cpu(wrong)
    assert right in caught.value.fix.partition("?")[0]
    assert all(name in caught.value.fix for name in cpu_names())


def test_a_feature_that_a_cpu_lacks_is_refused_with_those_that_have_it():
    cpu("cortex-a76").require("dotprod")
    with pytest.raises(ConfigError, match="Cortex-A53 has no dotprod") as caught:
        cpu("cortex-a53").require("dotprod")
    assert "it has neon; CPUs with dotprod: cortex-a76, neoverse-n1, neoverse-v1" in caught.value.fix


@pytest.mark.parametrize(
    ("part", "names"),
    [
        (0xD03, ["cortex-a53"]),
        (0xD07, ["cortex-a57"]),
        (0xD08, ["cortex-a72", "raspberry-pi-4"]),
        (0xD0B, ["cortex-a76", "raspberry-pi-5"]),
    ],
)
def test_an_arm_board_recognizes_itself_by_its_part_number(part, names):
    text = f"processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: {part:#x}\n"
    here = parse_cpuinfo(text)
    arm = [one for one in device_names() if device(one).cpu in ARM]
    assert [one for one in arm if device(one, processor=here).is_this_machine] == names


def test_a_core_of_another_maker_is_no_arm_core_of_that_number():
    here = parse_cpuinfo("processor\t: 0\nCPU implementer\t: 0x51\nCPU part\t: 0xd08\n")
    assert not device("raspberry-pi-4", processor=here).is_this_machine


def test_every_profile_of_tvm_names_a_cpu_that_has_what_it_lists():
    profiles = [device(name) for name in device_names()]
    ours = [one for one in profiles if one.target == "tvm"]
    assert {cpu(one.cpu).name for one in ours} >= {*ARM, "avx2", "avx512", "avx512-vnni", "host"}
    for one in ours:
        if one.cpu != "host":
            assert set(one.isa) <= cpu(one.cpu).kernel_flags
            assert ("fp16" in one.precisions) == cpu(one.cpu).fp16
            assert "int8" in one.precisions


def test_only_tvm_profiles_name_a_cpu():
    profiles = [device(name) for name in device_names()]
    assert all((one.target == "tvm") == bool(one.cpu) for one in profiles)
