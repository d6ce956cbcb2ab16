"""The builder's process and what it is told; full-size networks stand in `test_full_size`."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx.helper as oh
import pytest
from onnx import TensorProto, numpy_helper
from tensorrt_stand_in import Severity, stand_in

from edgevid.errors import ConfigError, GraphError, MissingDependencyError, TargetError
from edgevid.targets.tensorrt.build import build_plan
from edgevid.targets.tensorrt.builder import Job, build


def network(*, operator="Relu", batch=1, domain="", opset=13):
    """A convolution and one more operation, as an ONNX file."""
    weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    nodes = [
        oh.make_node("Conv", ["clips", "weight"], ["a"], name="conv", pads=[1, 1, 1, 1]),
        oh.make_node(operator, ["a"], ["logits"], name="act", domain=domain),
    ]
    graph = oh.make_graph(
        nodes,
        "tiny",
        [oh.make_tensor_value_info("clips", TensorProto.FLOAT, [batch, 3, 8, 8])],
        [oh.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, 4, 8, 8])],
        [numpy_helper.from_array(weight, "weight")],
    )
    imports = [oh.make_opsetid("", opset), *([oh.make_opsetid(domain, 1)] if domain else [])]
    return oh.make_model(graph, opset_imports=imports, ir_version=7).SerializeToString()


def rtx(onnx_file, **given):
    return build_plan(onnx_file, flavor="tensorrt_rtx", **{"capabilities": ("8.9",), **given})


def test_a_network_is_built_without_a_gpu_and_twice_the_same():
    first, second = rtx(network()), rtx(network())
    assert first.version.startswith("1.")
    assert first.seconds > 0
    assert "conv" in first.log
    assert first.data == second.data


def test_one_engine_serves_several_gpus():
    one, two = rtx(network()), rtx(network(), capabilities=("8.6", "12.0"))
    assert one.data != two.data


def test_several_batches_are_profiles_of_one_engine():
    assert rtx(network(batch="N"), batches=(1, 4)).data


def test_a_graph_that_the_parser_refuses_is_told_with_node_and_reason():
    with pytest.raises(GraphError, match=r"refuses the graph: .*Twist.*act") as refused:
        rtx(network(operator="Twist", domain="my.ops"))
    assert refused.value.where == "act"
    assert "edgevid lint" in refused.value.fix


def test_what_is_no_onnx_file_is_refused():
    with pytest.raises(GraphError, match="refuses the graph"):
        rtx(b"not a network")


def test_a_capability_that_the_builder_does_not_know_is_refused_with_those_it_does():
    with pytest.raises(TargetError, match=r"compute capability 6\.2") as refused:
        rtx(network(), capabilities=("6.2",))
    assert "SM89" in refused.value.fix


def test_capabilities_belong_to_tensorrt_for_rtx():
    with pytest.raises(ConfigError, match="compute capabilities"):
        build_plan(network(), flavor="tensorrt", capabilities=("8.9",))
    with pytest.raises(ConfigError, match="compute capabilities"):
        build_plan(network(), flavor="tensorrt_rtx")


def test_a_workspace_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="0 bytes"):
        rtx(network(), workspace=0)


def test_too_little_workspace_is_told_by_the_real_builder_too():
    with pytest.raises(TargetError, match=r"with 1 bytes of workspace: .* workspace limit") as refused:
        rtx(network(), workspace=1)
    assert refused.value.where == "--workspace"


def test_full_tensorrt_that_is_not_installed_is_told():
    with pytest.raises(MissingDependencyError, match="tensorrt"):
        build_plan(network(), flavor="tensorrt")


def test_a_crash_of_the_library_is_told_and_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "tensorrt_rtx").mkdir()
    crash = "import os, signal\nprint('about to crash', flush=True)\nos.kill(os.getpid(), signal.SIGSEGV)\n"
    (tmp_path / "tensorrt_rtx" / "__init__.py").write_text(crash)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(TargetError, match="was killed by signal 11 while it built: about to crash"):
        rtx(network())
    full = "raise OSError(28, 'No space left on device')"
    (tmp_path / "tensorrt_rtx" / "__init__.py").write_text(full)
    with pytest.raises(TargetError, match="No space left on device") as refused:
        rtx(network())
    assert refused.value.where == str(tmp_path)
    assert "TMPDIR" in refused.value.fix
    assert [path.name for path in tmp_path.iterdir()] == ["tensorrt_rtx"]


INTERRUPTED = """
import pathlib, sys
from edgevid.targets.tensorrt.build import build_plan
print("begun", flush=True)
build_plan(b"", flavor="tensorrt_rtx", capabilities=("8.9",))
"""
HANGS = """
import os, pathlib, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
pathlib.Path(os.environ["TOLD"]).write_text(str(os.getpid()))
time.sleep(100)
"""


def test_ctrl_c_ends_a_builder_that_does_not_hear_it(tmp_path):
    (tmp_path / "tensorrt_rtx").mkdir()
    (tmp_path / "tensorrt_rtx" / "__init__.py").write_text(HANGS)
    scratch, told = tmp_path / "scratch", tmp_path / "told"
    scratch.mkdir()
    environment = {**os.environ, "TMPDIR": str(scratch), "TOLD": str(told), "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        while not told.exists() or not told.read_text():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in errors
    assert list(scratch.iterdir()) == []
    assert not Path("/proc", told.read_text(), "exe").exists()


# What cannot be had of a real builder here is tried on a stand-in of its interface.


@pytest.fixture(params=["10", "11", "rtx"])
def trt(request):
    return stand_in(request.param)


def job(trt, **given):
    return Job(trt.__name__, ("8.6", "8.9") if trt.name == "rtx" else (), **given)


def test_one_path_builds_with_every_generation(trt):
    plan, log = build(trt, b"network", job(trt, workspace=1 << 20, batches=(1, 8)))
    told = json.loads(plan)
    assert told["onnx"] == "network"
    assert told["workspace"] == 1 << 20
    assert told["capabilities"] == (["SM86", "SM89"] if trt.name == "rtx" else [])
    assert told["profiles"] == [["clips", *3 * [[batch, 4, 8, 8, 3]]] for batch in (1, 8)]
    assert log == "built"


def test_every_refused_node_is_told(trt):
    trt.parser_errors = [("Twist", "a", "no importer"), ("Bend", "b", "no plugin")]
    with pytest.raises(GraphError, match="Twist a: no importer; Bend b: no plugin") as refused:
        build(trt, b"network", job(trt))
    assert refused.value.where == "a"


def test_too_little_workspace_is_told_with_its_bytes(trt):
    trt.refuses = [
        (Severity.WARNING, "Tactic requires 4096 bytes: insufficient workspace"),
        (Severity.ERROR, "Could not find any implementation for node conv."),
    ]
    with pytest.raises(TargetError, match=r"with 1024 bytes of workspace: Could not find .* conv") as refused:
        build(trt, b"network", job(trt, workspace=1024))
    assert "give it more" in refused.value.fix


def test_another_failure_is_told_in_the_builders_words(trt):
    trt.refuses = [(Severity.ERROR, "no kernel image")]
    with pytest.raises(TargetError, match="cannot build the network: no kernel image"):
        build(trt, b"network", job(trt))


def test_a_builder_that_does_not_come_to_be_is_told_with_what_still_works(trt):
    trt.broken = "CUDA initialization failure with error: 35"
    with pytest.raises(TargetError, match="CUDA initialization failure with error: 35") as refused:
        build(trt, b"network", job(trt))
    assert "--device rtx-40" in refused.value.fix
