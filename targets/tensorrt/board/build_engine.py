#!/usr/bin/env python3
"""Build, check and measure this network on the board it was compiled for.

Copy the whole bundle to the board, then:

    python3 BUNDLE/artifacts/batch1/build_engine.py
    python3 BUNDLE/artifacts/batch1/build_engine.py --sustained 10
    python3 BUNDLE/artifacts/batch1/build_engine.py --eval clips/ -o logits/

It needs Python 3.6, TensorRT, numpy and CUDA's runtime, which JetPack brings. What it writes into the
folder of -o: model.engine and engine.json, which says of what and for what it was built; result.json and
sustained.json, which edgevid reads as results of a benchmark; logits.json, for `edgevid compare --logits`.

Exit status: 0; 1 for what was refused or went wrong, told on standard error; 2 for wrong arguments; 130 if
it was interrupted.
"""

# Python 3.6 has no list[int], no X | None and no zip(strict=True).
# ruff: noqa: B905, PERF203, UP006, UP035, UP045

import argparse
import ctypes
import hashlib
import importlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

Array = Any  # numpy 1.13 has no types
Json = Dict[str, Any]

HERE = Path(__file__).resolve().parent
BUNDLE = HERE.parent.parent
MEGABYTE = 1 << 20

# The limits of edgevid's own benchmark.
PAIR_LIMIT = 0.005
LEAST_ROUNDS = 10
# The end of a sustained run over its beginning; a slower end is told.
THROTTLED = 1.05


class BoardError(Exception):
    """What happened, and what to do about it."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what + (f"\n  what to do: {fix}" if fix else ""))


# ------------------------------------------------------------------ files


class Files(NamedTuple):
    """What was copied to the board; each file was compared with its hash."""

    settings: Json
    manifest: Json
    network: Path
    cache: Optional[Path]
    sequence: str  # golden frames of one video, with the logits of each; empty if the network takes clips


def read_files() -> Files:
    if not (BUNDLE / "manifest.json").is_file():
        raise BoardError(f"{BUNDLE} has no manifest.json", "copy the whole bundle, not this folder alone")
    manifest = read_json(BUNDLE / "manifest.json")
    if not {"edgevid", "files", "golden", "source"} <= set(manifest):
        raise BoardError(f"{BUNDLE / 'manifest.json'} is of no bundle", "copy the whole bundle again")
    for name in manifest["golden"]:
        for kind in ("clips", "logits"):
            checked(manifest, golden(name, kind))
    settings = read_json(checked(manifest, HERE / "build.json"))
    sequence = manifest["streaming"]["sequence"] if settings["streaming"] else ""
    for kind in ("frames", "logits") if sequence else ():
        checked(manifest, golden(sequence, kind))
    cache = settings["calibration_cache"]
    network = checked(manifest, HERE / settings["network"])
    return Files(settings, manifest, network, checked(manifest, HERE / cache) if cache else None, sequence)


def checked(manifest: Json, path: Path) -> Path:
    """The path, if the file is the one that was compiled."""
    name = path.relative_to(BUNDLE).as_posix()
    if not path.is_file():
        raise BoardError(f"the bundle lacks {name}", "copy the whole bundle again")
    if manifest["files"].get(name) != sha256(path):
        raise BoardError(f"{name} has changed since it was compiled", "copy the whole bundle again")
    return path


def golden(name: str, kind: str) -> Path:
    return BUNDLE / "golden" / f"{name}.{kind}.npy"


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(MEGABYTE), b""):
            digest.update(block)
    return digest.hexdigest()


def read_json(path: Path) -> Json:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BoardError(f"{path} cannot be read: {error}", "copy it again") from error
    if not isinstance(found, dict):
        raise BoardError(f"{path} is no JSON object", "copy it again")
    return found


def load(path: Path) -> Array:
    try:
        return np.load(str(path), mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BoardError(f"{path} cannot be read: {error}", "copy it again") from error


def write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    draft = path.with_name(path.name + ".partial")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def write_json(path: Path, document: Json) -> None:
    write(path, (json.dumps(document, indent=1, allow_nan=False) + "\n").encode("utf-8"))


def text(path: str) -> str:
    """What is in a file of the system; empty where there is none."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip().strip("\0")
    except OSError:
        return ""


def entry(lines: str, name: str) -> str:
    found = re.search(rf"^{re.escape(name)}\s*:\s*(.*)$", lines, re.MULTILINE)
    return found.group(1) if found else ""


def tell(line: str) -> None:
    print(line, flush=True)


# ------------------------------------------------------------------ CUDA


