import pytest
from boards import for_arm

from edgevid.errors import MissingDependencyError, TargetError
from edgevid.targets.tvm.cpus import cpu
from edgevid.targets.tvm.cross import build
from edgevid.targets.tvm.emulator import Emulator

pytestmark = for_arm

SOURCE = """
int main() {
  asm volatile(".arch armv8.2-a+dotprod\\n sdot v0.4s, v1.16b, v2.16b" ::: "v0");
  return 7;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Returns 7 where there is `sdot`."""
    folder = tmp_path_factory.mktemp("emulator")
    (folder / "dot.cc").write_text(SOURCE)
    # Static, so that it needs nothing of any system: what is asserted of boards is not meant here.
    build(cpu("cortex-a76"), ["-static", str(folder / "dot.cc")], folder / "dot")
    return folder / "dot"


@pytest.mark.parametrize("name", ["cortex-a76", "neoverse-n1", "neoverse-v1"])
def test_a_core_with_the_instruction_runs_it(program, name):
    assert Emulator(cpu(name)).run(program).returncode == 7


@pytest.mark.parametrize("name", ["cortex-a53", "cortex-a57", "cortex-a72"])
def test_an_instruction_that_the_core_lacks_faults(program, name):
    done = Emulator(cpu(name)).run(program)
    assert done.returncode < 0
    assert "Illegal instruction" in done.stderr


def test_a_program_that_does_not_end_is_ended(tmp_path):
    (tmp_path / "loop.cc").write_text("int main() { for (volatile int i = 0;; i = 1) {} }")
    build(cpu("cortex-a53"), ["-static", str(tmp_path / "loop.cc")], tmp_path / "loop")
    with pytest.raises(TargetError, match="more than 1 s"):
        Emulator(cpu("cortex-a53")).run(tmp_path / "loop", timeout=1)


def test_a_cpu_without_a_model_is_refused(program):
    with pytest.raises(TargetError, match="not emulated"):
        Emulator(cpu("avx2")).command(program)


def test_a_missing_emulator_names_its_package(program, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependencyError, match="no emulator") as caught:
        Emulator(cpu("cortex-a53")).command(program)
    assert caught.value.fix.endswith("apt-get install qemu-user-static")


def test_a_missing_c_library_names_its_package(program, tmp_path):
    with pytest.raises(MissingDependencyError, match="no C library") as caught:
        Emulator(cpu("cortex-a53"), tmp_path).command(program)
    assert "g++-aarch64-linux-gnu" in caught.value.fix
