"""Read many damaged copies of ONNX files in one process of limited memory, and report on each.

Run by test_mutated_onnx.py. Whatever is no `EdgevidError` and no right result ends it.
"""

import faulthandler
import json
import os
import random
import resource
import sys
import traceback
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
from mutations import damaged_bytes

from edgevid.errors import EdgevidError
from edgevid.graph.diagnose import diagnose
from edgevid.graph.read_onnx import read_onnx
from edgevid.graph.standardize import standardize

MEMORY = 4 * 2**30
HANG = 20
NUMBERS = (-(2**63), -(2**31), -2, -1, 0, 1, 2, 3, 5, 7, 64, 1000, 2**16, 2**31 - 1, 2**31, 2**40, 2**63 - 1)
SMALL = 2**24
VERBOSE = os.environ.get("VERBOSE")


def damaged_proto(content, generator: random.Random):
    """A file that protobuf reads, of a graph that something is wrong with."""
    proto = onnx.ModelProto.FromString(content)
    for _ in range(generator.choice((1, 1, 1, 2, 3))):
        kinds = (damage_attribute, damage_attribute, damage_node, damage_node, damage_tensor, damage_tensor)
        generator.choice((*kinds, damage_type, damage_version))(proto, generator)
    return proto.SerializeToString()


def damage_attribute(proto, generator):
    attributes = [attribute for node in proto.graph.node for attribute in node.attribute]
    if not attributes:
        return
    attribute = generator.choice(attributes)
    kind = generator.choice(("value", "value", "value", "length", "type", "name"))
    number = generator.choice(NUMBERS)
    if kind == "type":
        attribute.type = generator.choice(list(onnx.AttributeProto.AttributeType.values()))
    elif kind == "name":
        attribute.name = generator.choice(["axis", "pads", "value", "to", "group", "", attribute.name + "_"])
    elif attribute.HasField("t"):
        damage_one_tensor(attribute.t, generator)
    elif attribute.ints and kind == "value":
        attribute.ints[generator.randrange(len(attribute.ints))] = number
    elif attribute.ints:
        generator.choice((lambda: attribute.ints.append(number), lambda: attribute.ints.pop()))()
    elif attribute.HasField("f"):
        attribute.f = generator.choice((0.0, -1.0, 1e38, float("nan"), float("inf"), 1e-30))
    elif attribute.HasField("s"):
        attribute.s = generator.choice(
            (b"", b"SAME_UPPER", b"VALID", b"\xff\xfe", b"reflect", b"wrap", b"edge")
        )
    else:
        attribute.i = number


def damage_node(proto, generator):
    nodes = proto.graph.node
    node = generator.choice(nodes)
    values = [name for other in nodes for name in (*other.output, *other.input)] + [""]
    kind = generator.choice(("delete", "double", "swap", "kind", "input", "output", "fewer", "more", "turn"))
    if kind == "delete":
        nodes.remove(node)
    elif kind == "double":
        nodes.append(node)
    elif kind == "swap":
        other = generator.choice(nodes)
        one, two = node.SerializeToString(), other.SerializeToString()
        node.ParseFromString(two)
        other.ParseFromString(one)
    elif kind == "kind":
        others = [other.op_type for other in nodes]
        others += ["Tile", "Expand", "Range", "Upsample", "Resize", "Loop", "If", "NoSuch", "ConstantOfShape"]
        others += ["Einsum", "TopK", "OneHot", "NonZero", "Split", "SplitToSequence", "Pad", "ConvTranspose"]
        node.op_type = generator.choice(others)
    elif kind == "input" and node.input:
        node.input[generator.randrange(len(node.input))] = generator.choice(values)
    elif kind == "output" and node.output:
        node.output[generator.randrange(len(node.output))] = generator.choice(values)
    elif kind == "fewer" and node.input:
        node.input.pop()
    elif kind == "more":
        node.input.append(generator.choice(values))
    elif kind == "turn":
        turned = list(node.input)[::-1]
        del node.input[:]
        node.input.extend(turned)


def damage_tensor(proto, generator):
    tensors = list(proto.graph.initializer)
    if tensors:
        damage_one_tensor(generator.choice(tensors), generator)