class Cuda:
    """CUDA's runtime library through ctypes. What it allocates is freed when the block ends."""

    NAMES = ("libcudart.so", "libcudart.so.10.2", "libcudart.so.11.0", "libcudart.so.12")
    TO_DEVICE, TO_HOST = 1, 2  # cudaMemcpyKind
    MAJOR, MINOR = 75, 76  # cudaDevAttrComputeCapabilityMajor and Minor

    def __init__(self) -> None:
        self._library = self._load()
        self._library.cudaGetErrorString.restype = ctypes.c_char_p
        self._owned: List[Tuple[str, ctypes.c_void_p]] = []
        count = ctypes.c_int()
        code = self._library.cudaGetDeviceCount(ctypes.byref(count))
        if code or not count.value:
            raise BoardError(
                f"CUDA finds no GPU: {self._reason(code)}",
                "run it on the board itself, with its driver, as a user of the group video",
            )

    def _load(self) -> Any:
        for name in (*self.NAMES, "/usr/local/cuda/lib64/libcudart.so"):
            try:
                return ctypes.CDLL(name)
            except OSError:
                continue
        raise BoardError(
            "CUDA's runtime is not installed: there is none of " + ", ".join(self.NAMES),
            "sudo apt-get install nvidia-jetpack, or add its folder to LD_LIBRARY_PATH",
        )

    def _reason(self, code: int) -> str:
        told: bytes = self._library.cudaGetErrorString(code)
        return told.decode("utf-8", "replace")

    def __call__(self, function: str, *arguments: Any) -> None:
        code = getattr(self._library, function)(*arguments)
        if code:
            raise BoardError(f"{function} failed: {self._reason(code)}", "stop other programs on the GPU")

    def __enter__(self) -> "Cuda":
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        while self._owned:
            free, place = self._owned.pop()
            # After an error of the GPU every call fails; the first reason is the one to tell.
            if kind is None:
                self(free, place)
            else:
                getattr(self._library, free)(place)

    def _own(self, free: str, make: str, *arguments: Any) -> ctypes.c_void_p:
        made = ctypes.c_void_p()
        self(make, ctypes.byref(made), *arguments)
        self._owned.append((free, made))
        return made

    def device_memory(self, size: int) -> ctypes.c_void_p:
        return self._own("cudaFree", "cudaMalloc", ctypes.c_size_t(size))

    def host_array(self, shape: Sequence[int]) -> Tuple[Array, ctypes.c_void_p]:
        """Float32 in pinned memory."""
        count = int(np.prod(shape))
        place = self._own("cudaFreeHost", "cudaHostAlloc", ctypes.c_size_t(4 * count), ctypes.c_uint(0))
        floats: Any = ctypes.cast(place, ctypes.POINTER(ctypes.c_float * count)).contents
        return np.frombuffer(floats, np.float32).reshape(shape), place

    def stream(self) -> ctypes.c_void_p:
        return self._own("cudaStreamDestroy", "cudaStreamCreate")

    def event(self) -> ctypes.c_void_p:
        return self._own("cudaEventDestroy", "cudaEventCreate")

    def copy(self, target: Any, source: Any, size: int, kind: int, stream: Any) -> None:
        self("cudaMemcpyAsync", target, source, ctypes.c_size_t(size), ctypes.c_int(kind), stream)

    def milliseconds(self, start: ctypes.c_void_p, end: ctypes.c_void_p) -> float:
        found = ctypes.c_float()
        self("cudaEventElapsedTime", ctypes.byref(found), start, end)
        return found.value

    def integer(self, function: str, *arguments: Any) -> int:
        found = ctypes.c_int()
        self(function, ctypes.byref(found), *arguments)
        return found.value

    def capability(self) -> str:
        major, minor = (
            self.integer("cudaDeviceGetAttribute", ctypes.c_int(kind), ctypes.c_int(0))
            for kind in (self.MAJOR, self.MINOR)
        )
        return f"{major}.{minor}"

    def version(self) -> str:
        number = self.integer("cudaRuntimeGetVersion")
        return f"{number // 1000}.{number % 1000 // 10}"

    def free_memory(self, shared: bool) -> int:
        """Bytes that can be allocated.

        Where CPU and GPU share their memory, cudaMemGetInfo leaves out what Linux would give back (CUDA for
        Tegra, "Estimating Total Allocatable Device Memory on an Integrated GPU Device").
        """
        available = entry(text("/proc/meminfo"), "MemAvailable").split()
        if shared and available:
            return int(available[0]) * 1024
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self("cudaMemGetInfo", ctypes.byref(free), ctypes.byref(total))
        return free.value


class Machine:
    """What is known of the board.

    Attributes:
        stand_in: why nothing here is a measurement, where edgevid's tests take TensorRT's place.
    """

    def __init__(self, trt: Any, cuda: Cuda) -> None:
        self.tensorrt, self.cuda, self.capability = str(trt.__version__), cuda.version(), cuda.capability()
        self.stand_in = str(getattr(trt, "STAND_IN", ""))
        self.board = text("/proc/device-tree/model") or platform.node()

    def gpu(self) -> Json:
        """What an engine is made for: it runs nowhere else."""
        found = {"capability": self.capability, "tensorrt": self.tensorrt, "cuda": self.cuda}
        return dict(found, board=self.board)

    def device(self) -> str:
        told = f"{self.board}, TensorRT {self.tensorrt}"
        return f"{told} (not a measurement: {self.stand_in})" if self.stand_in else told

    def power_mode(self) -> str:
        program = shutil.which("nvpmodel")
        if not program:
            return ""
        try:
            told = subprocess.check_output([program, "-q"], stderr=subprocess.DEVNULL, timeout=30)
        except (OSError, subprocess.SubprocessError):
            return ""
        return " ".join(told.decode("utf-8", "replace").split())

    def environment(self, edgevid: str) -> Json:
        affinity = sorted(os.sched_getaffinity(0))
        clock = f"/sys/devices/system/cpu/cpu{affinity[0]}/cpufreq/"
        limits = [text(clock + name) for name in ("scaling_min_freq", "scaling_max_freq")]
        total = entry(text("/proc/meminfo"), "MemTotal").split()
        system = re.search(r'^PRETTY_NAME="?([^"\n]*)', text("/etc/os-release"), re.MULTILINE)
        return {
            "cpu": entry(text("/proc/cpuinfo"), "model name") or self.board,
            "isa": [],
            "cpus": os.cpu_count(),
            "affinity": affinity,
            "governor": text(clock + "scaling_governor") or None,
            "frequency_khz": [int(each) for each in limits] if all(map(str.isdigit, limits)) else None,
            "memory_bytes": int(total[0]) * 1024 if total else None,
            "load_average": list(os.getloadavg()),
            "architecture": platform.machine(),
            "kernel": f"{platform.system()} {platform.release()}",
            "system": system.group(1) if system else platform.system(),
            "virtualization": [],
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "edgevid": edgevid,
            "packages": {"numpy": np.__version__, "tensorrt": self.tensorrt, "cuda": self.cuda},
            "variables": {},
        }


