import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from target_graphs import canonical, capability_of, clips_for, compiled, device_of

from edgevid import targets
from edgevid.contract import RunSettings
from edgevid.errors import MissingDependencyError, TargetError
from edgevid.graph.lower import KEEP
from edgevid.graph.verify import compare, expectations, verify
from edgevid.targets._profiles import device, device_names

pytest.importorskip("openvino")

LOWERINGS = capability_of("openvino").lowerings
BATCH_LOWERINGS = capability_of("openvino").batch_lowerings
HOST = device_of("openvino")
CORES = len(os.sched_getaffinity(0))
"""The runtime starts no more threads, and no more streams, than there are."""


def opened(artifact, settings=None):
    return targets.find("openvino").open(artifact, settings)


FIRST_RUNS = """
import faulthandler, sys, threading
import openvino
from edgevid.bundle import Bundle

faulthandler.dump_traceback_later(30, exit=True)
sys.setswitchinterval(1e-6)  # what met once in thirty runs meets in each
with Bundle.open(sys.argv[1]).session() as session:
    start = threading.Barrier(8)

    def convert():
        start.wait()
        openvino.Type.f32.to_dtype()

    threads = [threading.Thread(target=convert, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("all of them")
"""


@pytest.fixture(scope="module")
def references(tmp_path_factory):
    """Backbone to what ONNX Runtime says about the canonical graph of one clip."""
    found = {}
    for backbone in ("resnet50", "mobilenet_v2"):
        folder = tmp_path_factory.mktemp(backbone)
        artifact = compiled("onnxruntime", folder, lowering=KEEP, graph=canonical(1, backbone))
        with targets.find("onnxruntime").open(artifact) as session:
            found[backbone] = expectations(session, clips_for(session, 2, seed=1), count=2, seed=2)
    return found


@pytest.fixture(scope="module")
def by_precision(tmp_path_factory):
    """Precision to artifact of one clip, for all that this machine has."""
    folder = tmp_path_factory.mktemp("precisions")
    return {
        kind: compiled("openvino", folder, precision=kind)
        for kind in capability_of("openvino").precisions
        if kind != "int8"
    }


@pytest.mark.parametrize(
    ("batch", "name"), [*((1, name) for name in LOWERINGS), *((2, name) for name in BATCH_LOWERINGS)]
)
@pytest.mark.parametrize("backbone", ["resnet50", "mobilenet_v2"])
def test_every_lowering_computes_what_onnx_runtime_computes(references, tmp_path, backbone, batch, name):
    artifact = compiled("openvino", tmp_path, batch=batch, lowering=name, graph=canonical(batch, backbone))
    with opened(artifact) as session:
        verify(session, references[backbone]).raise_if_failed(name)


def test_float32_is_float32_in_every_convolution_whatever_the_processor_has(by_precision):
    with opened(by_precision["fp32"]) as session:
        kernels = session.kernels()
        assert kernels.total() >= 14
        assert {precision for _, precision in kernels} == {"f32"}
        assert str(session._model.get_property("INFERENCE_PRECISION_HINT")) == "<Type: 'float32'>"


@pytest.mark.skipif("bf16" not in HOST.precisions, reason="this processor has no bf16 arithmetic")
def test_bf16_is_bf16_in_every_convolution(by_precision):
    with opened(by_precision["bf16"]) as session:
        assert {precision for _, precision in session.kernels()} == {"bf16"}


def test_fp16_halves_the_weights_on_disk_and_computes_in_float32(by_precision):
    sizes = {
        kind: artifact.path.with_suffix(".bin").stat().st_size for kind, artifact in by_precision.items()
    }
    assert sizes["fp16"] < 0.55 * sizes["fp32"]
    weights = sum(4 * value.const_value.size for value in canonical().graph.initializers.values())
    assert weights <= sizes["fp32"] <= 1.05 * weights
    with opened(by_precision["fp16"]) as session:
        # Its runtime precision is that of the stored weights; the kernel's name says what computes.
        assert {primitive.rsplit("_", 1)[1] for primitive, _ in session.kernels()} == {"f32"}


def test_precisions_differ_from_float32_by_as_much_as_they_should(by_precision):
    logits = {}
    for kind, artifact in by_precision.items():
        with opened(artifact) as session:
            logits[kind] = session.run(clips_for(session, seed=3))
    for kind in set(logits) - {"fp32"}:
        assert 1e-6 < compare(logits["fp32"], logits[kind]).max_relative < 2e-2


