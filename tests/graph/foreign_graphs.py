"""Small ONNX files as exporters write them, in onnx's own text form."""

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime

from edgevid.graph.read_onnx import read_onnx
from edgevid.graph.standardize import standardize

TYPES = {"float": np.float32, "float16": np.float16, "double": np.float64, "int64": np.int64}


def save(path, text, *, opset=13, weights=None, imports="", ir_version=8):
    """Write the graph of ``text`` with ``weights`` by name; its path."""
    header = f'<ir_version: {ir_version}, opset_import: ["" : {opset}{imports}]>'
    proto = onnx.parser.parse_model(f"{header}\n{text}")
    for name, array in (weights or {}).items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), name))
    path.write_bytes(proto.SerializeToString())
    return path


def random_weights(seed=0, **shapes):
    generator = np.random.default_rng(seed)
    return {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def norm_weights(channels, seed=0):
    """Of a batch normalization: scale, offset, mean, variance."""
    weights = random_weights(seed, scale=channels, offset=channels, mean=channels, variance=channels)
    return weights | {"variance": np.abs(weights["variance"]) + np.float32(0.5)}


def operations(model):
    return [node.op_type for node in model.graph]


def run(content, feeds):
    """Outputs of ONNX Runtime; floating feeds are cast to what the graph takes."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = {value.name: value.type.removeprefix("tensor(")[:-1] for value in session.get_inputs()}
    return session.run(None, {name: feeds[name].astype(TYPES[kind]) for name, kind in names.items()})


def assert_same(path, shapes, tolerance=1e-5, seed=0):
    """The graph in standard form, after comparing it with its file in ONNX Runtime."""
    standard = standardize(read_onnx(path), shapes)
    onnx.checker.check_model(ir.to_proto(standard), full_check=True)
    generator = np.random.default_rng(seed)
    feeds = {name: generator.normal(size=sizes).astype(np.float32) for name, sizes in shapes.items()}
    right = run(str(path), feeds)
    ours = run(ir.to_proto(standard).SerializeToString(), feeds)
    for one, two in zip(right, ours, strict=True):
        assert two.dtype == np.float32
        np.testing.assert_allclose(two, one.astype(np.float64), rtol=tolerance, atol=tolerance)
    return standard