# ------------------------------------------------------------------ TensorRT


def number_of(version: str) -> Tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def import_tensorrt(settings: Json) -> Any:
    known = " or ".join(settings["tensorrt"])
    try:
        trt = importlib.import_module("tensorrt")
    except ImportError as error:
        raise BoardError(
            f"TensorRT's Python module cannot be imported: {error}",
            f"sudo apt-get install python3-libnvinfer; this bundle is for TensorRT {known}",
        ) from error
    found, versions = number_of(trt.__version__), [number_of(each) for each in settings["tensorrt"]]
    if found < min(versions):
        raise BoardError(
            f"TensorRT {trt.__version__} is too old: this bundle is for {known} or later",
            f"update the board: {settings['stacks']}",
        )
    if found[0] not in {each[0] for each in versions}:
        raise BoardError(
            f"TensorRT {trt.__version__} is not known to build this network: {known} is",
            "compile again with an edgevid whose profile of this device knows that version",
        )
    return trt


def make_log(trt: Any) -> Any:
    """A logger that keeps what TensorRT warns of."""
    severity = trt.ILogger.Severity

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: List[str] = []
            self.warnings: List[str] = []

        def log(self, level: Any, message: str) -> None:
            if level in (severity.INTERNAL_ERROR, severity.ERROR):
                self.errors.append(message)
            elif level == severity.WARNING:
                self.warnings.append(message)

        def reasons(self) -> str:
            return "; ".join(self.errors[-4:]) or "it gives no reason"

    return Log()


def make_calibrator(trt: Any, path: Path) -> Any:
    """Gives TensorRT the ranges of tensors instead of clips.

    The first line is rewritten: TensorRT leaves out a cache of another version.
    """
    version = number_of(trt.__version__)
    # NV_TENSORRT_VERSION is 8201 for 8.2.1, and 100300 for 10.3.0.
    number = version[0] * (10000 if version[0] >= 10 else 1000) + version[1] * 100 + version[2]
    ranges = path.read_text(encoding="ascii").split("\n", 1)[1]
    cache = f"TRT-{number}-EntropyCalibration2\n{ranges}".encode("ascii")

    class Ranges(trt.IInt8EntropyCalibrator2):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IInt8EntropyCalibrator2.__init__(self)
            self.refused = False

        def get_batch_size(self) -> int:
            return 1

        def get_batch(self, names: List[str]) -> None:
            self.refused = True  # it asks for clips, so it did not take the cache

        def read_calibration_cache(self) -> bytes:
            return cache

        def write_calibration_cache(self, cache: Any) -> None:
            """What is written already is not written again."""

    return Ranges()


def build(trt: Any, files: Files, log: Any, workspace: int) -> bytes:
    """The engine's bytes."""
    builder = trt.Builder(log)
    # TensorRT 10 knows no other networks.
    legacy = number_of(trt.__version__)[0] < 10
    network = builder.create_network(
        1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH) if legacy else 0
    )
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(files.network)):
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        told = [f"node {error.node()}: {error.desc()}" for error in errors]
        raise BoardError(
            f"TensorRT cannot read the network: {'; '.join(told)}; {log.reasons()}",
            f"edgevid lint {files.network.name} --device {files.settings['device']}",
        )
    config = builder.create_builder_config()
    if hasattr(config, "set_memory_pool_limit"):  # since 8.4
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    else:
        config.max_workspace_size = workspace
    config.clear_flag(trt.BuilderFlag.TF32)  # float32 is float32
    type_caches(trt, files, network)
    calibrator = allow_types(trt, files, builder, config)
    keep_in_float(trt, files, config, network)
    plan = builder.build_serialized_network(network, config)
    if calibrator is not None and calibrator.refused:
        raise BoardError(
            f"TensorRT {trt.__version__} did not take the calibration cache: {log.reasons()}",
            "compile with --precision fp16, and report it",
        )
    if plan is None:
        raise BoardError(
            f"TensorRT cannot build the network: {log.reasons()}",
            f"if it lacks memory, stop other programs; if workspace, give --workspace more than "
            f"{workspace // MEGABYTE} MB",
        )
    return bytes(memoryview(plan))


def allow_types(trt: Any, files: Files, builder: Any, config: Any) -> Any:
    """Allow what the precision stands for; the calibrator of int8, or None."""
    precision, calibrator = files.settings["precision"], None
    if precision == "int8":
        if not builder.platform_has_fast_int8:
            raise BoardError(
                "this GPU has no int8 (platform_has_fast_int8 is false)", "compile with --precision fp16"
            )
        assert files.cache is not None
        config.set_flag(trt.BuilderFlag.INT8)
        calibrator = make_calibrator(trt, files.cache)
        config.int8_calibrator = calibrator
    if precision != "fp32" and builder.platform_has_fast_fp16:
        config.set_flag(trt.BuilderFlag.FP16)
    elif precision == "fp16":
        raise BoardError(
            "this GPU has no fast float16 (platform_has_fast_fp16 is false)", "compile with --precision fp32"
        )
    return calibrator


