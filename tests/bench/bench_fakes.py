"""Things to measure whose cost is known, and factories for measuring processes."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from edgevid.bench.environment import look_around
from edgevid.bench.load import Load
from edgevid.bench.protocol import Comparison, Variant
from edgevid.bench.results import ProcessRun, Result, Samples, VariantRecord
from edgevid.bench.settings import Settings
from edgevid.bench.validity import judge
from edgevid.contract import RunSettings, TensorSpec
from edgevid.errors import BundleError, TargetError

QUIET_LOAD = Load(wall_seconds=10.0, others_seconds=0.1, own_seconds=9.0, cpus=2)


def busy(milliseconds):
    """A call that keeps one CPU busy for so long."""

    def run():
        end = time.perf_counter_ns() + int(milliseconds * 1e6)
        while time.perf_counter_ns() < end:
            pass

    return run


def nothing():
    return None


def records(*candidates):
    return (
        VariantRecord(name="plain", role="baseline"),
        VariantRecord(name="plain (A/A)", role="twin"),
        *(VariantRecord(name=name, role="candidate") for name in candidates),
    )


def run_of(walls, *, load=QUIET_LOAD, idle=None, status="complete", variants=None):
    """A process run with these wall times in nanoseconds, one list a variant; CPU time is twice as long."""
    names = ["plain", "plain (A/A)", *(f"candidate {index}" for index in range(len(walls) - 2))]
    return ProcessRun(
        variants=variants or records(*names[2:]),
        orders=tuple(tuple(range(len(walls))) for _ in walls[0]),
        samples={
            name: Samples(wall_ns=tuple(wall), cpu_ns=tuple(2 * value for value in wall))
            for name, wall in zip(names, walls, strict=True)
        },
        idle=idle or {},
        load=load,
        status=status,
        environment=look_around(variables={}),
    )


def result_of(*runs, **changes):
    values = {
        "title": "a comparison",
        "created": datetime(2026, 1, 2, tzinfo=timezone.utc),
        "command": ("edgevid", "bench"),
        "settings": Settings(processes=len(runs)),
        "runs": runs,
        "verdict": judge(runs),
    }
    return Result(**{**values, **changes})


@contextmanager
def plain_and_slower(slower=2.0):
    yield Comparison(Variant("plain", busy(1.0)), [Variant("slower", busy(slower))])


@contextmanager
def that_cannot_open(what):
    raise TargetError(what, where="artifact.xml", fix="compile it again")
    yield


@contextmanager
def that_fails_while_running():
    def run():
        raise RuntimeError("the runtime is unhappy")

    yield Comparison(Variant("plain", run))


@contextmanager
def that_kills_its_process():
    os.kill(os.getpid(), signal.SIGKILL)
    yield


@contextmanager
def that_is_interrupted(marker, after):
    """Interrupted at call ``after`` in every process but the first, which makes ``marker``."""
    calls = []

    def run():
        calls.append(None)
        if len(calls) == after and Path(marker).exists():
            raise KeyboardInterrupt

    yield Comparison(Variant("plain", run))
    Path(marker).write_text("one process has ended", encoding="utf-8")


@contextmanager
def that_prints_and_closes(marker):
    print("a runtime that talks", flush=True)
    yield Comparison(Variant("plain", nothing))
    with Path(marker).open("a", encoding="utf-8") as file:
        file.write("closed\n")


@contextmanager
def runtimes_with_pools():
    """Runtimes that keep threads of their own, side by side in one process."""
    import onnx
    import onnxruntime
    import torch
    from onnx import TensorProto, helper

    torch.set_num_threads(2)
    tensor = torch.rand(500, 500)
    array = np.random.default_rng(0).random((500, 500), dtype=np.float32)
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [500, 500]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "x"], ["y"])], "square", value[:1], value[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    yield Comparison(
        Variant("torch", lambda: torch.relu(tensor @ tensor).sum()),
        [
            Variant("numpy", lambda: array @ array),
            Variant("onnxruntime", lambda: session.run(None, {"x": array})),
        ],
    )


class FakeSession:
    def __init__(self, folder, batch, settings):
        self.folder = folder
        self.input = TensorSpec("clip", (batch, 2, 4, 4, 3), "uint8")
        self.output = TensorSpec("logits", (batch, 5), "float32")
        self._log(f"open batch={batch} threads={settings.threads if settings else None}")

    def run(self, clip):
        assert clip.shape == self.input.shape, clip.shape
        assert clip.dtype == np.uint8
        self._log("run " + ",".join(str(part[0, 0, 0, 0]) for part in clip))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._log("close")

    def _log(self, text):
        with (self.folder / "log.txt").open("a", encoding="utf-8") as file:
            file.write(text + "\n")


class FakeBundle:
    """A folder with a ``manifest.json`` and golden clips whose first pixels are 10, 11, ..."""

    def __init__(self, folder):
        if not (folder / "manifest.json").exists():
            raise BundleError("there is no manifest", where=folder, fix="compile it")
        self.folder = folder
        recorded = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        defaults = {
            "clips": 1,
            "height": 4,
            "device": "host",
            "device_title": "a title",
            "simulates": "",
            "precision": "fp32",
            "settings": RunSettings(),
            "batch": 1,
        }
        self.manifest = SimpleNamespace(**{**defaults, **recorded})

    def session(self, batch=None, settings=None):
        return FakeSession(self.folder, batch or self.manifest.batch, settings)

    @property
    def golden_clip(self):
        clips = np.zeros((self.manifest.clips, 2, self.manifest.height, 4, 3), np.uint8)
        clips[:, 0, 0, 0, 0] = 10 + np.arange(len(clips))
        return clips