@pytest.mark.parametrize("hint", ["latency", "throughput"])
@pytest.mark.parametrize(("threads", "streams"), [(1, 1), (2, 1), (2, 2)])
def test_threads_streams_and_hint_reach_the_runtime(by_precision, threads, streams, hint):
    with opened(by_precision["fp32"], RunSettings(threads, streams, hint)) as session:
        read = session._model.get_property
        assert read("INFERENCE_NUM_THREADS") == min(threads, CORES)
        assert int(read("NUM_STREAMS")) == min(streams, CORES)
        assert read("PERFORMANCE_HINT") == hint.upper()
        assert {precision for _, precision in session.kernels()} == {"f32"}


def test_settings_that_are_compiled_in_are_used_until_others_are_given(tmp_path):
    artifact = compiled("openvino", tmp_path, settings=RunSettings(threads=2, hint="throughput"))
    for settings, threads, hint in ((None, 2, "THROUGHPUT"), (RunSettings(threads=1), 1, "LATENCY")):
        with opened(artifact, settings) as session:
            assert session._model.get_property("INFERENCE_NUM_THREADS") == min(threads, CORES)
            assert session._model.get_property("PERFORMANCE_HINT") == hint
    program = (artifact.folder / "example.py").read_text()
    for words in ("'INFERENCE_NUM_THREADS': 2", "'THROUGHPUT'", "'INFERENCE_PRECISION_HINT': 'f32'"):
        assert words in program


def test_the_example_of_bf16_asks_for_bf16(tmp_path):
    artifact = compiled("openvino", tmp_path, precision="bf16")
    assert "'INFERENCE_PRECISION_HINT': 'bf16'" in (artifact.folder / "example.py").read_text()


def test_the_canonical_graph_is_refused_because_of_its_functions(tmp_path):
    with pytest.raises(TargetError, match="OpenVINO cannot convert the graph") as caught:
        compiled("openvino", tmp_path, lowering=KEEP)
    assert caught.value.where.endswith("model.xml")
    assert "edgevid::Shift" in capability_of("openvino").forbidden_ops


def test_an_artifact_whose_weights_are_gone_is_refused(by_precision, tmp_path):
    (tmp_path / "model.xml").write_bytes(by_precision["fp32"].path.read_bytes())
    artifact = type(by_precision["fp32"])(**{**vars(by_precision["fp32"]), "folder": tmp_path})
    with pytest.raises(TargetError, match="OpenVINO refuses the model"):
        opened(artifact)


def test_without_the_package_opening_says_what_installs_it(by_precision, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependencyError, match="openvino cannot be imported") as caught:
        opened(by_precision["fp32"])
    assert "edgevid[openvino]" in caught.value.fix


@pytest.mark.parametrize("name", [name for name in device_names() if name.startswith("xeon")])
def test_every_xeon_has_float32_and_half_weights_and_int8_or_a_reason_why_not(name):
    profile = device(name)
    capability = targets.find("openvino").probe(profile)
    assert {"fp32", "fp16"} <= set(capability.precisions)
    assert ("int8" in capability.precisions) == (capability.scheme is not None)
    assert "int8" in capability.precisions or profile.title in capability.missing["int8"]
    has_bf16 = "bf16" in {*profile.precisions, *profile.emulated}
    assert ("bf16" in capability.precisions) == has_bf16
    assert has_bf16 or profile.title in capability.missing["bf16"]


def test_kernels_are_counted_by_primitive_and_precision(by_precision):
    with opened(by_precision["fp32"]) as session:
        kernels = session.kernels()
        session.run(clips_for(session))
        assert session.kernels() == kernels
    assert isinstance(kernels, Counter)
    assert all(primitive and np.all(count > 0) for (primitive, _), count in kernels.items())


def test_runs_of_several_threads_in_one_session_do_not_mix(by_precision):
    with opened(by_precision["fp32"], RunSettings(threads=2, streams=2)) as session:
        assert session.shares_streams
        clips = [np.full(session.input.shape, value, np.uint8) for value in (0, 90, 255)]
        wanted = [session.run(clip) for clip in clips]
        with ThreadPoolExecutor(3) as pool:
            found = list(pool.map(lambda index: session.run(clips[index % 3]), range(60)))
    for index, logits in enumerate(found):
        assert np.array_equal(logits, wanted[index % 3])


def test_first_runs_of_several_threads_do_not_wait_for_each_other_for_good(tiny_bundle):
    done = subprocess.run(
        [sys.executable, "-c", FIRST_RUNS, str(tiny_bundle)], capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "all of them\n", done.stderr
