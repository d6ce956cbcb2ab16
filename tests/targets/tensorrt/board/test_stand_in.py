"""The stand-in of TensorRT's Python API has the names of the files, and enforces the order of calls."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = sorted((HERE.parents[2] / "data" / "tensorrt_api").glob("*-signatures.json"))


def in_stand_in(program, libraries, **settings):
    environment = {**os.environ, "PYTHONPATH": str(HERE / "stand_in"), "LD_LIBRARY_PATH": str(libraries)}
    environment |= {f"STAND_IN_{name.upper()}": value for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-c", f"import tensorrt as trt\nlog = trt.Logger()\n{program}"],
        capture_output=True, text=True, timeout=100, check=False, env=environment,
    )  # fmt: skip


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_every_entry_names_its_source(file):
    api = json.loads(file.read_text())
    assert len(api["classes"]) > 10
    for described in (*api["classes"].values(), *api["enums"].values()):
        assert described["source"] in api["sources"]


@pytest.mark.parametrize("api", ["8.2", "10.3"])
def test_it_has_exactly_the_names_of_the_file(api, cudart):
    program = """
import json
names = {name: sorted(set(dir(getattr(trt, name))) - set(dir(object))) for name in trt._API["classes"]}
print(json.dumps(names))
"""
    done = in_stand_in(program, cudart, api=api)
    assert done.returncode == 0, done.stderr
    described = json.loads((FILES[0].parent / f"{api}-signatures.json").read_text())["classes"]
    for name, found in json.loads(done.stdout).items():
        wanted = {*described[name]["methods"], *described[name]["properties"]}
        public = {each for each in found if not each.startswith("_")}
        enums = {each for members in described["ILogger"]["enums"].values() for each in members}
        assert wanted <= public, name
        assert public - wanted <= {"Severity", *enums}, name


def test_names_of_10_are_not_in_8_2(cudart):
    done = in_stand_in("trt.Builder(log).create_builder_config().set_memory_pool_limit(0, 1)", cudart)
    assert "has no attribute 'set_memory_pool_limit'" in done.stderr
    done = in_stand_in("trt.Builder(log).create_builder_config().max_workspace_size = 1", cudart, api="10.3")
    assert "has no attribute 'max_workspace_size'" in done.stderr


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("trt.Builder()", "missing a required argument"),
        ("trt.Builder('log')", "logger is no ILogger"),
        ("trt.ICudaEngine()", "cannot be made by itself"),
        ("trt.Builder(log).create_network(1, 2)", "too many positional arguments"),
        ("trt.Runtime(log).load('x')", "has no attribute 'load'"),
        ("trt.Builder(log).num_DLA_cores", "KeyError"),
        ("trt.Builder(log).reset()", "the stand-in does nothing for Builder.reset"),
    ],
)
def test_wrong_calls_fail(program, told, cudart):
    assert told in in_stand_in(program, cudart).stderr


def test_nothing_is_built_before_a_network_was_parsed(cudart):
    program = """
builder = trt.Builder(log)
config = builder.create_builder_config()
config.max_workspace_size = 1 << 30
print(builder.build_serialized_network(builder.create_network(1), config))
"""
    assert in_stand_in(program, cudart).stdout.strip() == "None"


def test_a_network_without_explicit_batch_is_not_parsed(cudart):
    program = "print(trt.OnnxParser(trt.Builder(log).create_network(), log).parse_from_file('nothing.onnx'))"
    assert in_stand_in(program, cudart).stdout.strip() == "False"
