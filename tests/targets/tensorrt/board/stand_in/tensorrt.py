"""Stands in for TensorRT's Python module, to run `build_engine.py` where there is none.

Names and signatures are those of ``tests/data/tensorrt_api/VERSION-signatures.json``; anything else is an
AttributeError, and wrong arguments a TypeError. What is here gives the names a meaning: the order of calls is
enforced, and logits come from ONNX Runtime. How long it takes means nothing.

Environment: STAND_IN_API (8.2 or 10.3), STAND_IN_VERSION, and what goes wrong: STAND_IN_NO_INT8,
STAND_IN_NO_FP16, STAND_IN_REFUSES_NODE, STAND_IN_LEAST_WORKSPACE_MB, STAND_IN_NO_CONTEXT, STAND_IN_WRONG,
STAND_IN_DROPS_CACHE, STAND_IN_FORGETS (its next caches are zeros).
"""

# Classes and enumerations are made from the file at the end.
# ruff: noqa: F821

import builtins
import ctypes
import enum
import inspect
import json
import os
import struct
import sys
from pathlib import Path

import numpy as np

STAND_IN = "a stand-in of TensorRT, run by ONNX Runtime"

_FOLDER = Path(__file__).resolve().parents[4] / "data" / "tensorrt_api"
_API = json.loads((_FOLDER / f"{os.environ.get('STAND_IN_API', '8.2')}-signatures.json").read_text())
_MODULE = sys.modules[__name__]

__version__ = _VERSION = os.environ.get("STAND_IN_VERSION", _API["version"])
_MAJOR = int(_VERSION.split(".")[0])


def _set(name):
    return os.environ.get(f"STAND_IN_{name}", "")


_DEFAULTS = {"None": None, "0": 0, "1": 1, "WARNING": 2}


def _signature(parameters):
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Signature(
        [
            inspect.Parameter(name, kind, default=_DEFAULTS[default] if given else inspect.Parameter.empty)
            for name, given, default in (each.partition("=") for each in parameters)
        ]
    )


def _method(class_name, name, parameters):
    try:
        signature = _signature(parameters)
    except ValueError:  # a parameter without a default behind one that has one
        signature = None

    def call(self, *arguments, **named):
        behaviour = _BEHAVIOUR.get((class_name, name))
        if behaviour is None or signature is None:
            raise NotImplementedError(f"the stand-in does nothing for {class_name}.{name}")
        bound = signature.bind(*arguments, **named)
        bound.apply_defaults()
        return behaviour(self, *bound.args)

    call.__name__ = name
    return call


def _property(class_name, name, access):
    def read(self):
        behaviour = _BEHAVIOUR.get((class_name, name))
        if behaviour is not None:
            return behaviour(self)
        return self.__dict__[f"={name}"]

    def write(self, value):
        self.__dict__[f"={name}"] = value

    return property(read if "r" in access else None, write if "w" in access else None)


class _Strict:
    """Takes no attribute that the real class has not; what the stand-in keeps begins with ``=``."""

    def __setattr__(self, name, value):
        if type(self).__module__ == __name__ and not isinstance(getattr(type(self), name, None), property):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        object.__setattr__(self, name, value)

    def __getitem__(self, key):
        return self.__dict__["=" + key]

    def __setitem__(self, key, value):
        self.__dict__["=" + key] = value


def _class(name, described):
    def initialize(self, *arguments, **named):
        if described["init"] is None:
            raise TypeError(f"{name} cannot be made by itself")
        bound = _signature(described["init"]).bind(*arguments, **named)
        _BEHAVIOUR.get((name, "__init__"), lambda *_: None)(self, *bound.args)

    body = {"__init__": initialize, "__module__": __name__, "__doc__": described["source"]}
    body.update({each: _method(name, each, given) for each, given in described["methods"].items()})
    body.update({each: _property(name, each, how) for each, how in described["properties"].items()})
    for kind, members in described.get("enums", {}).items():
        body[kind] = enum.IntEnum(kind, {member: number for number, member in enumerate(members)})
        body.update(body[kind].__members__)
    base = getattr(_MODULE, described["base"]) if "base" in described else _Strict
    return type(name, (base,), body)


def _made(class_name, /, **kept):
    made = object.__new__(getattr(_MODULE, class_name))
    for key, value in kept.items():
        made[key] = value
    return made


def _error(logger, message):
    logger.log(ILogger.Severity.ERROR, message)


# ------------------------------------------------------------------ what the names mean


def _init_with_logger(self, logger):
    if not isinstance(logger, ILogger):
        raise TypeError("logger is no ILogger")
    self["logger"] = logger


def _create_network(self, flags):
    explicit = builtins.bool(flags & 1 << int(NetworkDefinitionCreationFlag.EXPLICIT_BATCH)) or _MAJOR >= 10
    return _made("INetworkDefinition", builder=self, explicit=explicit, model=None, layers=[])


