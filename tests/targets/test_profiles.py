from pathlib import Path

import pytest

from edgevid import targets
from edgevid.contract import PRECISIONS
from edgevid.errors import ConfigError, EdgevidError, UnknownDeviceError, UnsupportedPrecisionError
from edgevid.targets._machine import parse_cpuinfo, this_processor
from edgevid.targets._profiles import device, device_names, require_precision

XEONS = ("xeon-e5-2690", "xeon-cascadelake", "xeon-icelake", "xeon-sapphirerapids")
AVX512 = "sse4_2 avx f16c fma avx2 avx512f avx512bw"

CPUINFO = """\
processor\t: 0
vendor_id\t: {vendor}
cpu family\t: {family}
model\t\t: {model}
model name\t: {name}
stepping\t: {stepping}
microcode\t: 0x1
cpu MHz\t\t: 2100.000
flags\t\t: fpu vme sse2 {flags}
bugs\t\t: spectre_v1

processor\t: 1
vendor_id\t: {vendor}
model name\t: another one
flags\t\t: fpu
"""


def cpu(name, model, stepping, flags="sse4_2 avx", vendor="GenuineIntel", family=6):
    text = CPUINFO.format(
        vendor=vendor, family=family, model=model, name=name, stepping=stepping, flags=flags
    )
    return parse_cpuinfo(text)


CASCADE_LAKE = cpu("Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz", 85, 7, f"{AVX512} avx512_vnni")
SKYLAKE = cpu("Intel(R) Xeon(R) Platinum 8168 CPU @ 2.70GHz", 85, 4, AVX512)
COOPER_LAKE = cpu("Intel(R) Xeon(R) Platinum 8380H CPU", 85, 11, f"{AVX512} avx512_vnni avx512_bf16")
ICE_LAKE = cpu("Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", 106, 6, f"{AVX512} avx512_vnni")
SAPPHIRE_RAPIDS = cpu(
    "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz",
    143,
    8,
    f"{AVX512} avx512_vnni avx_vnni avx512_bf16 avx512_fp16 amx_bf16 amx_tile amx_int8",
)
SANDY_BRIDGE = cpu("Intel(R) Xeon(R) CPU E5-2690 0 @ 2.90GHz", 45, 7)
EPYC = cpu("AMD EPYC 9R14", 17, 1, f"{AVX512} avx512_vnni avx512_bf16", "AuthenticAMD", 25)
DISGUISED = cpu("AMD EPYC", 106, 6, f"{AVX512} avx512_vnni", "AuthenticAMD")
ARM = parse_cpuinfo(
    "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd asimddp sve bf16\n\nprocessor\t: 1\n"
)


@pytest.mark.parametrize("name", device_names())
def test_every_profile_loads_and_names_a_target_that_exists(name):
    found = device(name)
    assert found.name == name
    assert found.title
    assert found.target in targets.names()
    assert set(found.precisions) | set(found.emulated) <= set(PRECISIONS)
    assert not set(found.precisions) & set(found.emulated)
    alone = {"rtx-20": "fp16", "tensorrt-simulated": "int8"}
    assert found.precisions[0] == alone.get(name, "fp32")


def test_the_promised_devices_are_there():
    assert {"host", *XEONS} <= set(device_names())
    assert {device(name).target for name in XEONS} == {"openvino"}


@pytest.mark.parametrize(
    ("processor", "name"),
    [
        (CASCADE_LAKE, "xeon-cascadelake"),
        (ICE_LAKE, "xeon-icelake"),
        (SAPPHIRE_RAPIDS, "xeon-sapphirerapids"),
        (SANDY_BRIDGE, "xeon-e5-2690"),
        *((other, None) for other in (SKYLAKE, COOPER_LAKE, EPYC, DISGUISED, ARM, parse_cpuinfo(""))),
    ],
)
def test_a_processor_is_recognized_as_its_own_profile_and_no_other(processor, name):
    assert [one for one in XEONS if device(one, processor=processor).is_this_machine] == [name] * bool(name)
    assert device("host", processor=processor).is_this_machine


@pytest.mark.parametrize(
    ("processor", "native", "emulated"),
    [
        (CASCADE_LAKE, {"fp32", "fp16", "int8"}, {"bf16"}),
        (SKYLAKE, {"fp32", "fp16", "int8"}, {"bf16"}),
        (SAPPHIRE_RAPIDS, {"fp32", "bf16", "fp16", "int8"}, set()),
        (EPYC, {"fp32", "bf16", "fp16", "int8"}, set()),
        (SANDY_BRIDGE, {"fp32", "fp16"}, set()),
        (ARM, {"fp32", "bf16", "fp16", "int8"}, set()),
    ],
)
def test_the_host_has_what_its_flags_say(processor, native, emulated):
    host = device("host", processor=processor)
    assert set(host.precisions) == native
    assert set(host.emulated) == emulated
    assert set(host.isa) <= processor.flags
    assert host.title == f"this machine: {processor.model_name}"


