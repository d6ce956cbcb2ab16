"""Stand-ins of TensorRT's Python modules and of CUDA's, with the names that the real ones have and no others.

They check the order of calls and count what is held. What they compute is the mean brightness of each clip,
with caches the brightness of the frames that these remember as well, and their times are made up: nothing
that comes out of them is a measurement.
"""

import ctypes
import json
from enum import IntEnum
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np

DATA = Path(__file__).resolve().parents[2] / "data" / "tensorrt_api"
MODULES = {"10": "tensorrt", "11": "tensorrt", "rtx": "tensorrt_rtx"}
VERSIONS = {"10": "10.13.3.9", "11": "11.1.0.106", "rtx": "1.7.1.116"}


def surface(name):
    """Class or enumeration to the names of its attributes and, with ``E:``, of its members."""
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


class Severity(IntEnum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = Severity

    def log(self, severity, message):
        raise NotImplementedError


class Logger(ILogger):
    def __init__(self, least=Severity.WARNING):
        self.min_severity = least


class Builder:
    def __init__(self, logger):
        if self.trt.broken:
            logger.log(Severity.ERROR, self.trt.broken)
            raise TypeError("factory function returned nullptr")
        self.logger = logger

    def create_network(self, flags):
        assert flags == 1 << int(self.trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        return self.trt.INetworkDefinition()

    def create_builder_config(self):
        return self.trt.IBuilderConfig()

    def create_optimization_profile(self):
        return self.trt.IOptimizationProfile()

    def build_serialized_network(self, network, config):
        assert network._onnx, "parsed before it is built"
        assert self.trt.BuilderFlag.TF32 in config._cleared
        if self.trt.refuses:
            for severity, message in self.trt.refuses:
                self.logger.log(severity, message)
            return None
        self.logger.log(Severity.VERBOSE, "built")
        told = {
            "onnx": network._onnx.decode(),
            "capabilities": getattr(config, "_capabilities", []),
            "profiles": [profile._shapes for profile in config._profiles],
            "workspace": config._workspace,
        }
        return json.dumps(told).encode()


class INetworkDefinition:
    _onnx = b""
    num_inputs = 1

    def get_input(self, number):
        return self.trt.ITensor(number)


class ITensor:
    def __init__(self, number):
        self.name, self.shape = "clips", (-1, 4, 8, 8, 3)


class OnnxParser:
    def __init__(self, network, logger):
        self._network = network

    def parse(self, data):
        self._network._onnx = data
        return not self.trt.parser_errors

    @property
    def num_errors(self):
        return len(self.trt.parser_errors)

    def get_error(self, number):
        return self.trt.ParserError(*self.trt.parser_errors[number])


class ParserError:
    def __init__(self, operator, name, reason):
        self._told = operator, name, reason

    def node_operator(self):
        return self._told[0]

    def node_name(self):
        return self._told[1]

    def node(self):
        return 0

    def desc(self):
        return self._told[2]


class IBuilderConfig:
    def __init__(self):
        self._cleared, self._profiles, self._workspace = [], [], None

    def clear_flag(self, flag):
        self._cleared.append(flag)

    def set_memory_pool_limit(self, pool, size):
        assert pool == self.trt.MemoryPoolType.WORKSPACE
        self._workspace = size

    def add_optimization_profile(self, profile):
        self._profiles.append(profile)
        return len(self._profiles) - 1

    def set_compute_capability(self, capability, number):
        self._capabilities = [*getattr(self, "_capabilities", []), capability.name]
        return number < self.num_compute_capabilities


class IOptimizationProfile:
    def set_shape(self, name, least, best, most):
        self._shapes = [name, list(least), list(best), list(most)]


class Runtime:
    def __init__(self, logger):
        pass

    def deserialize_cuda_engine(self, data):
        self.trt.loaded += 1
        return None if data == b"damaged" else self.trt.ICudaEngine(data)


class ICudaEngine:
    def __init__(self, data):
        self._data = data

    @property
    def _inputs(self):
        return ["clips", *(["valid"] if self.trt.gates else []), *self.trt.caches]

    @property
    def num_io_tensors(self):
        return len(self._inputs) + 1 + len(self.trt.caches)

    def get_tensor_name(self, number):
        return [*self._inputs, "logits", *(f"{name}.next" for name in self.trt.caches)][number]

    def get_tensor_mode(self, name):
        modes = self.trt.TensorIOMode
        return modes.INPUT if name in self._inputs else modes.OUTPUT

    def get_tensor_dtype(self, name):
        cache = self.trt.caches.get(name.removesuffix(".next"))
        if cache is not None:
            kinds = {"float32": "FLOAT", "float16": "HALF", "int8": "INT8"}
            return self.trt.DataType[kinds[np.dtype(cache[1]).name]]
        known = {"clips": self.trt.input_type, "valid": self.trt.DataType.UINT8}
        return known.get(name, self.trt.DataType.FLOAT)

    def create_execution_context(self, config=None):
        self.trt.strategy = None if config is None else config._graphs
        return None if self.trt.no_memory else self.trt.IExecutionContext()

    def create_runtime_config(self):
        return self.trt.IRuntimeConfig()


class IRuntimeConfig:
    @property
    def cuda_graph_strategy(self):
        return self._graphs

    @cuda_graph_strategy.setter
    def cuda_graph_strategy(self, strategy):
        self._graphs = strategy


class IExecutionContext:
    def __init__(self):
        self._shape, self._addresses, self._profile = None, {}, 0

    def set_optimization_profile_async(self, number, stream):
        self.trt.cuda.must_be_open(stream)
        self.trt.profile = number
        return True

    def set_input_shape(self, name, shape):
        self._shape = tuple(shape)
        return name == "clips"

    def set_tensor_address(self, name, address):
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream):
        if self.trt.fails:
            return False
        self.trt.cuda.enqueue(stream, partial(self._compute, dict(self._addresses)))
        return True

    def _compute(self, addresses):
        kind = np.uint8 if self.trt.input_type == self.trt.DataType.UINT8 else np.float32
        shape = self._shape or self.trt.frame
        clips = view(addresses["clips"], shape, kind)
        logits = view(addresses["logits"], (shape[0], 3), np.float32)
        found = brightness(clips)
        if self.trt.gates:
            found *= view(addresses["valid"], (self.trt.gates,), np.uint8).mean()
        for number, (name, (size, dtype)) in enumerate(self.trt.caches.items()):
            given, following = (view(addresses[end], size, dtype) for end in (name, f"{name}.next"))
            assert addresses[name] % 256 == addresses[f"{name}.next"] % 256 == 0
            found = found + (number + 1) * float(given.flat[0])
            following[...] = remembered(clips, number)
        logits[:] = found


def brightness(clips):
    """What the stand-in computes."""
    return clips.reshape(len(clips), -1).mean(axis=1, dtype=np.float64)[:, None] * np.array([1, 2, 3])


def remembered(frame, number):
    """What cache ``number`` keeps of a frame."""
    return int(frame.mean()) % 100 + number


def view(address, shape, kind):
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    return np.frombuffer((ctypes.c_byte * size).from_address(address), kind).reshape(shape)


CLASSES = (
    *(Builder, INetworkDefinition, ITensor, OnnxParser, ParserError, IBuilderConfig, IOptimizationProfile),
    *(Runtime, ICudaEngine, IExecutionContext, IRuntimeConfig, ILogger, Logger),
)


def restricted(kind, names, trt):
    """The class with the names that the surface has, and no others."""

    def get(self, name):
        if not name.startswith("_") and name not in names and name != "trt":
            raise AttributeError(f"{kind.__name__} has no {name}")
        return object.__getattribute__(self, name)

    def put(self, name, value):
        if not name.startswith("_") and name not in names:
            raise AttributeError(f"{kind.__name__} has no {name}")
        object.__setattr__(self, name, value)

    return type(kind.__name__, (kind,), {"trt": trt, "__getattribute__": get, "__setattr__": put})


def stand_in(name):
    """A module of TensorRT ``10``, ``11`` or ``rtx``; its attributes below steer what it does."""
    trt = ModuleType(MODULES[name])
    for key, names in surface(name).items():
        members = [member[2:] for member in names if member.startswith("E:")]
        if members:
            setattr(trt, key, IntEnum(key, {member: number for number, member in enumerate(members)}))
    for kind in CLASSES:
        if kind.__name__ not in surface(name):
            continue
        loggers = kind in (ILogger, Logger)
        made = kind if loggers else restricted(kind, set(surface(name)[kind.__name__]), trt)
        setattr(trt, kind.__name__, made)
    trt.name, trt.__version__ = name, VERSIONS[name]
    trt.broken, trt.refuses, trt.parser_errors = "", [], []
    trt.loaded, trt.no_memory, trt.fails, trt.profile = 0, False, False, None
    trt.input_type, trt.cuda = trt.DataType.UINT8, Cuda()
    trt.caches, trt.gates, trt.frame, trt.strategy = {}, 0, (), None
    return trt


class Cuda:
    """``cuda.bindings.runtime``: memory of the host stands for the device's, and time for nothing."""

    cudaMemcpyKind = IntEnum(  # noqa: N815
        "cudaMemcpyKind", {"cudaMemcpyHostToDevice": 1, "cudaMemcpyDeviceToHost": 2}
    )
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)  # noqa: N815

    def __init__(self):
        self.held, self.recorded, self.capturing, self.captures, self.launches = {}, [], None, 0, 0
        self.runs, self.memory, self._number = 0, 1 << 30, 1000
        self.copied = []

    def _hold(self, kind, what=None):
        self._number += 1
        self.held[self._number] = (kind, what)
        return (0, self._number)

    def _drop(self, kind, handle):
        assert self.held.pop(int(handle))[0] == kind
        return (0,)

    def must_be_open(self, stream):
        assert not int(stream) or self.held[int(stream)][0] == "stream"

    def enqueue(self, stream, compute):
        self.must_be_open(stream)
        if self.capturing is None:
            self.runs += 1
            compute()
        else:
            self.capturing.append(compute)

    def _memory(self, size):
        if size > self.memory:
            return (2, None)
        block = (ctypes.c_byte * (size + 256))()
        address = -(-ctypes.addressof(block) // 256) * 256
        ctypes.memset(address, 0x3B, size)  # memory of a device holds what it held before
        self.held[address] = ("memory", block)
        return (0, address)

    def cudaGetErrorString(self, code):
        return (0, {2: b"out of memory"}.get(code, b"unknown error"))

    def cudaStreamCreate(self):
        return self._hold("stream")

    def cudaStreamDestroy(self, stream):
        return self._drop("stream", stream)

    def cudaStreamSynchronize(self, stream):
        assert self.capturing is None
        self.must_be_open(stream)
        return (0,)

    def cudaEventCreate(self):
        return self._hold("event")

    def cudaEventDestroy(self, event):
        return self._drop("event", event)

    def cudaEventRecord(self, event, stream):
        self.must_be_open(stream)
        self.recorded.append(event)
        return (0,)

    def cudaEventElapsedTime(self, first, second):
        return (0, float(self.recorded[::-1].index(first) - self.recorded[::-1].index(second)))

    def cudaMalloc(self, size):
        return self._memory(size)

    def cudaMallocHost(self, size):
        return self._memory(size)

    def cudaFree(self, address):
        return self._drop("memory", address)

    def cudaFreeHost(self, address):
        return self._drop("memory", address)

    def cudaMemcpyAsync(self, to, source, size, kind, stream):
        self.must_be_open(stream)
        assert self.capturing is None
        self.copied.append(size)
        ctypes.memmove(to, source, size)
        return (0,)

    def cudaMemcpy(self, to, source, size, kind):
        return self.cudaMemcpyAsync(to, source, size, kind, 0)

    def cudaMemset(self, place, value, size):
        ctypes.memset(place, value, size)
        return (0,)

    def cudaStreamBeginCapture(self, stream, mode):
        assert self.runs, "run once before it is captured"
        self.capturing = []
        return (0,)

    def cudaStreamEndCapture(self, stream):
        found, self.capturing = self.capturing, None
        self.captures += 1
        return self._hold("graph", found)

    def cudaGraphInstantiate(self, graph, flags):
        return self._hold("launchable", self.held[graph][1])

    def cudaGraphDestroy(self, graph):
        return self._drop("graph", graph)

    def cudaGraphExecDestroy(self, graph):
        return self._drop("launchable", graph)

    def cudaGraphLaunch(self, graph, stream):
        self.must_be_open(stream)
        self.launches += 1
        for compute in self.held[graph][1]:
            compute()
        return (0,)