def _create_config(self):
    # TF32 is on unless it is cleared.
    return _made("IBuilderConfig", builder=self, on={BuilderFlag.TF32}, workspace=0, int8_calibrator=None)


def _set_workspace(self, pool, size):
    assert pool == MemoryPoolType.WORKSPACE
    self["workspace"] = size


def _init_parser(self, network, logger):
    _init_with_logger(self, logger)
    if not isinstance(network, INetworkDefinition):
        raise TypeError("network is no INetworkDefinition")
    self["network"], self["errors"] = network, []


def _parse(self, model):
    network = self["network"]
    if not network["explicit"]:
        _error(self["logger"], "This version of the ONNX parser only supports explicit batch networks")
        return False
    import onnx  # where it is needed: most runs are refused before

    loaded = onnx.load(model)
    if max(each.version for each in loaded.opset_import if not each.domain) > 13 and _MAJOR < 10:
        self["errors"].append((0, "opset beyond 13"))
    for number, node in enumerate(loaded.graph.node):
        if node.op_type == _set("REFUSES_NODE"):
            self["errors"].append((number, f"no importer registered for op: {node.op_type} ({node.name})"))
            _error(self["logger"], f"While parsing node number {number} [{node.op_type}]")
    if self["errors"]:
        return False
    network["model"] = loaded
    for side, values in (("inputs", loaded.graph.input), ("outputs", loaded.graph.output)):
        network[side] = [
            _made("ITensor", name=value.name, dtype=DataType.FLOAT, range=None) for value in values
        ]
    network["layers"] = [_made("ILayer", name=node.name, precision=None) for node in loaded.graph.node]
    return True


def _get_error(self, index):
    number, reason = self["errors"][index]
    return _made("ParserError", number=number, reason=reason)


def _build(self, network, config):
    logger = self["logger"]
    if network["builder"] is not self or config["builder"] is not self:
        raise ValueError("network and config belong to another builder")
    workspace = config["workspace"] or config.__dict__.get("=max_workspace_size", 0)
    if network["model"] is None:
        return _error(logger, "Network must have at least one output")
    if workspace < int(_set("LEAST_WORKSPACE_MB") or 1) << 20:
        return _error(
            logger, "Could not find any implementation for node conv1, try increasing the workspace"
        )
    held = [layer["name"] for layer in network["layers"] if layer["precision"] is not None]
    strict = {"STRICT_TYPES", "OBEY_PRECISION_CONSTRAINTS"} & {flag.name for flag in config["on"]}
    if held and not strict:
        return _error(logger, "layers have a precision, and no flag says to obey it")
    model, calibrator = network["model"], config["int8_calibrator"]
    if BuilderFlag.INT8 in config["on"]:
        if calibrator is None:
            return _error(logger, "Calibration failure: no calibrator and no dynamic ranges")
        ranges = _ranges(bytes(calibrator.read_calibration_cache()))
        if ranges is None:
            calibrator.get_batch([model.graph.input[0].name])
            return _error(logger, "Calibration failure occurred with no scaling factors detected")
        model = _rounded(model, ranges)
    ends = network["inputs"] + network["outputs"]
    halves = [end["name"] for end in ends if end["dtype"] == DataType.HALF]
    if halves and BuilderFlag.FP16 not in config["on"]:
        return _error(logger, "tensors are of half precision, and FP16 is not allowed")
    of_bytes = {end["name"]: end["range"] for end in ends if end["dtype"] == DataType.INT8}
    if of_bytes and (BuilderFlag.INT8 not in config["on"] or None in of_bytes.values()):
        return _error(logger, "tensors are bytes, and INT8 is not allowed or a dynamic range is missing")
    flags = {"flags": sorted(flag.name for flag in config["on"]), "held": held, "version": __version__}
    flags["halves"] = halves
    flags["steps"] = {name: most / 127 for name, most in of_bytes.items()}
    head = json.dumps(flags).encode()
    return memoryview(b"PLAN" + struct.pack("<I", len(head)) + head + model.SerializeToString())


def _ranges(cache):
    """Steps by tensor name; None of another version, which TensorRT leaves out without a word."""
    first, *lines = cache.decode("ascii").splitlines()
    minor, patch = (int(part) for part in _VERSION.split(".")[1:3])
    number = _MAJOR * (10000 if _MAJOR >= 10 else 1000) + minor * 100 + patch
    if first != f"TRT-{number}-EntropyCalibration2" or _set("DROPS_CACHE"):
        return None
    pairs = (line.rsplit(": ", 1) for line in lines)
    return {name: struct.unpack(">f", bytes.fromhex(value))[0] for name, value in pairs}


