"""Sessions of engines on stand-ins of TensorRT and CUDA; see `tensorrt_stand_in` for what these are worth."""

import sys
from types import ModuleType

import numpy as np
import pytest
from tensorrt_stand_in import VERSIONS, brightness, stand_in

from edgevid.contract import Artifact, RunSettings, TensorSpec
from edgevid.errors import ConfigError, MissingDependencyError, TargetError
from edgevid.targets.tensorrt import execution
from edgevid.targets.tensorrt.engine import IDENTITY, EngineIdentity, save_identity
from edgevid.targets.tensorrt.gpu import Gpu
from edgevid.targets.tensorrt.session import TensorRtSession

A10 = Gpu("NVIDIA A10", "8.6", 24 << 30, "12.8")
SHAPE = (2, 4, 8, 8, 3)
CLIPS = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)


@pytest.fixture(params=["10", "11", "rtx"])
def trt(request, monkeypatch):
    return installed(request.param, monkeypatch)


def installed(name, monkeypatch, gpu=A10):
    trt = stand_in(name)
    monkeypatch.setitem(sys.modules, trt.__name__, trt)
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", trt.cuda)
    monkeypatch.setattr(execution, "this_gpu", lambda: gpu)
    return trt


def artifact(folder, trt, *, data=b"engine", **identity):
    given = {"flavor": trt.__name__, "version": VERSIONS[trt.name], "capabilities": ("8.6",), **identity}
    save_identity(EngineIdentity(**given), folder)
    (folder / "model.engine").write_bytes(data)
    specs = TensorSpec("clips", SHAPE, "uint8"), TensorSpec("logits", (2, 3), "float32")
    return Artifact("tensorrt", folder, "model.engine", "fp32", 2, "fused_slice_concat", *specs)


def opened(folder, trt, **given):
    return TensorRtSession(artifact(folder, trt, **given), RunSettings())


def test_clips_go_through_the_gpu_and_logits_come_back(trt, tmp_path):
    with opened(tmp_path, trt) as session:
        for clips in (CLIPS, CLIPS[::-1].copy()):
            np.testing.assert_allclose(session.run(clips), brightness(clips), rtol=1e-6)


def test_an_engine_that_takes_floats_is_given_them(trt, tmp_path):
    trt.input_type = trt.DataType.FLOAT
    with opened(tmp_path, trt) as session:
        np.testing.assert_allclose(session.run(CLIPS), brightness(CLIPS), rtol=1e-6)


def test_results_are_not_overwritten_by_the_next_run(trt, tmp_path):
    with opened(tmp_path, trt) as session:
        first = session.run(CLIPS)
        kept = first.copy()
        session.run(np.zeros_like(CLIPS))
        np.testing.assert_array_equal(first, kept)


def test_transfers_and_computing_are_timed_apart_by_events(trt, tmp_path):
    with opened(tmp_path, trt) as session:
        (times,) = session.times(CLIPS, 1)
        assert (times.h2d, times.compute, times.d2h) == (1, 1, 1)
        assert session.latencies_ms(CLIPS, 2) == [3, 3]


@pytest.mark.parametrize("name", ["10", "11"])
def test_the_kernels_are_captured_once_and_launched_as_a_graph(name, monkeypatch, tmp_path):
    trt = installed(name, monkeypatch)
    with opened(tmp_path, trt) as session:
        session.run(CLIPS)
        session.run(CLIPS)
    assert (trt.cuda.captures, trt.cuda.launches, trt.cuda.runs) == (1, 2, 1)


def test_tensorrt_for_rtx_is_told_to_capture_by_itself(monkeypatch, tmp_path):
    trt = installed("rtx", monkeypatch)
    with opened(tmp_path, trt) as session:
        session.run(CLIPS)
    assert trt.strategy == trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
    assert (trt.cuda.captures, trt.cuda.runs) == (0, 2)


def test_closing_gives_everything_back_and_refuses_more(trt, tmp_path):
    session = opened(tmp_path, trt)
    assert {kind for kind, _ in trt.cuda.held.values()} >= {"memory", "stream", "event"}
    session.close()
    session.close()
    assert trt.cuda.held == {}
    with pytest.raises(TargetError, match="closed"):
        session.run(CLIPS)
    with pytest.raises(TargetError, match="closed"):
        session.times(CLIPS, 1)


