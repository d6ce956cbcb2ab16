"""Networks that take frame by frame on boards, against stand-ins of TensorRT and CUDA."""

import json
import shutil
import struct

import numpy as np
import onnx
import pytest

from edgevid.bench.storage import load_result
from edgevid.bundle import Bundle
from edgevid.targets.tensorrt.board import build_engine

XAVIER = {"version": "8.2.1.8", "capability": "7.2"}
ORIN = {"api": "10.3", "capability": "8.7"}


@pytest.fixture(scope="session")
def tx2(streaming_bundle):
    return streaming_bundle("jetson-tx2", "fp16")


def folder_of(bundle):
    return next((bundle / "artifacts").iterdir())


def settings_of(bundle):
    return json.loads((folder_of(bundle) / "build.json").read_text())


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_tx2_follows_the_golden_sequence_step_by_step(streaming_bundle, on_board, tmp_path, precision):
    done = on_board(streaming_bundle("jetson-tx2", precision), "--no-bench")
    assert done.returncode == 0, done.stderr
    assert "a sequence of 11 frames, step by step: relative error" in done.stdout
    assert "golden input: relative error" in done.stdout
    assert (tmp_path / "ledger").read_text() == "0\n"


def test_a_network_that_looks_ahead_is_followed_to_the_end_of_the_video(streaming_bundle, on_board):
    bundle = streaming_bundle("jetson-tx2", "fp16", lookahead=True)
    streaming = settings_of(bundle)["streaming"]
    assert streaming["delay"] > 0
    assert streaming["gates"]
    done = on_board(bundle, "--no-bench")
    assert done.returncode == 0, done.stderr
    assert "a sequence of 11 frames, step by step" in done.stdout


@pytest.mark.parametrize(("device", "found"), [("jetson-xavier", XAVIER), ("jetson-orin-nx", ORIN)])
def test_boards_with_int8_and_by_names_of_tensors_follow_it_too(streaming_bundle, on_board, device, found):
    done = on_board(
        streaming_bundle(device, "int8", lookahead=device == "jetson-xavier"), "--no-bench", **found
    )
    assert done.returncode == 0, done.stderr
    assert "step by step" in done.stdout


def test_an_engine_that_forgets_its_caches_is_found_by_the_sequence(tx2, on_board, tmp_path):
    done = on_board(tx2, "--no-bench", forgets=1)
    assert done.returncode == 1
    assert "does not compute what the reference does" in done.stderr
    assert list((tmp_path / "engine").iterdir()) == []


@pytest.mark.parametrize("lookahead", [False, True])
def test_in_int8_caches_are_bytes_with_the_step_that_the_layers_behind_read(streaming_bundle, lookahead):
    bundle = streaming_bundle("jetson-xavier", "int8", lookahead=lookahead)
    streaming = settings_of(bundle)["streaming"]
    lines = (folder_of(bundle) / "calibration.cache").read_text().splitlines()[1:]
    pairs = (line.rsplit(": ", 1) for line in lines)
    steps = {name: struct.unpack(">f", bytes.fromhex(step))[0] for name, step in pairs}
    for cache in streaming["caches"]:
        assert cache["dtype"] == "int8"
        step = streaming["steps"][cache["name"]]
        assert steps[cache["name"]] == steps[cache["next"]] == pytest.approx(step)
    floats = streaming_bundle("jetson-tx2", "fp32", lookahead=lookahead)
    whole, quarter = (Bundle.open(each).manifest.streaming.cache_bytes for each in (floats, bundle))
    assert whole == 4 * quarter
    script = (folder_of(bundle) / "trtexec.sh").read_text()
    assert f"--outputIOFormats=fp32:chw{',int8:chw' * len(streaming['caches'])} " in script


def test_caches_are_halves_where_layers_are(streaming_bundle):
    for precision, kind in (("fp32", "float32"), ("fp16", "float16")):
        bundle = streaming_bundle("jetson-tx2", precision)
        assert {cache["dtype"] for cache in settings_of(bundle)["streaming"]["caches"]} == {kind}
        script = (folder_of(bundle) / "trtexec.sh").read_text()
        assert ("--inputIOFormats=fp32:chw,fp16:chw" in script) is (precision == "fp16")
    whole, half = (
        Bundle.open(streaming_bundle("jetson-tx2", each)).manifest.streaming.cache_bytes
        for each in ("fp32", "fp16")
    )
    assert whole == 2 * half


@pytest.mark.parametrize(("device", "precision"), [("jetson-tx2", "fp16"), ("jetson-xavier", "int8")])
def test_the_network_is_one_for_tensorrt_8_with_its_caches_behind_the_frame(
    streaming_bundle, device, precision
):
    bundle = streaming_bundle(device, precision)
    model = onnx.load(folder_of(bundle) / "model.onnx")
    onnx.checker.check_model(model)
    caches = settings_of(bundle)["streaming"]["caches"]
    assert [value.name for value in model.graph.input] == ["clips", *(each["name"] for each in caches)]
    assert [value.name for value in model.graph.output] == ["logits", *(each["next"] for each in caches)]
    ends = [*model.graph.input, *model.graph.output]
    assert {end.type.tensor_type.elem_type for end in ends} == {onnx.TensorProto.FLOAT}
    assert not {"QuantizeLinear", "DequantizeLinear", "Shift"} & {node.op_type for node in model.graph.node}