def _rounded(model, ranges):
    """Inputs of layers cut and rounded to their steps."""
    import onnx
    from onnx import helper, numpy_helper

    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    nodes = list(changed.graph.node)
    known = {name for node in nodes for name in node.output} | {each.name for each in changed.graph.input}
    assert set(ranges) <= known, "a range of a tensor that the network has not"
    del changed.graph.node[:]
    zero = numpy_helper.from_array(np.array(0, np.int8), "stand_in.zero")
    changed.graph.initializer.append(zero)
    done = {}
    for node in nodes:
        value = node.input[0] if node.input else ""
        if node.op_type in ("Conv", "Gemm", "MatMul") and value in ranges:
            if value not in done:
                done[value] = f"{value}.rounded"
                scale = numpy_helper.from_array(np.array(ranges[value], np.float32), f"{value}.step")
                changed.graph.initializer.append(scale)
                pair = (f"{value}.step", "stand_in.zero")
                changed.graph.node.extend(
                    [
                        helper.make_node("QuantizeLinear", [value, *pair], [f"{value}.bytes"]),
                        helper.make_node("DequantizeLinear", [f"{value}.bytes", *pair], [done[value]]),
                    ]
                )
            node.input[0] = done[value]
        changed.graph.node.append(node)
    return changed


def _deserialize(self, serialized):
    plan = bytes(serialized)
    length = struct.unpack("<I", plan[4:8])[0]
    head = json.loads(plan[8 : 8 + length])
    if plan[:4] != b"PLAN" or head["version"] != __version__:
        return _error(self["logger"], "Version tag does not match")
    import onnx

    model = onnx.load_from_string(plan[8 + length :])
    values = [*model.graph.input, *model.graph.output]
    assert {value.type.tensor_type.elem_type for value in values} == {onnx.TensorProto.FLOAT}
    shapes = [tuple(size.dim_value for size in value.type.tensor_type.shape.dim) for value in values]
    names, count = [value.name for value in values], len(model.graph.input)
    kept = {"model": model, "shapes": shapes, "names": names, "head": head, "count": count}
    return _made("ICudaEngine", logger=self["logger"], **kept)


def _set_range(self, low, high):
    assert low == -high < 0, "TensorRT knows symmetric ranges alone"
    self["range"] = high


def _kind(self, name):
    if name in self["head"]["steps"]:
        return DataType.INT8
    return DataType.HALF if name in self["head"]["halves"] else DataType.FLOAT