def keep_in_float(trt: Any, files: Files, config: Any, network: Any) -> None:
    """Hold the layers to float32 that float16 would spoil."""
    wanted = set(files.settings["float_layers"])
    if not wanted or files.settings["precision"] == "fp32":
        return
    for layer in (network.get_layer(index) for index in range(network.num_layers)):
        if layer.name in wanted:
            layer.precision = trt.float32
            layer.set_output_type(0, trt.float32)
            wanted.discard(layer.name)
    if wanted:
        tell(f"TensorRT names no layer so; not kept in float: {', '.join(sorted(wanted))}")
    flags = trt.BuilderFlag
    # Since 8.2; it was called otherwise before.
    strict = "OBEY_PRECISION_CONSTRAINTS" if hasattr(flags, "OBEY_PRECISION_CONSTRAINTS") else "STRICT_TYPES"
    config.set_flag(getattr(flags, strict))


def type_caches(trt: Any, files: Files, network: Any) -> None:
    """Let caches be what layers compute with, so that nothing converts them.

    Of inputs and outputs in int8 TensorRT wants the range by a call of its own, also where the calibration
    cache has it: trtexec of TensorRT 8.0 to 10.3 does so (samples/common/sampleEngines.cpp,
    setTensorScalesFromCalibration).
    """
    streaming = files.settings["streaming"]
    caches = [each for each in streaming["caches"] if each["dtype"] != "float32"] if streaming else []
    wanted = {cache[end]: cache for cache in caches for end in ("name", "next")}
    ends = [network.get_input(index) for index in range(network.num_inputs)]
    ends += [network.get_output(index) for index in range(network.num_outputs)]
    for tensor in ends:
        cache = wanted.pop(tensor.name, None)
        if cache is None:
            continue
        if cache["dtype"] == "int8":
            tensor.dtype = trt.int8
            most = 127 * streaming["steps"][cache["name"]]
            tensor.set_dynamic_range(-most, most)
        else:
            tensor.dtype = trt.float16
    if wanted:
        raise BoardError(f"the network lacks {', '.join(sorted(wanted))}", "copy the whole bundle again")


class End(NamedTuple):
    """An input or output of an engine; its place is its name, or before 8.5 a number."""

    name: str
    place: Any
    shape: Tuple[int, ...]
    kind: Any


class Engine:
    """An engine on the GPU, and the memory around it.

    Attributes:
        stages: milliseconds of the last run: converting the clips to float, copying them to the GPU,
            computing, copying the logits back; all but the first by CUDA's events.
    """

    def __init__(self, trt: Any, plan: bytes, cuda: Cuda, log: Any) -> None:
        self._cuda, self._log, self._runtime = cuda, log, trt.Runtime(log)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise BoardError(f"TensorRT cannot load the engine: {log.reasons()}", "build it again: --rebuild")
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise BoardError(f"the network has too little memory: {log.reasons()}", "stop other programs")
        self._by_name = hasattr(self._engine, "num_io_tensors")  # since 8.5
        self._places, shapes = self._tensors(trt)
        (self._input, self._pinned_input), (self._output, self._pinned_output) = map(cuda.host_array, shapes)
        self._clips, self._logits = map(cuda.device_memory, (self._input.nbytes, self._output.nbytes))
        self._stream, self._events = cuda.stream(), [cuda.event() for _ in range(4)]
        self.shape: Tuple[int, ...] = shapes[0]
        self.stages: Dict[str, float] = {}

    def _tensors(self, trt: Any) -> Tuple[List[Any], List[Tuple[int, ...]]]:
        """Of the input, then of the output: its name, or its place among the bindings, and its shape."""
        ends = self._ends(trt)
        if len(ends) != 2 or any(end.kind != trt.float32 for end in ends):
            raise BoardError("the engine has not one float input and one float output", "--rebuild")
        return [end.place for end in ends], [end.shape for end in ends]

    def _ends(self, trt: Any) -> List["End"]:
        """Inputs, then outputs."""
        engine = self._engine
        if self._by_name:
            names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
            names.sort(key=lambda name: engine.get_tensor_mode(name) != trt.TensorIOMode.INPUT)
            return [
                End(name, name, tuple(engine.get_tensor_shape(name)), engine.get_tensor_dtype(name))
                for name in names
            ]
        places = sorted(range(engine.num_bindings), key=lambda place: not engine.binding_is_input(place))
        return [
            End(
                engine.get_binding_name(place),
                place,
                tuple(engine.get_binding_shape(place)),
                engine.get_binding_dtype(place),
            )
            for place in places
        ]

    def run(self, clips: Array) -> Array:
        """Logits of exactly as many clips as the engine takes."""
        cuda, (first, second, third, last) = self._cuda, self._events
        began = time.perf_counter()
        self._input[...] = clips
        converted = 1e3 * (time.perf_counter() - began)
        cuda("cudaEventRecord", first, self._stream)
        cuda.copy(self._clips, self._pinned_input, self._input.nbytes, cuda.TO_DEVICE, self._stream)
        cuda("cudaEventRecord", second, self._stream)
        if not self._enqueue():
            raise BoardError(f"the engine cannot run: {self._log.reasons()}", "stop other programs")
        cuda("cudaEventRecord", third, self._stream)
        cuda.copy(self._pinned_output, self._logits, self._output.nbytes, cuda.TO_HOST, self._stream)
        cuda("cudaEventRecord", last, self._stream)
        cuda("cudaStreamSynchronize", self._stream)
        times = [cuda.milliseconds(*pair) for pair in ((first, second), (second, third), (third, last))]
        self.stages = dict(zip(("convert", "h2d", "compute", "d2h"), [converted, *times]))
        return self._output.copy()

    def _addresses(self) -> Dict[Any, Any]:
        """Of every tensor's memory, by its name or its place among the bindings."""
        return dict(zip(self._places, (self._clips.value, self._logits.value)))

    def _enqueue(self) -> bool:
        addresses = self._addresses()
        if self._by_name:
            for name, address in addresses.items():
                self._context.set_tensor_address(name, address)
            return bool(self._context.execute_async_v3(self._stream.value))
        bindings = [addresses[place] for place in sorted(addresses)]
        return bool(self._context.execute_async_v2(bindings, self._stream.value))

    def run_all(self, clips: Array) -> Array:
        """Logits of any number of clips; the last batch is filled up."""
        batch, rows = self.shape[0], []
        for start in range(0, len(clips), batch):
            part = np.array(clips[start : start + batch])
            filled = np.concatenate([part, np.repeat(part[-1:], batch - len(part), axis=0)])
            rows.append(self.run(filled)[: len(part)])
        return np.concatenate(rows)


