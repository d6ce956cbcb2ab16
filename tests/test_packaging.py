"""The wheel holds the library and nothing else, and works without the checkout."""

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A copy to build from: building leaves files behind, and takes up those of earlier builds."""
    left = shutil.ignore_patterns(
        ".venv", ".git", "build", "dist", "*.egg-info", "__pycache__", "demo-output", ".*_cache"
    )
    copy = tmp_path_factory.mktemp("source") / "edgevid"
    shutil.copytree(ROOT, copy, symlinks=True, ignore=left)
    samples = copy / "bench" / "results" / "resnet50"
    samples.mkdir(parents=True, exist_ok=True)
    (samples / "samples.json").write_text("{}", encoding="utf-8")
    return copy


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(folder),
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_a_wheel_holds_edgevid_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"edgevid"}


def test_a_wheel_holds_every_module_profile_and_checkpoint(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    folders = {
        "edgevid": ROOT / "edgevid",
        **{f"edgevid/{n}": ROOT / n for n in ("targets", "calibration", "bench")},
    }
    wanted = {
        f"{prefix}/{path.relative_to(folder).as_posix()}"
        for prefix, folder in folders.items()
        for pattern in ("*.py", "*.toml", "*.safetensors", "py.typed")
        for path in folder.rglob(pattern)
        if path.is_file()
    }
    assert wanted <= names, sorted(wanted - names)
    assert "edgevid/targets/devices/xeon-icelake.toml" in names
    assert "edgevid/demo/tsm.safetensors" in names


def test_measured_results_stay_out_of_a_wheel(wheel, source):
    assert (source / "bench" / "results" / "resnet50" / "samples.json").exists()
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if name.startswith("edgevid/bench/results/")]
    assert "edgevid/bench/results.py" in names


def test_the_licence_travels_with_the_wheel(wheel):
    archive = zipfile.ZipFile(wheel)
    (licence,) = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
    assert "Apache License" in archive.read(licence).decode()


def test_an_installed_wheel_runs_a_bundle_without_the_checkout(wheel, tiny_bundle, tmp_path):
    """Its own environment, which borrows the vendors' packages but not this checkout."""
    venv.create(tmp_path / "env", with_pip=False)
    (site,) = (tmp_path / "env" / "lib").glob("python*/site-packages")
    zipfile.ZipFile(wheel).extractall(site)
    borrowed = {str(Path(name).parent) for name in (__import__("numpy").__path__[0], pytest.__path__[0])}
    code = """
import sys
sys.path += sys.argv[2:]
import edgevid, pathlib
from edgevid.bundle import Bundle
assert "site-packages" in edgevid.__file__ and "env" in pathlib.Path(edgevid.__file__).parts, edgevid.__file__
bundle = Bundle.open(sys.argv[1])
with bundle.session() as session:
    print(session.run(bundle.golden_clip).shape)
assert "torch" not in sys.modules and "onnx" not in sys.modules
"""
    command = [tmp_path / "env" / "bin" / "python", "-I", "-c", code, tiny_bundle, *borrowed]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=120, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(1, 5)"


def test_the_three_folders_are_links_so_that_every_tool_sees_one_package():
    for name in ("targets", "calibration", "bench"):
        link = ROOT / "edgevid" / name
        assert link.is_symlink()
        assert link.readlink() == Path("..") / name


def test_the_repository_names_no_machine_and_no_registry():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    words = [host + end for host in ("pypi", "npmjs", "debian") for end in (".org", ".com")]
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".txt", ""} and path.is_file() and not path.is_symlink():
            text = path.read_text(encoding="utf-8", errors="replace")
            found = [word for word in words if word in text]
            assert not found, f"{name}: {found}"


def test_the_source_archive_builds(source, tmp_path):
    command = [sys.executable, "-m", "build", "--sdist", "--outdir", str(tmp_path), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        assert any(name.endswith("edgevid/targets/openvino.py") for name in opened.getnames())
