"""`build_engine.py` runs on JetPack 4: Python 3.6, and numpy 1.13, which Ubuntu 18.04 brings."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from edgevid.targets.tensorrt.board import build_engine

PROGRAM = Path(build_engine.__file__)
NUMPY = Path(__file__).parents[3] / "data" / "numpy-1.13-names.txt"
"""What numpy 1.13.3's modules list in ``__all__``, its ufuncs, and its types."""

ALLOWED = {"numpy", "tensorrt"}


def too_new(source, tmp_path):
    """What vermin says of a program that needs more than Python 3.6; empty if it does not."""
    file = tmp_path / "program.py"
    file.write_text(source, encoding="utf-8")
    command = [
        sys.executable,
        "-c",
        "import vermin; vermin.main()",
        "--no-tips",
        "--violations",
        "-t=3.6-",
        str(file),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def numpy_names(source):
    """Dotted names below ``np`` that a program uses."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        parts = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name) and node.id == "np" and parts:
            found.add(".".join(reversed(parts)))
    return found


def imports(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
            yield node.args[0].value


def test_the_program_needs_no_newer_python(tmp_path):
    assert too_new(PROGRAM.read_text(encoding="utf-8"), tmp_path) == ""


def test_python_itself_reads_it_as_3_6():
    ast.parse(PROGRAM.read_text(encoding="utf-8"), feature_version=(3, 6))


@pytest.mark.parametrize(
    "seed",
    [
        "from __future__ import annotations",
        "if (n := 3): print(n)",
        "import subprocess\nsubprocess.run(['ls'], capture_output=True)",
        "import time\ntime.perf_counter_ns()",
        "print(f'{1=}')",
        "def f(a, /): return a",
        "import dataclasses",
        "from pathlib import Path\nPath('a').unlink(missing_ok=True)",
        "'abc'.removeprefix('a')",
        "with (open('a') as a, open('b') as b): pass",
        "match 1:\n    case 1: pass",
    ],
)
def test_what_is_too_new_is_found(seed, tmp_path):
    assert too_new(seed, tmp_path)


def test_only_names_of_numpy_1_13_are_used():
    known = set(NUMPY.read_text().split())
    used = numpy_names(PROGRAM.read_text(encoding="utf-8"))
    assert len(used) > 10
    assert used - known == set()


@pytest.mark.parametrize("seed", ["np.random.default_rng(0)", "np.quantile(a, 0.5)", "np.strings.upper"])
def test_a_newer_name_of_numpy_is_found(seed):
    assert numpy_names(seed) - set(NUMPY.read_text().split())


def test_it_imports_tensorrt_and_numpy_alone():
    used = set(imports(PROGRAM.read_text(encoding="utf-8"))) - sys.stdlib_module_names
    assert used == ALLOWED