class Stream(Engine):
    """An engine that takes frame by frame.

    Its caches stay on the GPU in two sets of memory, one that a step reads and one that it writes; then these
    change places.
    """

    def __init__(self, trt: Any, plan: bytes, cuda: Cuda, log: Any, streaming: Json) -> None:
        self._streaming = streaming
        self._sizes: List[int] = []
        self._ins: List[Any] = []
        self._outs: List[Any] = []
        self._gates: Any = None
        Engine.__init__(self, trt, plan, cuda, log)
        self._now, self._spare = [list(map(cuda.device_memory, self._sizes)) for _ in range(2)]
        if streaming["gates"]:
            self._valid, self._pinned_valid = cuda.host_array([len(streaming["gates"])])
            self._open = cuda.device_memory(self._valid.nbytes)
        self.shape = (1, streaming["segments"], *self.shape[2:])
        self._steps = 0

    def _tensors(self, trt: Any) -> Tuple[List[Any], List[Tuple[int, ...]]]:
        """Of the frame, then of the logits; caches and gates are kept aside."""
        ends = {end.name: end for end in self._ends(trt)}
        kinds = {"float32": (trt.float32, 4), "float16": (trt.float16, 2), "int8": (trt.int8, 1)}
        for cache in self._streaming["caches"]:
            kind, size = kinds[cache["dtype"]]
            given, following = ends.pop(cache["name"], None), ends.pop(cache["next"], None)
            if given is None or following is None or {given.kind, following.kind} != {kind}:
                raise BoardError(f"the engine has no {cache['dtype']} {cache['name']}", "--rebuild")
            self._sizes.append(size * int(np.prod(given.shape)))
            self._ins.append(given.place)
            self._outs.append(following.place)
        if self._streaming["gates"]:
            self._gates = ends.pop(self._streaming["valid"], None)
        missing = bool(self._streaming["gates"]) and self._gates is None
        if missing or len(ends) != 2 or any(end.kind != trt.float32 for end in ends.values()):
            raise BoardError(f"the engine has {', '.join(ends)} beside its caches", "--rebuild")
        return [end.place for end in ends.values()], [end.shape for end in ends.values()]

    def _addresses(self) -> Dict[Any, Any]:
        addresses = Engine._addresses(self)
        for places, memory in ((self._ins, self._now), (self._outs, self._spare)):
            addresses.update(zip(places, (each.value for each in memory)))
        if self._gates is not None:
            addresses[self._gates.place] = self._open.value
        return addresses

    def reset(self) -> None:
        """Forget all frames."""
        self._steps = 0
        for place, size in zip(self._now, self._sizes):
            self._cuda("cudaMemsetAsync", place, ctypes.c_int(0), ctypes.c_size_t(size), self._stream)

    def step(self, frame: Array, length: Optional[int] = None) -> Array:
        """Logits of the frame that came ``delay`` steps before.

        A sequence ends with the last frame given, unless its ``length`` says that it ended before.
        """
        if self._gates is not None:
            cuda, last = self._cuda, self._steps + 1 if length is None else length
            self._valid[...] = [0 <= self._steps - gate < last for gate in self._streaming["gates"]]
            cuda.copy(self._open, self._pinned_valid, self._valid.nbytes, cuda.TO_DEVICE, self._stream)
        logits = Engine.run(self, frame)
        self._now, self._spare = self._spare, self._now
        self._steps += 1
        return logits[0]

    def sequence(self, frames: Array) -> Array:
        """Logits of each frame of one video, [F, classes]."""
        self.reset()
        delay = self._streaming["delay"]
        rows = [self.step(frame) for frame in frames]
        rows += [self.step(np.zeros_like(frames[0]), len(frames)) for _ in range(delay)]
        return np.array(rows[delay:])

    def run(self, clips: Array) -> Array:
        """Logits of clips, each a video of its own, averaged over its frames."""
        return np.array([self.sequence(clip).mean(axis=0) for clip in clips])


# ------------------------------------------------------------------ the check


