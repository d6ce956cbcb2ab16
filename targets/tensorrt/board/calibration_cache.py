"""An int8 graph as TensorRT 8 to 10 take it from a calibration cache: a float graph, and ranges beside it.

Boards get this form and no Q/DQ pairs: TensorRT 8 refuses bytes as constants ("only activation types
allowed as input to this layer", NVIDIA/TensorRT issue 3360), and 10 was seen to fail on Orin alone with
pairs that other GPUs take (issue 4832).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgevid.errors import GraphError
from edgevid.targets.tensorrt.cache_tensors import caches_of

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["as_float_and_ranges", "version_number", "write_cache"]

_SAME_RANGE = frozenset(
    {"Clip", "Concat", "Flatten", "Identity", "MaxPool", "Pad", "Relu", "Reshape", "Slice", "Split"}
    | {"Squeeze", "Transpose", "Unsqueeze", "Where"}
)
"""What moves or cuts values: one scale holds on both of its sides."""


def as_float_and_ranges(graph: ir.Model) -> tuple[ir.Model, dict[str, float]]:
    """Take the Q/DQ pairs out of a graph.

    Args:
        graph: with pairs of scale alone: zero points are 0, activations have one scale.

    Returns:
        A float graph whose weights are those that the bytes stood for; and by the name of a tensor the
        step of its bytes. A tensor without a pair has that of the one that it is moved to or from, since
        TensorRT leaves a layer in float when one of its tensors has none.

    Raises:
        GraphError: something else than a pair is quantized, or with a zero point.
    """
    from onnx_ir.passes import common as passes

    changed = graph.clone()
    steps: dict[str, float] = {}
    for node in list(changed.graph):
        if node.op_type != "DequantizeLinear":
            continue
        quantized, restored = node.inputs[0], node.outputs[0]
        assert quantized is not None
        before = quantized.producer()
        if before is None:
            _replace(restored, _constant(changed, f"{restored.name}.float", _floats(node, _array(quantized))))
        elif before.op_type == "QuantizeLinear" and (value := before.inputs[0]) is not None:
            if _is_constant(value):
                numbers = _bytes(before, _array(value))
                _replace(restored, _constant(changed, f"{restored.name}.float", _floats(node, numbers)))
                continue
            steps[str(value.name)] = max(_step(node), steps.get(str(value.name), 0.0))
            _replace(restored, value)
        else:
            raise GraphError(
                f"{before.op_type} is computed with bytes, and a calibration cache cannot say so",
                where=before.name,
                fix="quantize it by the scheme of tensorrt, which moves floats",
            )
    passes.RemoveUnusedNodesPass()(changed)
    _spread(changed, steps)
    return changed, steps


def write_cache(path: Path, steps: Mapping[str, float], version: str) -> None:
    """Write a cache of ``IInt8EntropyCalibrator2``.

    A line each: ``tensor: hex``, the step of its bytes as a big-endian float32 (TensorRT 8.2, README of
    sampleINT8, "calibration table").

    Args:
        steps: by the name of a tensor: of its int8 values.
        version: as ``8.2.1``; a TensorRT leaves out the file of another one, see ``build_engine.py``.
    """
    lines = [f"TRT-{version_number(version)}-EntropyCalibration2"]
    lines += [f"{name}: {struct.pack('>f', step).hex()}" for name, step in steps.items()]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def version_number(version: str) -> int:
    """NV_TENSORRT_VERSION (NvInferVersion.h): 8201 for 8.2.1, and 100300 for 10.3.0."""
    major, minor, patch = (*map(int, version.split(".")[:3]), 0, 0)[:3]
    return major * (10_000 if major >= 10 else 1000) + minor * 100 + patch


def _spread(graph: ir.Model, steps: dict[str, float]) -> None:
    """Give tensors without a step that of what they are moved to, else of what they are moved from.

    What is written to a cache is moved to what is read from it.
    """
    nodes = [node for node in graph.graph if node.op_type in _SAME_RANGE]
    _spread_back(nodes, steps)
    pairs = [(str(given.name), str(after.name)) for given, after in caches_of(graph)]
    for given, after in pairs:
        if given in steps:
            steps.setdefault(after, steps[given])
    if pairs:
        _spread_back(nodes, steps)
    for node in nodes:
        known = [steps[str(value.name)] for value in _numbers(node) if value and str(value.name) in steps]
        for value in node.outputs if known else ():
            steps.setdefault(str(value.name), max(known))


def _spread_back(nodes: Sequence[ir.Node], steps: dict[str, float]) -> None:
    for node in reversed(nodes):
        known = [steps[str(value.name)] for value in node.outputs if str(value.name) in steps]
        for value in _numbers(node) if known else ():
            if value is not None and not _is_constant(value) and value.name is not None:
                steps.setdefault(value.name, known[0])


def _numbers(node: ir.Node) -> Sequence[ir.Value | None]:
    """What is moved: of a Where not the condition."""
    return node.inputs[1:] if node.op_type == "Where" else node.inputs


def _step(node: ir.Node) -> float:
    scale = node.inputs[1]
    assert scale is not None
    _check_zero(node)
    array = _array(scale)
    if array.size != 1:
        raise GraphError("an activation has several scales", where=node.name, fix="quantize it again")
    return float(array.reshape(()))


def _check_zero(node: ir.Node) -> None:
    if len(node.inputs) > 2 and node.inputs[2] is not None and _array(node.inputs[2]).any():
        raise GraphError(
            "its zero point is not 0, and TensorRT knows no other",
            where=node.name,
            fix="quantize it by the scheme of tensorrt",
        )


def _scales(node: ir.Node, array: np.ndarray) -> np.ndarray:
    """Of a constant, shaped to be multiplied with it."""
    _check_zero(node)
    assert node.inputs[1] is not None
    scale = _array(node.inputs[1])
    if scale.size == 1:
        return scale.reshape(())
    shape = [1] * array.ndim
    shape[node.attributes.get_int("axis", 1)] = scale.size
    return scale.reshape(shape)


def _floats(node: ir.Node, array: np.ndarray) -> np.ndarray:
    return np.asarray(array.astype(np.float32) * _scales(node, array), np.float32)


def _bytes(node: ir.Node, array: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(np.rint(array / _scales(node, array)), -128, 127), np.int8)


def _is_constant(value: ir.Value) -> bool:
    from onnx_ir import convenience

    return convenience.get_const_tensor(value) is not None


def _array(value: ir.Value) -> np.ndarray:
    from onnx_ir import convenience

    tensor = convenience.get_const_tensor(value)
    if tensor is None:
        raise GraphError("it is no constant", where=value.name, fix="quantize the network again")
    return tensor.numpy()


def _constant(graph: ir.Model, name: str, array: np.ndarray) -> ir.Value:
    import onnx_ir

    tensor = onnx_ir.tensor(array, name=name)
    value = onnx_ir.Value(
        name=name,
        const_value=tensor,
        type=onnx_ir.TensorType(tensor.dtype),
        shape=onnx_ir.Shape(array.shape),
    )
    graph.graph.register_initializer(value)
    return value


def _replace(old: ir.Value, new: ir.Value) -> None:
    for use in list(old.uses()):
        use.node.replace_input_with(use.idx, new)
