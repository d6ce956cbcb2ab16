"""The program beside an engine runs as it stands, with the names of NVIDIA's packages alone."""

import runpy
import sys
from types import ModuleType

import numpy as np
import pytest
from tensorrt_stand_in import brightness, remembered, stand_in
from test_streaming_session import CACHES, FRAME

from edgevid.contract import Artifact, Cache, Streaming, TensorSpec
from edgevid.targets.tensorrt.example import write_engine_example

RANDOM = np.random.default_rng(0)


@pytest.fixture(params=["10", "11", "rtx"])
def trt(request, monkeypatch):
    trt = stand_in(request.param)
    package = ModuleType("cuda.bindings")
    package.runtime = trt.cuda
    for name, module in ((trt.__name__, trt), ("cuda", ModuleType("cuda")), ("cuda.bindings", package)):
        monkeypatch.setitem(sys.modules, name, module)
    return trt


def executed(trt, folder, monkeypatch, clips, *, gates=None):
    """What the program computes at last."""
    streaming, shape = None, clips.shape
    if gates is not None:
        trt.caches, trt.frame, trt.gates, shape = dict(CACHES), FRAME, len(gates), FRAME
        caches = [Cache(n, f"{n}.next", s, np.dtype(k).name) for n, (s, k) in CACHES.items()]
        streaming = Streaming(3, tuple(caches), int(bool(gates)), gates)
    specs = TensorSpec("clips", shape, "uint8"), TensorSpec("logits", (len(clips), 3), "float32")
    artifact = Artifact("tensorrt", folder, "model.engine", "fp16", 1, "", *specs, streaming=streaming)
    artifact.path.write_bytes(b"engine")
    write_engine_example(artifact, trt.__name__)
    np.save(folder / "clips.npy", clips)
    monkeypatch.setattr(sys, "argv", ["example.py", str(folder / "clips.npy")])
    return runpy.run_path(str(folder / "example.py"))["logits"]


def test_one_of_clips_runs_them(trt, tmp_path, monkeypatch):
    clips = RANDOM.integers(0, 256, (2, 4, 8, 8, 3), np.uint8)
    np.testing.assert_allclose(executed(trt, tmp_path, monkeypatch, clips), brightness(clips), rtol=1e-6)


@pytest.mark.parametrize("gates", [(), (0, 1)])
def test_one_of_frames_takes_two_and_keeps_the_caches_on_the_gpu(trt, tmp_path, monkeypatch, gates):
    clips = RANDOM.integers(0, 256, (1, 2, *FRAME[2:]), np.uint8)
    found = executed(trt, tmp_path, monkeypatch, clips, gates=gates)
    first, second = clips[:, :1], clips[:, 1:]
    kept = remembered(first, 0) + 2 * remembered(first, 1)
    np.testing.assert_allclose(found, brightness(second) + kept, rtol=1e-6)
