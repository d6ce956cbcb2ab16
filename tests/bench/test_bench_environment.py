import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from edgevid.bench.environment import (
    VARIABLES,
    Environment,
    huge_pages,
    look_around,
    quiet_thread_pools,
)

X86 = """processor\t: 0
model name\t: Intel(R) Xeon(R) Platinum 8375C
flags\t\t: fpu sse4_2 avx fma avx2 avx512f avx512_vnni amx_tile hypervisor

processor\t: 1
model name\t: Intel(R) Xeon(R) Platinum 8375C
"""
ARM = """processor\t: 0
Features\t: fp asimd fphp asimdhp asimddp
CPU implementer\t: 0x41
CPU part\t: 0xd08
"""


def machine(root, **files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_an_x86_server_in_a_virtual_machine_is_described(tmp_path):
    root = machine(
        tmp_path,
        **{
            "proc/cpuinfo": X86,
            "proc/meminfo": "MemTotal:       16384 kB\nMemFree: 1 kB\n",
            "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12"\n',
            "sys/class/dmi/id/product_name": "m6i.large\n",
            ".dockerenv": "",
        },
    )
    found = look_around(root, {"OMP_NUM_THREADS": "1", "ONEDNN_MAX_CPU_ISA": "AVX2", "PASSWORD": "secret"})
    assert found.cpu == "Intel(R) Xeon(R) Platinum 8375C"
    assert found.isa == ("sse4_2", "avx", "fma", "avx2", "avx512f", "avx512_vnni", "amx_tile")
    assert found.memory_bytes == 16384 * 1024
    assert found.system == "Debian GNU/Linux 12"
    assert found.virtualization == ("virtual machine (m6i.large)", "container (docker)")
    assert found.variables == {"OMP_NUM_THREADS": "1", "ONEDNN_MAX_CPU_ISA": "AVX2"}


def test_an_arm_board_is_described_by_its_device_tree_and_part_number(tmp_path):
    root = machine(tmp_path, **{"proc/cpuinfo": ARM, "proc/device-tree/model": "Raspberry Pi 4\0"})
    found = look_around(root, {})
    assert found.cpu == "Raspberry Pi 4, implementer 0x41 part 0xd08"
    assert found.isa == ("asimd", "asimdhp", "asimddp", "fphp")
    assert found.virtualization == ()


@pytest.mark.skipif(sys.platform != "linux", reason="governors are read from Linux's sysfs")
def test_governor_and_frequencies_are_those_of_a_cpu_that_may_be_used(tmp_path):
    usable = look_around().affinity[0]
    clock = f"sys/devices/system/cpu/cpu{usable}/cpufreq"
    files = {
        "scaling_governor": "powersave\n",
        "scaling_min_freq": "800000\n",
        "scaling_max_freq": "3500000\n",
    }
    found = look_around(machine(tmp_path, **{f"{clock}/{name}": text for name, text in files.items()}), {})
    assert found.governor == "powersave"
    assert found.frequency_khz == (800000, 3500000)


def test_what_cannot_be_read_is_none_and_no_error(tmp_path):
    found = look_around(tmp_path, {})
    assert (found.cpu, found.isa, found.memory_bytes, found.governor) == (None, (), None, None)


def test_this_machine_is_described_and_survives_json():
    found = look_around()
    assert found.python.startswith("CPython 3.")
    assert found.edgevid
    assert "numpy" in found.packages
    assert Environment.model_validate_json(found.model_dump_json()) == found


def test_versions_are_found_without_importing_the_runtimes():
    script = (
        "import sys; from edgevid.bench.environment import look_around; look_around();"
        "print(*{'numpy', 'torch', 'onnx', 'onnxruntime', 'openvino'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_the_quiet_settings_are_recorded_among_the_variables():
    assert set(quiet_thread_pools()) <= set(VARIABLES)


def test_what_the_caller_sets_for_the_allocator_stays():
    assert huge_pages({"GLIBC_TUNABLES": "glibc.malloc.arena_max=1"}) == {}
    assert set(huge_pages({})) <= set(VARIABLES)


HUGE = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.skipif(
    not HUGE.exists() or "[never]" in HUGE.read_text() or platform.libc_ver() < ("glibc", "2.35"),
    reason="this machine gives no huge pages to those who ask",
)
def test_a_large_array_lies_in_huge_pages_and_without_the_variables_does_not():
    script = (
        "import re; block = bytearray(256 << 20); text = open('/proc/self/smaps_rollup').read();"
        r"print(re.search(r'AnonHugePages:\s+(\d+)', text)[1])"
    )

    def kilobytes(variables):
        inherited = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**inherited, **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        return int(done.stdout)

    assert kilobytes(huge_pages({})) > 200 << 10
    if "[always]" not in HUGE.read_text():
        assert kilobytes({}) < 20 << 10