def _create_context(self, *_):
    if _set("NO_CONTEXT"):
        return _error(self["logger"], "Out of memory: requested 123456789 bytes")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(
        self["model"].SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return _made("IExecutionContext", engine=self, session=session, addresses={})


def _cudart():
    return ctypes.CDLL("libcudart.so")


def _array(address, shape, kind):
    cudart = _cudart()
    cudart.stand_in_bytes.restype = ctypes.c_size_t
    dtype = np.dtype({DataType.INT8: np.int8, DataType.HALF: np.float16}.get(kind, np.float32))
    wanted = dtype.itemsize * int(np.prod(shape))
    if cudart.stand_in_bytes(ctypes.c_void_p(address)) < wanted:
        raise RuntimeError(f"no {wanted} bytes of device memory at the address of a binding")
    memory = (ctypes.c_byte * wanted).from_address(address)
    return np.frombuffer(memory, dtype).reshape(shape)


def _execute(self, addresses, stream):
    engine = self["engine"]
    if not _cudart().stand_in_is_stream(ctypes.c_void_p(stream)):
        raise RuntimeError("no stream of that address")
    names, count = engine["names"], engine["count"]
    kinds, steps = [_kind(engine, name) for name in names], engine["head"]["steps"]
    arrays = [_array(*each) for each in zip(addresses, engine["shapes"], kinds, strict=True)]
    given = {
        name: array.astype(np.float32) * np.float32(steps.get(name, 1))
        for name, array in zip(names[:count], arrays[:count], strict=True)
    }
    logits, *caches = self["session"].run(None, given)
    if "FP16" in engine["head"]["flags"]:
        logits = logits.astype(np.float16).astype(np.float32)
    if _set("WRONG"):
        logits = logits[:, ::-1] if _set("WRONG") != "nan" else logits * np.nan
    for name, array, found in zip(names[count:], arrays[count:], [logits, *caches], strict=True):
        if name in steps:
            found = np.clip(np.rint(found / np.float32(steps[name])), -128, 127)
        array[...] = 0 if _set("FORGETS") and name != names[count] else found
    return True


def _execute_v2(self, bindings, stream, consumed=None):
    places = len(self["engine"]["names"])
    if len(bindings) != places or not all(isinstance(address, int) for address in bindings):
        raise TypeError("bindings are the addresses of inputs and outputs")
    return _execute(self, bindings, stream)


def _execute_v3(self, stream):
    names = self["engine"]["names"]
    if set(self["addresses"]) != set(names):
        return builtins.bool(_error(self["engine"]["logger"], "a tensor has no address"))
    return _execute(self, [self["addresses"][name] for name in names], stream)


def _set_address(self, name, memory):
    if name not in self["engine"]["names"]:
        return False
    self["addresses"][name] = memory
    return True


def _need_base_class(name):
    def refuse(self, *_):
        raise RuntimeError(f'Tried to call pure virtual function "{name}"')

    return refuse


_BEHAVIOUR = {
    ("Logger", "log"): lambda self, severity, msg: None,
    ("ILogger", "log"): lambda self, severity, msg: None,
    ("Builder", "__init__"): _init_with_logger,
    ("Builder", "create_network"): _create_network,
    ("Builder", "create_builder_config"): _create_config,
    ("Builder", "build_serialized_network"): _build,
    ("Builder", "platform_has_fast_int8"): lambda self: not _set("NO_INT8"),
    ("Builder", "platform_has_fast_fp16"): lambda self: not _set("NO_FP16"),
    ("IBuilderConfig", "set_flag"): lambda self, flag: self["on"].add(BuilderFlag(flag)),
    ("IBuilderConfig", "clear_flag"): lambda self, flag: self["on"].discard(BuilderFlag(flag)),
    ("IBuilderConfig", "get_flag"): lambda self, flag: flag in self["on"],
    ("IBuilderConfig", "set_memory_pool_limit"): _set_workspace,
    ("INetworkDefinition", "num_layers"): lambda self: len(self["layers"]),
    ("INetworkDefinition", "get_layer"): lambda self, index: self["layers"][index],
    ("INetworkDefinition", "num_inputs"): lambda self: len(self["inputs"]),
    ("INetworkDefinition", "num_outputs"): lambda self: len(self["outputs"]),
    ("INetworkDefinition", "get_input"): lambda self, index: self["inputs"][index],
    ("INetworkDefinition", "get_output"): lambda self, index: self["outputs"][index],
    ("ITensor", "set_dynamic_range"): _set_range,
    ("ILayer", "set_output_type"): lambda self, index, kind: None,
    ("OnnxParser", "__init__"): _init_parser,
    ("OnnxParser", "parse_from_file"): _parse,
    ("OnnxParser", "num_errors"): lambda self: len(self["errors"]),
    ("OnnxParser", "get_error"): _get_error,
    ("ParserError", "node"): lambda self: self["number"],
    ("ParserError", "desc"): lambda self: self["reason"],
    ("Runtime", "__init__"): _init_with_logger,
    ("Runtime", "deserialize_cuda_engine"): _deserialize,
    ("ICudaEngine", "num_bindings"): lambda self: len(self["names"]),
    ("ICudaEngine", "binding_is_input"): lambda self, index: index < self["count"],
    ("ICudaEngine", "get_binding_name"): lambda self, index: self["names"][index],
    ("ICudaEngine", "get_binding_shape"): lambda self, index: self["shapes"][index],
    ("ICudaEngine", "get_binding_dtype"): lambda self, index: _kind(self, self["names"][index]),
    ("ICudaEngine", "num_io_tensors"): lambda self: len(self["names"]),
    # The outputs first: nothing says which order they have.
    ("ICudaEngine", "get_tensor_name"): lambda self, index: self["names"][::-1][index],
    ("ICudaEngine", "get_tensor_mode"): lambda self, name: TensorIOMode(
        1 if self["names"].index(name) < self["count"] else 2
    ),
    ("ICudaEngine", "get_tensor_shape"): lambda self, name: self["shapes"][self["names"].index(name)],
    ("ICudaEngine", "get_tensor_dtype"): lambda self, name: _kind(self, name),
    ("ICudaEngine", "create_execution_context"): _create_context,
    ("IExecutionContext", "execute_async_v2"): _execute_v2,
    ("IExecutionContext", "execute_async_v3"): _execute_v3,
    ("IExecutionContext", "set_tensor_address"): _set_address,
} | {
    ("IInt8EntropyCalibrator2", name): _need_base_class(name)
    for name in _API["classes"]["IInt8EntropyCalibrator2"]["methods"]
}

for _name, _described in _API["enums"].items():
    setattr(_MODULE, _name, enum.IntEnum(_name, {each: n for n, each in enumerate(_described["members"])}))
for _name, _described in _API["classes"].items():
    setattr(_MODULE, _name, _class(_name, _described))
for _name, _path in _API["aliases"].items():
    setattr(_MODULE, _name, getattr(getattr(_MODULE, _path.split(".")[0]), _path.split(".")[1]))
