"""Who may import whom, and what is not imported until it is used."""

import ast
import json
import resource
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"edgevid": "edgevid", "targets": "edgevid.targets", "bench": "edgevid.bench"} | {
    "calibration": "edgevid.calibration"
}
LEVELS = (
    {"errors", "shift", "contract", "diagnostic", "disk", "target_finder"},
    {
        "models",
        "checkpoints",
        "graph",
        "video",
        "manifest",
        "bundle",
        "new_bundle",
        "papers",
        "scores",
        "ensemble",
    },
    {"targets", "recognition"},
    {"bench"},
    {"calibration"},
    {
        "batches",
        "build",
        "choose",
        "compiler",
        "ensemble_compiler",
        "foreign",
        "int8",
        "lint",
        "overhead",
        "peers",
        "pass_effect",
        "plan",
        "proof",
        "recipe",
    }
    | {"source", "suggest", "verification"},
    {"doctor", "demo", "live", "show", "show_network", "show_recognition", "show_compare", "show_calibration"}
    | {"show_ensemble", "show_lint", "show_sensitivity"},
    {"cli"},
    {"__main__"},
)
LEVEL = {name: number for number, names in enumerate(LEVELS) for name in names}
VENDORS = {
    *("torch", "onnx", "onnx_ir", "onnxscript", "onnxsim", "onnxruntime", "safetensors"),
    *("openvino", "tvm", "tensorrt", "tensorrt_rtx", "av", "cv2", "PIL", "matplotlib", "jinja2"),
}
AT_MODULE_LEVEL = {
    "torch": ("edgevid.models.", "edgevid.checkpoints.", "edgevid.graph.export", "edgevid.demo."),
    "onnx_ir": (
        "edgevid.graph.",
        "edgevid.calibration.",
        "edgevid.targets.tvm.",
        "edgevid.targets.tensorrt.",
        "edgevid.choose.",
        "edgevid.overhead.streaming",
    ),
    "onnx": ("edgevid.graph.",),
    "tvm": ("edgevid.targets.tvm.",),
}
"""Vendor to where it may be imported as soon as the module is."""

RUNTIMES = {"openvino", "onnxruntime", "tvm", "tensorrt", "tensorrt_rtx"}


@cache
def modules():
    """Name to source of every module, each at its real place."""
    found = {}
    for folder, package in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            if folder == "edgevid" and parts[0] in FOLDERS:
                continue
            name = ".".join([package, *parts]).removesuffix(".__init__")
            found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imported(tree, *, lazily=True):
    """What a module imports, names that are modules themselves in full; type checking aside."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not lazily:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in modules() else node.module
        else:
            yield from imported(node, lazily=lazily)


def level(name):
    """The place of a module in the order; the package itself is a façade and has none."""
    return None if name == "edgevid" else LEVEL[name.split(".")[1]]


def test_every_module_has_a_place_in_the_order():
    assert {name.split(".")[1] for name in modules() if "." in name} <= set(LEVEL)
    assert len(modules()) > 80


def test_nothing_imports_upwards():
    upwards = set()
    for name, tree in modules().items():
        for other in imported(tree):
            if name == "edgevid" or other.split(".")[0] != "edgevid" or other == "edgevid":
                continue
            if level(other) > level(name):
                upwards.add((name, other))
    assert upwards == set()


def test_targets_do_not_know_each_other():
    modules_of = {}
    for name in modules():
        if name.startswith("edgevid.targets.") and "._" not in name:
            modules_of.setdefault(name.split(".")[2], set()).add(name)
    assert len(modules_of) >= 3
    for target, own in modules_of.items():
        others = set().union(*modules_of.values()) - own
        for name in own:
            assert not set(imported(modules()[name])) & others, f"{name} of {target}"


def test_vendors_are_imported_at_module_level_only_where_nothing_works_without_them():
    for name, tree in modules().items():
        for other in imported(tree, lazily=False):
            vendor = other.split(".")[0]
            if vendor in VENDORS:
                assert name.startswith(AT_MODULE_LEVEL.get(vendor, ("nowhere",))), f"{name} imports {other}"


def test_a_runtime_is_named_only_in_its_own_target_and_where_peers_use_its_own_tools():
    for name, tree in modules().items():
        for other in imported(tree):
            if other.split(".")[0] in RUNTIMES:
                own = f"edgevid.targets.{other.split('.')[0]}"
                assert name.startswith((own, "edgevid.peers.")), f"{name} imports {other}"


def test_targets_are_told_apart_nowhere_but_in_targets():
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare) and not name.startswith("edgevid.targets"):
                sides = [node.left, *node.comparators]
                words = {side.value for side in sides if isinstance(side, ast.Constant)}
                assert not words & {*RUNTIMES, "null"}, f"{name}, line {node.lineno}"


def third_party(program, *arguments):
    """Top-level packages, ours and others', that a fresh interpreter has loaded after ``program``."""
    wrapped = (
        "import json, sys\n"
        "before = set(sys.modules)\n"
        f"{program}\n"
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(json.dumps(sorted(names - sys.stdlib_module_names)))\n"
    )
    command = [sys.executable, "-I", "-c", wrapped, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    names = json.loads(done.stdout.splitlines()[-1])
    return {name for name in names if not name.startswith("_")}


HELP = """
sys.argv = ["edgevid", "--help"]
from edgevid.cli import main
try:
    main()
except SystemExit as end:
    assert end.code in (0, None)
"""


def test_importing_edgevid_imports_nothing_else():
    assert third_party("import edgevid") == {"edgevid"}


def test_the_help_imports_no_vendor():
    loaded = third_party(HELP)
    assert "typer" in loaded
    assert not loaded & {*VENDORS, "numpy", "pydantic"}


@pytest.mark.parametrize("command", ["import edgevid", HELP])
def test_importing_and_helping_take_half_a_second_of_processor_time_at_most(command):
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        third_party(command)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert min(seconds) < 0.5


@pytest.mark.parametrize(
    "name",
    ["errors", "contract", "shift", "bundle", "manifest", "models", "video", "targets", "targets.tvm"],
)
def test_light_modules_import_no_vendor(name):
    assert not third_party(f"import edgevid.{name}") & VENDORS


RUN = """
import numpy
from edgevid import Bundle
bundle = Bundle.open(sys.argv[1])
with bundle.session() as session:
    print(session.run(bundle.golden_clip).argmax())
"""
BARE = "import numpy, openvino\nfrom pydantic import BaseModel, Field\nopenvino.Core().available_devices"


def test_opening_and_running_a_bundle_imports_numpy_pydantic_and_its_runtime_alone(tiny_bundle):
    loaded = third_party(RUN, tiny_bundle)
    assert {"edgevid", "numpy", "pydantic", "openvino"} <= loaded
    assert loaded - third_party(BARE) == {"edgevid"}


@pytest.mark.parametrize("command", [["verify", "BUNDLE"], ["devices"], ["doctor"]])
def test_commands_that_need_no_network_work_without_the_packages_that_compile(tiny_bundle, command):
    blocked = {"torch", "safetensors", "onnx", "onnx_ir", "onnxscript", "onnxsim", "onnxruntime"}
    arguments = [str(tiny_bundle) if word == "BUNDLE" else word for word in command]
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({sorted(blocked)})); "
        f"sys.argv = ['edgevid', *{arguments!r}]; from edgevid.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