def test_its_benchmark_times_single_frames(tx2, on_board, tmp_path):
    done = on_board(tx2, "--rounds", 12, "--warmup", 1)
    assert done.returncode == 0, done.stderr
    result = load_result(tmp_path / "engine" / "result.json")
    assert any("from one uint8 frame to logits" in note for note in result.notes)


@pytest.mark.parametrize("kind", ["frames", "logits"])
def test_a_changed_or_missing_sequence_is_refused_before_anything_is_built(tx2, on_board, tmp_path, kind):
    copied = shutil.copytree(tx2, tmp_path / "copied.bundle")
    path = copied / "golden" / f"sequence.{kind}.npy"
    with path.open("ab") as file:
        file.write(b"\n")
    assert f"golden/sequence.{kind}.npy has changed" in on_board(copied).stderr
    path.unlink()
    done = on_board(copied)
    assert f"the bundle lacks golden/sequence.{kind}.npy" in done.stderr
    assert "building, which" not in done.stdout


class Cuda:
    """Memory by numbers, and nothing that computes."""

    TO_DEVICE, TO_HOST = 1, 2

    def __init__(self):
        self.calls, self.places = [], iter(range(1, 100))

    def __call__(self, function, *arguments):
        self.calls.append(function)

    def device_memory(self, size):
        return type("Place", (), {"value": next(self.places)})()

    def host_array(self, shape):
        return np.zeros(shape, np.float32), None

    def stream(self):
        return self.device_memory(0)

    event = stream

    def copy(self, *arguments):
        self.calls.append("copy")

    def milliseconds(self, *pair):
        return 0.0


class Engine:
    """An engine of TensorRT 8.2 whose bindings are in no order: the clips, two caches, the logits."""

    names = ("a.next", "logits", "b", "clips", "a", "b.next")
    num_bindings = len(names)

    def binding_is_input(self, place):
        return self.names[place] in ("a", "b", "clips")

    def get_binding_name(self, place):
        return self.names[place]

    def get_binding_shape(self, place):
        return {"clips": (1, 1, 2, 2, 3), "logits": (1, 5)}.get(self.names[place], (1, 4, 2, 2))

    def get_binding_dtype(self, place):
        return "half" if self.names[place][0] in "ab" else "float"

    def create_execution_context(self):
        return self

    def execute_async_v2(self, bindings, stream):
        self.seen.append(dict(zip(self.names, bindings, strict=True)))
        return True


@pytest.fixture
def stepped():
    """A stream on bindings that are told apart by nothing but their names."""
    engine = Engine()
    engine.seen = []
    trt = type("Trt", (), {"float32": "float", "float16": "half", "int8": "bytes"})
    trt.Runtime = lambda log: type("Runtime", (), {"deserialize_cuda_engine": lambda self, plan: engine})()
    caches = [{"name": name, "next": f"{name}.next", "dtype": "float16"} for name in "ab"]
    streaming = {"segments": 4, "delay": 0, "gates": [], "valid": "valid", "caches": caches}
    cuda = Cuda()
    return engine, cuda, build_engine.Stream(trt, b"", cuda, None, streaming)


def test_what_a_step_writes_the_next_one_reads_and_the_reverse(stepped):
    engine, _, stream = stepped
    for _ in range(3):
        stream.step(np.zeros((2, 2, 3), np.uint8))
    first, second, third = engine.seen
    for name in ("a", "b"):
        assert second[name] == first[f"{name}.next"] != first[name] == second[f"{name}.next"]
        assert third[name] == first[name]
    assert first["clips"] == second["clips"]
    assert first["logits"] == second["logits"]
    assert len(set(first.values())) == 6


def test_between_steps_nothing_but_the_frame_and_the_logits_is_copied(stepped):
    _, cuda, stream = stepped
    stream.step(np.zeros((2, 2, 3), np.uint8))
    assert cuda.calls.count("copy") == 2
    assert "cudaMemsetAsync" not in cuda.calls
    stream.reset()
    assert cuda.calls.count("cudaMemsetAsync") == 2


def test_an_engine_of_other_caches_is_refused(stepped):
    engine, cuda, _ = stepped
    trt = type("Trt", (), {"float32": "float", "float16": "half", "int8": "bytes"})
    trt.Runtime = lambda log: type("Runtime", (), {"deserialize_cuda_engine": lambda self, plan: engine})()
    for name, kind in (("c", "float16"), ("a", "float32")):
        caches = [{"name": name, "next": f"{name}.next", "dtype": kind}]
        streaming = {"segments": 4, "delay": 0, "gates": [], "valid": "valid", "caches": caches}
        with pytest.raises(build_engine.BoardError, match=f"no {kind} {name}"):
            build_engine.Stream(trt, b"", cuda, None, streaming)