@pytest.mark.parametrize(
    ("processor", "name"),
    [
        (CASCADE_LAKE, "xeon-cascadelake"),
        (ICE_LAKE, "xeon-icelake"),
        (SAPPHIRE_RAPIDS, "xeon-sapphirerapids"),
        (SANDY_BRIDGE, "xeon-e5-2690"),
    ],
)
def test_a_profile_promises_what_the_machine_it_describes_has(processor, name):
    profile, host = device(name, processor=processor), device("host", processor=processor)
    assert set(profile.isa) <= set(host.isa)
    assert set(profile.precisions) == set(host.precisions)
    assert set(profile.emulated) == set(host.emulated)


def test_this_machine_is_read_from_the_kernel():
    flags = this_processor().flags
    assert set(device("host").isa) == {flag for flag in device("host").isa if flag in flags}
    if Path("/proc/cpuinfo").is_file():
        assert flags


def test_a_machine_without_cpuinfo_still_has_float32(tmp_path):
    processor = this_processor(tmp_path / "missing")
    host = device("host", processor=processor)
    assert host.precisions == ("fp32", "fp16")
    assert (processor.vendor, processor.family, processor.flags) == ("", None, frozenset())


def test_cpuinfo_is_read_from_its_first_processor():
    assert CASCADE_LAKE.model_name == "Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz"
    assert (CASCADE_LAKE.vendor, CASCADE_LAKE.family, CASCADE_LAKE.model) == ("GenuineIntel", 6, 85)
    assert CASCADE_LAKE.stepping == 7
    assert {"fpu", "avx512_vnni"} <= CASCADE_LAKE.flags
    assert cpu("x", "unknown", "unknown").model is None


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("icelake", "xeon-icelake"), ("xeon-cascade-lake", "xeon-cascadelake"), ("Host", "host")],
)
def test_an_unknown_device_names_the_close_one_and_all(wrong, right):
    with pytest.raises(UnknownDeviceError, match=f"unknown device '{wrong}'") as caught:
        device(wrong)
    assert f"did you mean {right}?" in caught.value.fix
    assert all(name in caught.value.fix for name in device_names())


@pytest.mark.parametrize("name", ["", "../host", "devices/host", "host.toml", "zzz"])
def test_a_name_that_is_like_none_is_refused_with_all_of_them(name):
    with pytest.raises(UnknownDeviceError) as caught:
        device(name)
    assert "xeon-icelake" in caught.value.fix


@pytest.mark.parametrize("name", device_names())
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_precision_is_granted_or_refused_with_a_reason_and_the_alternatives(name, precision):
    profile = device(name)
    capability = targets.find(profile.target).probe(profile)
    if precision in capability.precisions:
        assert require_precision(precision, profile) == precision
        return
    with pytest.raises(UnsupportedPrecisionError) as caught:
        require_precision(precision, profile)
    assert f"{name} cannot run {precision}: {capability.missing[precision]}" == caught.value.what
    assert caught.value.where == f"--precision {precision}"
    assert all(other in caught.value.fix for other in capability.precisions)


@pytest.mark.parametrize("precision", ["fp64", "FP32", "", "int4"])
def test_an_unknown_precision_is_refused_with_the_alternatives(precision):
    with pytest.raises(UnsupportedPrecisionError, match="unknown precision") as caught:
        require_precision(precision, device("xeon-icelake"))
    assert "fp32, bf16, fp16" in caught.value.fix


def test_a_new_device_is_a_new_file(tmp_path):
    (tmp_path / "box.toml").write_text(
        'title = "a box"\ntarget = "openvino"\nprecisions = ["fp32"]\nnote = "grey"\n'
        '[emulated]\nbf16 = "slowly"\n[match]\nmodel_name = "epyc"\n'
    )
    assert device_names(tmp_path) == ("box",)
    found = device("box", folder=tmp_path, processor=EPYC)
    assert found.is_this_machine
    assert (found.title, found.note, dict(found.emulated)) == ("a box", "grey", {"bf16": "slowly"})
    assert not device("box", folder=tmp_path, processor=ICE_LAKE).is_this_machine
    with pytest.raises(UnsupportedPrecisionError, match="a box has no fp16"):
        require_precision("fp16", found)


@pytest.mark.parametrize(
    "text",
    [
        b"title = ",
        b"",
        b'title = "x"\n',
        b'title = "x"\ntarget = "openvino"\nprecisions = ["fp31"]\n',
        b'title = "x"\ntarget = "openvino"\nprecison = ["fp32"]\n',
        b'title = "x"\ntarget = "openvino"\n[match]\nmodels = "many"\n',
        b'title = "\xff\xfe"\ntarget = "openvino"\n',
    ],
    ids=["no-toml", "empty", "no-target", "unknown-precision", "misspelt-key", "wrong-type", "no-utf8"],
)
def test_a_broken_profile_names_its_file(tmp_path, text):
    (tmp_path / "broken.toml").write_bytes(text)
    with pytest.raises(ConfigError, match="not a device profile") as caught:
        device("broken", folder=tmp_path)
    assert caught.value.where == str(tmp_path / "broken.toml")


def test_a_profile_that_cannot_be_read_names_its_file(tmp_path):
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(EdgevidError) as caught:
        device("folder", folder=tmp_path)
    assert caught.value.where == str(tmp_path / "folder.toml")