@pytest.mark.parametrize("shape", [(1, *SHAPE[1:]), (2, 4, 8, 8, 1)])
def test_a_clip_of_another_shape_is_refused_also_when_it_is_timed(trt, tmp_path, shape):
    with opened(tmp_path, trt) as session, pytest.raises(TargetError, match=r"uint8\[2, 4, 8, 8, 3\]"):
        session.times(np.zeros(shape, np.uint8), 1)


def test_the_profile_of_the_batch_is_chosen(trt, tmp_path):
    with opened(tmp_path, trt, batches=(1, 2, 8)) as session:
        session.run(CLIPS)
    assert trt.profile == 1


def test_a_batch_without_a_profile_is_refused(trt, tmp_path):
    with pytest.raises(TargetError, match="no profile of 2 clips") as refused:
        opened(tmp_path, trt, batches=(1, 8))
    assert "1, 8" in refused.value.fix
    assert trt.cuda.held == {}


def test_an_engine_of_another_version_is_refused_before_it_is_loaded(trt, tmp_path):
    with pytest.raises(TargetError, match=r"is of \w+ 10\.0\.1, and .* is installed") as refused:
        opened(tmp_path, trt, version="10.0.1")
    assert "compile the bundle again" in refused.value.fix
    assert trt.loaded == 0


def test_an_engine_for_another_capability_is_refused_before_it_is_loaded(trt, tmp_path):
    with pytest.raises(
        TargetError, match=r"for compute capability 8\.9 and 12\.0, and this NVIDIA A10 has 8\.6"
    ):
        opened(tmp_path, trt, capabilities=("8.9", "12.0"))
    assert trt.loaded == 0


def test_an_engine_that_was_built_on_another_model_is_refused_before_it_is_loaded(trt, tmp_path):
    with pytest.raises(TargetError, match="built on NVIDIA RTX A6000, and this is NVIDIA A10"):
        opened(tmp_path, trt, gpu="NVIDIA RTX A6000")
    assert trt.loaded == 0
    with opened(tmp_path, trt, gpu="NVIDIA A10"):
        assert trt.loaded == 1


def test_a_damaged_identity_is_named(trt, tmp_path):
    made = artifact(tmp_path, trt)
    (tmp_path / IDENTITY).write_text("{}")
    with pytest.raises(TargetError, match="which GPU the engine is for") as refused:
        TensorRtSession(made, RunSettings())
    assert refused.value.where == str(tmp_path / IDENTITY)


def test_an_engine_that_tensorrt_refuses_is_named(trt, tmp_path):
    with pytest.raises(TargetError, match="does not load the engine") as refused:
        opened(tmp_path, trt, data=b"damaged")
    assert refused.value.where == str(tmp_path / "model.engine")


def test_without_memory_for_a_context_nothing_is_held(trt, tmp_path):
    trt.no_memory = True
    with pytest.raises(TargetError, match="no execution context"):
        opened(tmp_path, trt)
    assert trt.cuda.held == {}


def test_without_memory_for_the_clip_nothing_is_held(trt, tmp_path):
    trt.cuda.memory = 100
    with pytest.raises(TargetError, match="out of memory"):
        opened(tmp_path, trt)
    assert trt.cuda.held == {}


def test_a_network_that_does_not_run_is_refused_and_nothing_is_held(trt, tmp_path):
    trt.fails = True
    with pytest.raises(TargetError, match="does not run the network"):
        opened(tmp_path, trt)
    assert trt.cuda.held == {}


def test_a_tensorrt_of_another_generation_is_refused(monkeypatch, tmp_path):
    trt = installed("10", monkeypatch)
    trt.__version__ = "8.6.1"
    with pytest.raises(TargetError, match=r"tensorrt 8\.6\.1 is unknown") as refused:
        opened(tmp_path, trt, version="8.6.1")
    assert "jetson-tx2" in refused.value.fix


def test_a_folder_called_tensorrt_is_not_taken_for_it(monkeypatch, tmp_path):
    trt = installed("10", monkeypatch)
    monkeypatch.setitem(sys.modules, "tensorrt", ModuleType("tensorrt"))
    with pytest.raises(MissingDependencyError, match="is a folder"):
        opened(tmp_path, trt)


def test_a_board_behind_a_network_is_refused(trt, tmp_path):
    with pytest.raises(ConfigError, match="this machine only"):
        TensorRtSession(artifact(tmp_path, trt), RunSettings(on="rpc://board:9090/key"))