def check_golden(engine: Engine, files: Files) -> List[str]:
    """Hold the engine to the reference's logits; what was found."""
    told = []
    for position, name in enumerate(files.manifest["golden"]):
        clips, logits = load(golden(name, "clips")), load(golden(name, "logits"))
        found = engine.run_all(clips)
        # By their bytes: NaN equals nothing, and is no matter of chance.
        if found.tobytes() != engine.run_all(clips).tobytes():
            raise BoardError(f"two runs on {name} give different logits", "do not use this engine, report it")
        # Which layers are int8 is TensorRT's choice, and clips outside of the calibrated ranges differ by it.
        judged = files.settings["precision"] != "int8" or position == 0
        told.append(compare(name.replace("_", " "), logits, found, files, judged))
    if isinstance(engine, Stream):
        frames, logits = (load(golden(files.sequence, kind)) for kind in ("frames", "logits"))
        found = engine.sequence(frames)
        told.append(compare(f"a sequence of {len(frames)} frames, step by step", logits, found, files, True))
    return told


def compare(name: str, wanted: Array, found: Array, files: Files, judged: bool) -> str:
    """What was found; `BoardError` if it is judged, and too far from what was wanted."""
    error, decibels = difference(np.array(wanted), found)
    detail = f"{name}: relative error {error:.2e}, SQNR {decibels:.1f} dB"
    if judged and not within(files.settings, error, decibels):
        raise BoardError(
            f"the engine does not compute what the reference does: {detail}; {files.settings['allowed']}",
            "do not use it: try another --precision or TensorRT, and report the case",
        )
    tell(detail)
    return detail


def difference(wanted: Array, found: Array) -> Tuple[float, float]:
    """``max|a-b| / max|b|``, and ``10 log10(mean b^2 / mean (a-b)^2)`` in dB."""
    if wanted.shape != found.shape or not np.isfinite(found).all():
        return float("inf"), float("-inf")
    wanted, found = wanted.astype(np.float64), found.astype(np.float64)
    gap = np.abs(found - wanted)
    signal, noise = max(np.mean(wanted**2), 1e-300), max(np.mean(gap**2), 1e-300)
    return float(gap.max() / (np.abs(wanted).max() or 1.0)), float(10 * np.log10(signal / noise))


def within(settings: Json, error: float, decibels: float) -> bool:
    if settings["precision"] == "int8":
        return bool(decibels >= settings["least_sqnr"])
    return bool(error <= settings["tolerance"])


# ------------------------------------------------------------------ measuring


class Tegrastats:
    """Power, temperatures and clocks as the board's own program prints them, a line a second."""

    def __init__(self) -> None:
        self.samples: List[Json] = []
        self._process: Optional[subprocess.Popen[str]] = None
        self._began = time.perf_counter()

    def __enter__(self) -> "Tegrastats":
        program = shutil.which("tegrastats")
        if program:
            self._process = subprocess.Popen(
                [program, "--interval", "1000"],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                universal_newlines=True,
            )
            threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def _read(self, lines: Any) -> None:
        for line in lines:
            seconds = round(time.perf_counter() - self._began, 3)
            self.samples.append(dict(read_tegrastats(line), seconds=seconds))


def read_tegrastats(line: str) -> Json:
    """Degrees Celsius, present milliwatts and megahertz by the names that a line gives them.

    ``GPU@35.5C``; ``VDD_IN 1791/1791``, since JetPack 5 ``VDD_IN 1791mW/1791mW``, and of an AGX Xavier
    ``GPU 311/311``; ``GR3D_FREQ 99%@1300`` or ``99%@[1300,1300]``.
    """
    powers = re.findall(r"\b([A-Z]\w*) (\d+)(?:mW)?/\d+(?:mW)?(?!\w)", line)
    return {
        "celsius": {name: float(value) for name, value in re.findall(r"(\w+)@(-?[\d.]+)C\b", line)},
        "milliwatts": {name: int(value) for name, value in powers},
        "megahertz": {
            name: int(value) for name, value in re.findall(r"\b(GR3D|EMC)_FREQ \d+%@\[?(\d+)", line)
        },
    }


