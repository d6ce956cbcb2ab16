import ctypes
import platform

import numpy as np
import pytest
import tvm
from boards import for_arm
from instructions import foreign_instructions, refused
from tiny_module import export_tiny, kernel_alone, reference

from edgevid.errors import MissingDependencyError, TargetError
from edgevid.targets.tvm.cpus import cpu, cpu_names
from edgevid.targets.tvm.cross import build, compiler, export
from edgevid.targets.tvm.elf import check_old_enough, read_needs

ROWS = np.linspace(-1, 1, 32, dtype=np.float32).reshape(4, 8)
ARM = [name for name in cpu_names() if cpu(name).architecture == "aarch64"]


def test_a_library_for_this_machine_computes_what_numpy_does(tmp_path):
    library = tvm.runtime.load_module(str(export_tiny(cpu("host"), tmp_path / "model.so")))
    machine = tvm.relax.VirtualMachine(library, tvm.cpu())
    np.testing.assert_allclose(machine["main"](tvm.runtime.tensor(ROWS)).numpy(), reference(ROWS), rtol=1e-5)


@for_arm
@pytest.mark.parametrize("name", ARM)
def test_a_library_for_a_board_is_of_its_architecture_and_needs_nothing_new(name, tmp_path):
    path = export_tiny(cpu(name), tmp_path / "model.so")
    assert read_needs(path).machine == "aarch64"
    assert read_needs(path).versions
    check_old_enough(path)


@for_arm
@pytest.mark.parametrize("name", ARM)
def test_a_core_has_every_instruction_of_its_library(name, tmp_path):
    """The emulator has no model of the Neoverse V1: what runs there may hold more than it has."""
    assert foreign_instructions(export_tiny(cpu(name), tmp_path / "model.so"), name) == []


@for_arm
def test_an_instruction_that_a_core_lacks_is_noticed():
    dot, sve2 = "sdot v0.4s, v1.16b, v2.16b", "sqdmlalb z0.s, z1.h, z2.h"
    assert refused([dot, sve2, "nop"], "neoverse-v1") == [sve2]
    assert refused([dot, sve2, "nop"], "cortex-a72") == [dot, sve2]


@for_arm
def test_only_the_c_and_the_c_plus_plus_library_are_needed(tmp_path):
    needed = read_needs(export_tiny(cpu("cortex-a53"), tmp_path / "model.so")).libraries
    assert set(needed) <= {"libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1"}


@pytest.mark.parametrize(
    ("name", "package"),
    [("cortex-a72", "g++-aarch64-linux-gnu"), ("host", "g++")]
    if platform.machine() == "x86_64"
    else [("host", "g++")],
)
def test_a_missing_compiler_names_its_package(name, package, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(MissingDependencyError, match="no C\\+\\+ compiler") as caught:
        export_tiny(cpu(name), tmp_path / "model.so")
    assert caught.value.fix.endswith(f"apt-get install {package}")
    assert caught.value.where == name


@for_arm
def test_cxx_names_the_compiler_of_this_machine_alone(monkeypatch, tmp_path):
    named = tmp_path / "my-g++"
    named.write_text("#!/bin/sh\n")
    named.chmod(0o755)
    monkeypatch.setenv("CXX", str(named))
    assert compiler(cpu("host")) == str(named)
    if platform.machine() == "x86_64":
        assert compiler(cpu("cortex-a72")).endswith("aarch64-linux-gnu-g++")


def test_what_the_compiler_says_is_told(tmp_path):
    (tmp_path / "wrong.cc").write_text("int main() { return x; }\n")
    with pytest.raises(TargetError, match=r"the compiler fails: .*error: .*not declared") as caught:
        build(cpu("host"), [str(tmp_path / "wrong.cc")], tmp_path / "wrong")
    assert "wrong.cc" in caught.value.where


@for_arm
@pytest.mark.skipif(platform.machine() != "x86_64", reason="one machine's compiler for another's")
def test_a_compiler_for_another_machine_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", compiler(cpu("cortex-a72")))
    (tmp_path / "one.cc").write_text("int one() { return 1; }\n")
    with pytest.raises(TargetError, match="made aarch64 of it, not x86_64"):
        build(cpu("host"), ["-shared", str(tmp_path / "one.cc")], tmp_path / "one.so")


@for_arm
def test_a_board_is_not_given_what_needs_a_new_system(tmp_path):
    (tmp_path / "new.cc").write_text(
        '#include <cmath>\nextern "C" double f(double x) { return std::exp(x); }'
    )
    with pytest.raises(TargetError, match=r"needs GLIBC_2\.29"):
        build(cpu("cortex-a57"), ["-shared", "-fPIC", str(tmp_path / "new.cc")], tmp_path / "new.so")


def test_a_library_tells_what_loaded_it(tmp_path):
    path = export_tiny(cpu("host"), tmp_path / "model.so")
    told = str(tvm.runtime.load_module(str(path)).get_function("edgevid_board", query_imports=True)())
    assert f'"tvm": "{tvm.__version__}"' in told
    assert '"emulated": false' in told


def test_a_module_of_kernels_alone_can_be_exported(tmp_path):
    export(kernel_alone(cpu("host")), cpu("host"), tmp_path / "kernel.so")
    library = tvm.runtime.load_module(str(tmp_path / "kernel.so"))
    x, y = np.arange(4, dtype=np.float32), np.zeros(4, np.float32)
    y = tvm.runtime.tensor(y)
    library["twice"](tvm.runtime.tensor(x), y)
    np.testing.assert_array_equal(y.numpy(), 2 * x)
    assert ctypes.CDLL(str(tmp_path / "kernel.so"))
