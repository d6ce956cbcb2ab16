"""TVM's runtime for boards: two libraries out of the registry's aarch64 wheels, downloaded once."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from edgevid.errors import MissingDependencyError, TargetError
from edgevid.targets._install import installed_version
from edgevid.targets.tvm.elf import check_old_enough, read_needs

__all__ = ["LIBRARIES", "board_libraries", "cache_folder"]

LIBRARIES = {"apache-tvm": "tvm/lib/libtvm_runtime.so", "apache-tvm-ffi": "tvm_ffi/lib/libtvm_ffi.so"}
"""Distribution to the place of its library in the wheel."""

_PLATFORM = "manylinux_2_28_aarch64"
_PATIENCE_SECONDS = 600


def cache_folder() -> Path:
    """Where downloads are kept: ``$XDG_CACHE_HOME/edgevid``, by default ``~/.cache/edgevid``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "edgevid"


def board_libraries() -> tuple[Path, ...]:
    """``libtvm_runtime.so`` and ``libtvm_ffi.so`` for aarch64, of the versions installed here.

    Raises:
        MissingDependencyError: TVM is not installed here, or its wheels cannot be downloaded.
        TargetError: the libraries need a newer system than boards have.
    """
    versions = {name: installed_version(name) for name in LIBRARIES}
    if not all(versions.values()):
        raise MissingDependencyError("apache-tvm is not installed", fix="pip install 'edgevid[tvm]'")
    folder = cache_folder() / f"tvm-{versions['apache-tvm']}-ffi-{versions['apache-tvm-ffi']}-aarch64"
    found = tuple(folder / Path(inside).name for inside in LIBRARIES.values())
    if not all(path.is_file() for path in found):
        _download(versions, folder)
    for path in found:
        check_old_enough(path)
    return found


def _download(versions: dict[str, str], folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as name:
            draft = Path(name)
            wanted = [f"{package}=={version}" for package, version in versions.items()]
            # Of the registry's wheels for boards; pip checks their hashes.
            subprocess.run(
                [
                    *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
                    *("--no-deps", "--only-binary=:all:", f"--platform={_PLATFORM}", f"--dest={draft}"),
                    *wanted,
                ],
                check=True,
                capture_output=True,
                text=True,
                timeout=_PATIENCE_SECONDS,
            )
            for package, inside in LIBRARIES.items():
                (wheel,) = draft.glob(f"{package.replace('-', '_')}-{versions[package]}-*.whl")
                with zipfile.ZipFile(wheel) as archive:
                    archive.extract(inside, draft)
                if read_needs(draft / inside).machine != "aarch64":
                    raise TargetError(f"{wheel.name} is not for aarch64")
                (draft / inside).replace(folder / Path(inside).name)
    except (
        *(OSError, ValueError, KeyError, zipfile.BadZipFile),
        *(subprocess.SubprocessError, TargetError),
    ) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise MissingDependencyError(
            f"TVM's libraries for ARM boards cannot be downloaded: {said.strip().splitlines()[-1]}",
            where=folder,
            fix=f"go online once, or put {' and '.join(Path(p).name for p in LIBRARIES.values())} of the "
            f"{_PLATFORM} wheels of {' and '.join(f'{k} {v}' for k, v in versions.items())} there",
        ) from error