class Measured:
    """Runs of one engine as two variants in turn: how they differ is what the measurement cannot see."""

    NAMES = ("engine", "engine (A/A)")

    def __init__(self) -> None:
        self.orders: List[List[int]] = []
        self.samples = {name: {"wall_ns": [], "cpu_ns": []} for name in self.NAMES}  # type: Json
        self.warmup = {name: {"wall_ns": [], "cpu_ns": []} for name in self.NAMES}  # type: Json
        self.stages: Dict[str, List[float]] = {}

    @property
    def walls(self) -> Array:
        """Milliseconds of the first variant."""
        return np.array(self.samples[self.NAMES[0]]["wall_ns"]) / 1e6

    def slowdown(self) -> float:
        """Median of the last tenth of the runs over that of the first."""
        tenth = max(1, len(self.walls) // 10)
        return float(np.median(self.walls[-tenth:]) / np.median(self.walls[:tenth]))

    def reasons(self) -> List[str]:
        """Why the figures are not to be trusted."""
        found = []
        if len(self.orders) < LEAST_ROUNDS:
            found.append(f"too few rounds: {len(self.orders)} finished, {LEAST_ROUNDS} needed")
        first, second = (self.samples[name]["wall_ns"] for name in self.NAMES)
        apart = abs(float(np.median([b / a for a, b in zip(first, second)])) - 1)
        if apart > PAIR_LIMIT:
            found.append(
                f"the A/A pair differs by {apart:.2%} (limit {PAIR_LIMIT:.1%}): measure more rounds, or fix "
                "the clocks with jetson_clocks"
            )
        return found

    def show(self) -> None:
        rows = {"input to logits": self.walls}
        rows.update(self.stages)
        for name, values in rows.items():
            figures = [f"p{q} {np.percentile(values, q):.3f}" for q in (50, 90, 95, 99)]
            tell(f"  {name:<15} {'  '.join(figures)} ms")


def measure(engine: Engine, clips: Array, warmup: int, rounds: int, seconds: Optional[float]) -> Measured:
    """Runs of a batch of clips, or steps of one frame where the engine takes these."""
    found = Measured()
    run, given = engine.run, clips  # type: Any, Array
    if isinstance(engine, Stream):
        engine.reset()
        run, given = engine.step, clips[0, 0]

    def sample(into: Json) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        run(given)
        into["wall_ns"].append(int(1e9 * (time.perf_counter() - wall)))
        into["cpu_ns"].append(int(1e9 * (time.process_time() - cpu)))

    for _ in range(warmup):
        for name in found.NAMES:
            sample(found.warmup[name])
    began = time.perf_counter()
    while len(found.orders) < rounds:
        order = [0, 1] if len(found.orders) % 2 == 0 else [1, 0]
        for index in order:
            sample(found.samples[found.NAMES[index]])
            for stage, value in engine.stages.items():
                found.stages.setdefault(stage, []).append(round(value, 6))
        found.orders.append(order)
        if seconds is not None and time.perf_counter() - began >= seconds:
            break
    return found


def result_of(
    measured: Measured, files: Files, machine: Machine, seconds: Optional[float], power: List[Json]
) -> Json:
    """A result as `edgevid bench` writes it."""
    settings, unreal = files.settings, f"not a measurement: {machine.stand_in}" if machine.stand_in else ""
    variants = [
        {
            "name": name,
            "role": role,
            "label": "simulated" if unreal else "measured",
            "note": unreal,
            "bundle": {"path": str(BUNDLE), "manifest_sha256": sha256(BUNDLE / "manifest.json")},
        }
        for name, role in zip(measured.NAMES, ("baseline", "twin"))
    ]
    given = "one uint8 frame" if settings["streaming"] else "uint8 clips"
    notes = [f"wall time is from {given} to logits; stages_ms are its parts"]
    if not power:
        notes.append("tegrastats gave nothing: no power, temperatures and clocks")
    if seconds is not None:
        factor = measured.slowdown()
        notes.append(f"the last tenth of the runs took {factor:.3f} times as long as the first")
        if factor > THROTTLED:
            notes.append("the board throttled: see its power, temperatures and clocks")
    sustained = "" if seconds is None else f", sustained for {seconds / 60:g} minutes"
    return {
        "schema_version": 1,
        "title": f"{files.manifest['source']} on {settings['board']}, {settings['precision']}{sustained}",
        "device": settings["device"],
        "created": datetime.now(timezone.utc).isoformat(),
        "command": [sys.executable, *sys.argv],
        "settings": {
            "rounds": len(measured.orders),
            "warmup": len(measured.warmup[measured.NAMES[0]]["wall_ns"]),
            "budget_seconds": seconds,
            "processes": 1,
        },
        "parameters": {
            "batch": settings["batch"],
            "precision": settings["precision"],
            "gpu": machine.gpu(),
            "power_mode": machine.power_mode(),
            "stages_ms": measured.stages,
            "tegrastats": power,
        },
        "runs": [
            {
                "variants": variants,
                "orders": measured.orders,
                "samples": measured.samples,
                "warmup": measured.warmup,
                "environment": machine.environment(files.manifest["edgevid"]),
            }
        ],
        "verdict": {"reasons": measured.reasons() + ([unreal] if unreal else [])},
        "notes": notes,
    }


def benchmark(engine: Engine, files: Files, machine: Machine, arguments: argparse.Namespace) -> None:
    clips = np.array(load(golden(files.manifest["golden"][0], "clips")))
    clips = clips[np.arange(engine.shape[0]) % len(clips)]
    plans = [("result.json", arguments.warmup, arguments.rounds, None)]  # type: List[Any]
    if arguments.sustained:
        plans.append(("sustained.json", 1, sys.maxsize, 60.0 * arguments.sustained))
    for name, warmup, rounds, seconds in plans:
        with Tegrastats() as power:
            measured = measure(engine, clips, warmup, rounds, seconds)
        document = result_of(measured, files, machine, seconds, power.samples)
        write_json(arguments.output / name, document)
        tell(f"{arguments.output / name}: {document['title']}")
        measured.show()
        for line in document["notes"] + [f"INVALID: {reason}" for reason in document["verdict"]["reasons"]]:
            tell(f"  {line}")


def read_index(folder: Path) -> Json:
    """What `edgevid pack` wrote of its clips."""
    index = read_json(folder / "index.json")
    shards = index.get("shards")
    if (
        not {"shape", "clips_sha256"} <= set(index)
        or not isinstance(shards, list)
        or not all(isinstance(shard, dict) and {"file", "sha256"} <= set(shard) for shard in shards)
    ):
        raise BoardError(f"{folder} holds no packed clips", "give the folder that `edgevid pack` wrote")
    return index


def evaluate(engine: Engine, folder: Path, index: Json, output: Path, machine: Machine) -> None:
    """Logits of packed clips, as `edgevid compare --logits` reads them."""
    if index["shape"] != list(engine.shape[1:]):
        raise BoardError(
            f"the clips are {index['shape']}, the network takes {list(engine.shape[1:])}",
            "pack clips as this network wants them",
        )
    batch = engine.shape[0]
    rows: List[List[float]] = []
    latencies: List[float] = []
    for shard in index["shards"]:
        path = folder / Path(str(shard["file"])).name
        if not path.is_file() or sha256(path) != shard["sha256"]:
            raise BoardError(f"{path} is missing, or has changed since it was packed", "copy the clips again")
        clips = load(path)
        if clips.dtype != np.uint8 or clips.shape[1:] != engine.shape[1:]:
            raise BoardError(f"{path} holds {clips.dtype}{list(clips.shape)}", "pack the clips again")
        for start in range(0, len(clips), batch):
            began = time.perf_counter()
            logits = engine.run_all(clips[start : start + batch])
            latencies.append(1e3 * (time.perf_counter() - began))
            if not np.isfinite(logits).all():
                raise BoardError(f"a logit is not finite, of {path}", "do not use this engine, report it")
            rows.extend(logits.tolist())
        tell(f"{shard['file']} done")
    document = {"clips_sha256": index["clips_sha256"], "device": machine.device(), "logits": rows}
    if not machine.stand_in:
        document["latency_ms"] = latencies
    write_json(output / "logits.json", document)


# ------------------------------------------------------------------ the whole


def check_board(files: Files, machine: Machine, cuda: Cuda, workspace: int) -> None:
    settings = files.settings
    if machine.capability not in settings["capabilities"]:
        raise BoardError(
            f"this GPU has compute capability {machine.capability}, the bundle is for {settings['board']} "
            f"({' or '.join(settings['capabilities'])})",
            "compile for the device that this is: `edgevid devices` lists them",
        )
    needed, free = settings["memory_bytes"] + workspace, cuda.free_memory(settings["shared_memory"])
    if free < needed:
        raise BoardError(
            f"building takes about {needed // MEGABYTE} MB, {free // MEGABYTE} MB are free",
            "stop other programs and the desktop, or give a smaller --workspace",
        )


def get_plan(
    trt: Any, files: Files, record: Json, cuda: Cuda, machine: Machine, log: Any, arguments: Any
) -> bytes:
    """What an earlier run left for exactly this network and board, or newly built."""
    path = arguments.output / "model.engine"
    if path.is_file() and not arguments.rebuild:
        try:
            found = read_json(arguments.output / "engine.json")
        except BoardError:
            found = {}  # an earlier run was stopped: it is built again
        other = [f"{key} {found.get(key)}" for key, value in record.items() if found.get(key) != value]
        if not other and found.get("sha256") == sha256(path):
            tell(f"taking {path}, which is of this network and board")
            plan: bytes = path.read_bytes()
            return plan
        tell(f"not taking {path}: it is of {', '.join(other) or 'another size or content'}")
    check_board(files, machine, cuda, arguments.workspace * MEGABYTE)
    tell("building, which takes minutes")
    began = time.perf_counter()
    plan = build(trt, files, log, arguments.workspace * MEGABYTE)
    tell(f"built in {time.perf_counter() - began:.0f} s: {len(plan) / 1e6:.1f} MB")
    return plan


def make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BoardError(f"{path} cannot be made: {error.strerror}", "give another folder by -o") from error
    if not os.access(str(path), os.W_OK):
        raise BoardError(f"{path} cannot be written to", "give another folder by -o")


def work(files: Files, arguments: argparse.Namespace) -> None:
    # Building takes minutes: what can be refused is refused before.
    index = read_index(arguments.eval) if arguments.eval else None
    make_folder(arguments.output)
    trt = import_tensorrt(files.settings)
    log = make_log(trt)
    with Cuda() as cuda:
        machine = Machine(trt, cuda)
        record = dict(machine.gpu(), network=sha256(files.network), precision=files.settings["precision"])
        plan = get_plan(trt, files, record, cuda, machine, log, arguments)
        streaming = files.settings["streaming"]
        engine = Stream(trt, plan, cuda, log, streaming) if streaming else Engine(trt, plan, cuda, log)
        path = arguments.output / "model.engine"
        try:
            checks = check_golden(engine, files)
        except BoardError:
            if path.exists():
                path.unlink()
            raise
        # Only an engine that was checked gets its name.
        write(path, plan)
        record.update(sha256=sha256(path), checks=checks, warnings=log.warnings)
        write_json(arguments.output / "engine.json", record)
        if index is not None:
            evaluate(engine, arguments.eval, index, arguments.output, machine)
        if not arguments.no_bench:
            benchmark(engine, files, machine, arguments)


def positive(given: str) -> int:
    value = int(given)
    if not 1 <= value <= 1000000:
        raise ValueError(given)
    return value


def minutes(given: str) -> float:
    value = float(given)
    if not 0 < value <= 24 * 60:
        raise ValueError(given)
    return value


def parse_arguments(workspace: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Build, check and measure this network on the board.")
    add = parser.add_argument
    add("-o", "--output", type=Path, default=Path("engine"), help="folder for what it writes")
    add("--eval", type=Path, metavar="CLIPS", help="logits of clips that `edgevid pack` wrote, too")
    add("--rounds", type=positive, default=100, help="of the benchmark, two runs each")
    add("--warmup", type=positive, default=20, help="rounds before the first that counts")
    add("--sustained", type=minutes, metavar="MINUTES", help="then run on for so long, to see throttling")
    add("--no-bench", action="store_true", help="build and check alone")
    add("--rebuild", action="store_true", help="even if the engine is there")
    add("--workspace", type=positive, metavar="MB", default=workspace, help="memory for the builder's choice")
    arguments = parser.parse_args()
    if arguments.no_bench and arguments.sustained:
        parser.error("--sustained is a benchmark, and --no-bench means none")
    return arguments


def main() -> int:
    try:
        files = read_files()
        work(files, parse_arguments(files.settings["workspace_bytes"] // MEGABYTE))
    except (BoardError, OSError) as error:
        sys.stderr.write(f"build_engine.py: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("build_engine.py: interrupted\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
