import sys
from importlib import metadata

import pytest

from edgevid.doctor import examine


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Writes the module of a package that then counts as installed, in place of the real one."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name, module, text):
        (tmp_path / f"{module}.py").write_text(text)
        monkeypatch.delitem(sys.modules, module, raising=False)
        real = metadata.version
        monkeypatch.setattr(metadata, "version", lambda asked: "9.9" if asked == name else real(asked))

    return write


def finding(package, **options):
    (found,) = (one for one in examine(**options) if one.package == package)
    return found


def test_what_is_installed_is_reported_with_its_version():
    found = finding("numpy")
    assert (found.version, found.problem) == (metadata.version("numpy"), "")


def test_every_package_has_a_purpose_and_a_command():
    for found in examine():
        assert found.purpose
        assert found.command.startswith("pip install ")
        assert bool(found.version) or found.problem == "not installed"


def test_the_commands_install_what_the_project_declares():
    declared = {
        requirement.split()[0].split(">")[0].split("<")[0] for requirement in metadata.requires("edgevid")
    }
    extras = set(metadata.metadata("edgevid").get_all("Provides-Extra"))
    for found in examine():
        assert found.package in declared
        extra = found.command.partition("[")[2].partition("]")[0]
        assert extra in extras or found.command == "pip install edgevid"
    assert {"compile", "openvino", "tvm", "tensorrt"} <= {
        found.command.partition("[")[2].partition("]")[0] for found in examine()
    }


def test_a_missing_package_comes_with_the_command_that_installs_it(monkeypatch):
    def nothing(package):
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "version", nothing)
    for package, command in (
        ("openvino", "pip install 'edgevid[openvino]'"),
        ("torch", "pip install 'edgevid[compile]'"),
        ("apache-tvm", "pip install 'edgevid[tvm]'"),
        ("tensorrt-rtx", "pip install 'edgevid[tensorrt]'"),
        ("av", "pip install edgevid"),
    ):
        found = finding(package)
        assert (found.version, found.problem, found.command) == ("", "not installed", command)


def test_a_package_without_its_module_is_reported(package, monkeypatch):
    package("apache-tvm", "unrelated", "")
    monkeypatch.setitem(sys.modules, "tvm", None)
    found = finding("apache-tvm", load=True)
    assert found.version == "9.9"
    assert found.problem


@pytest.mark.parametrize(
    "text",
    [
        "raise ImportError('libcuda.so.1: cannot open')",
        "raise OSError('libcuda.so.1: cannot open')",
        "raise RuntimeError('libcuda.so.1: cannot open')",
        "raise AttributeError('libcuda.so.1: cannot open')",
        "raise SystemError('libcuda.so.1: cannot open')",
    ],
)
def test_a_package_that_does_not_load_is_reported_with_the_reason(package, text):
    package("tensorrt-rtx", "tensorrt_rtx", text)
    found = finding("tensorrt-rtx", load=True)
    assert found.version == "9.9"
    assert found.problem == "installed, but it does not load: libcuda.so.1: cannot open"


def test_nothing_is_imported_unless_asked_for(package):
    package("tensorrt-rtx", "tensorrt_rtx", "raise ImportError('imported')")
    assert finding("tensorrt-rtx").problem == ""
    assert "tensorrt_rtx" not in sys.modules