def damage_one_tensor(tensor, generator):
    kind = generator.choice(("dims", "rank", "dtype", "data", "data", "data", "short", "name", "external"))
    if kind == "dims" and tensor.dims:
        tensor.dims[generator.randrange(len(tensor.dims))] = generator.choice(NUMBERS)
    elif kind == "rank":
        tensor.dims.append(generator.choice((0, 1, 2)))
    elif kind == "dtype":
        tensor.data_type = generator.randrange(28)
    elif kind == "data" and tensor.raw_data:
        data = bytearray(tensor.raw_data)
        at = generator.randrange(len(data)) // 8 * 8
        dtype = np.int64 if tensor.data_type == onnx.TensorProto.INT64 else np.float32
        with np.errstate(all="ignore"):
            number = np.array([generator.choice(NUMBERS)], np.int64).astype(dtype).tobytes()
        data[at : at + len(number)] = number
        tensor.raw_data = bytes(data[: len(tensor.raw_data)])
    elif kind == "short":
        tensor.raw_data = tensor.raw_data[: len(tensor.raw_data) // 2]
    elif kind == "name":
        tensor.name = generator.choice(("", "x", tensor.name + "_"))
    elif kind == "external":
        tensor.data_location = onnx.TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", generator.choice(("weights", "../x", "/etc/passwd", "", "."))


def damage_type(proto, generator):
    values = [*proto.graph.input, *proto.graph.output, *proto.graph.value_info]
    value = generator.choice(values)
    tensor = value.type.tensor_type
    kind = generator.choice(("dtype", "size", "rank", "none", "name"))
    if kind == "dtype":
        tensor.elem_type = generator.randrange(28)
    elif kind == "size" and tensor.shape.dim:
        generator.choice(tensor.shape.dim).dim_value = generator.choice(NUMBERS)
    elif kind == "rank":
        tensor.shape.dim.add().dim_value = 2
    elif kind == "none":
        value.ClearField("type")
    elif kind == "name":
        value.name = generator.choice(("", "x", value.name + "_"))


def damage_version(proto, generator):
    kind = generator.choice(("opset", "opset", "format", "domain", "doubled"))
    if kind == "opset":
        proto.opset_import[0].version = generator.choice((0, 1, 7, 9, 10, 11, 12, 13, 16, 18, 21, 25, 99, -1))
    elif kind == "format":
        proto.ir_version = generator.choice((0, 1, 3, 4, 8, 12, 99))
    elif kind == "domain":
        proto.opset_import[0].domain = "com.example"
    else:
        proto.opset_import.add().version = 13


def run(content, feeds):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(None, {value.name: feeds(value) for value in session.get_inputs()})


def small(model):
    sizes = (np.prod(output.shape.numpy()) for node in model.graph for output in node.outputs if output.name)
    return max(sizes, default=0) < SMALL


def outcome(path, content):
    """In words what became of one damaged file.

    Raises:
        AssertionError: a wrong result.
    """
    try:
        model = read_onnx(path)
        shapes = {}
        for value in model.graph.inputs:
            sizes = [] if value.shape is None else list(value.shape)
            shapes[value.name] = [size if isinstance(size, int) else 2 for size in sizes]
        standard = standardize(model, shapes)
        diagnose(standard)
    except EdgevidError as error:
        return f"refused: {error.what[:34]}" if error.where else "WRONG"
    if not small(standard):
        return "read: large"
    generator = np.random.default_rng(0)
    inputs = {name: generator.normal(size=sizes) for name, sizes in shapes.items()}
    types = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
    types |= {"tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(uint8)": np.uint8}

    def feeds(value):
        return inputs[value.name].astype(types[value.type])

    try:
        right = run(content, feeds)
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's have no public base
        return f"read: ONNX Runtime refuses the file, {type(error).__name__}"
    ours = run(ir.to_proto(standard).SerializeToString(), feeds)
    tolerance = 1e-5
    if any(value.type is not None and value.dtype is ir.DataType.FLOAT16 for value in model.graph.inputs):
        tolerance = 3e-2
    for one, two in zip(right, ours, strict=True):
        assert one.shape == two.shape, (one.shape, two.shape)
        finite = np.isfinite(one.astype(np.float64))
        if not finite.all() or not np.isfinite(two).all():
            return "read: not finite"
        scale = max(1.0, float(np.abs(one).max(initial=0)))
        difference = float(np.abs(one.astype(np.float64) - two).max(initial=0)) / scale
        assert difference <= tolerance, f"differs by {difference:.1e}"
    return "read: right"


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main(folder, count, first=0):
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    faulthandler.enable()
    sources = sorted(Path(folder).glob("source*.onnx"))
    path, counts, wrong = Path(folder) / "damaged.onnx", Counter(), []
    for seed in range(first, first + count):
        generator = random.Random(seed)
        source = sources[seed % len(sources)].read_bytes()
        damage = generator.choice((damaged_bytes, damaged_proto, damaged_proto))
        try:
            content = damage(source, generator)
        except (ValueError, OverflowError, TypeError):
            content = damaged_bytes(source, generator)
        path.write_bytes(content)
        print(seed, file=sys.stderr, flush=True)
        faulthandler.dump_traceback_later(HANG, exit=True)
        try:
            counts[outcome(path, content)] += 1
        except Exception as error:  # noqa: BLE001 - all are reported
            wrong.append(f"{seed}: {traceback.format_exc(limit=-4)[-900:] if VERBOSE else repr(error)[:300]}")
        faulthandler.cancel_dump_traceback_later()
    print(json.dumps({"counts": counts, "wrong": wrong, "MiB": peak()}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
