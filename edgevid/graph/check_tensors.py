"""Tensors in an ONNX file: that their data are there, fit their shapes, and are finite.

Libraries allocate by the declared shape, so a damaged one is found before they see it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import onnx
import onnx_ir as ir

from edgevid.errors import GraphError
from edgevid.graph.check_names import subgraphs
from edgevid.graph.place import place

__all__ = ["WEIGHTS_AT", "check_finite", "check_tensors"]

_AGAIN = "compare its size with the original, and copy or export it again"
_FIELDS = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")
_FLOATS = frozenset(
    (ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16),
)
WEIGHTS_AT = {
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "Gemm": (0, 1, 2),
    "MatMul": (0, 1),
    "BatchNormalization": (1, 2, 3, 4),
    "InstanceNormalization": (1, 2),
    "LayerNormalization": (1, 2),
    "GroupNormalization": (1, 2),
    "PRelu": (1,),
}
"""Operation to the inputs at which weights stand."""


def check_tensors(proto: onnx.ModelProto, path: Path) -> None:
    """Raise unless the data of every tensor are present and as many as its shape says.

    Raises:
        GraphError: naming the tensor, and the file that should hold its data.
    """
    for tensor in _in_graph(proto.graph):
        _check(tensor, path)
    for function in proto.functions:
        for tensor in _in_nodes(function.node):
            _check(tensor, path)


def _in_graph(graph: onnx.GraphProto) -> Iterable[onnx.TensorProto]:
    yield from graph.initializer
    yield from _in_nodes(graph.node)


def _in_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterable[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
        for graph in subgraphs([node]):
            yield from _in_graph(graph)


def _check(tensor: onnx.TensorProto, path: Path) -> None:
    where = f"{path}: {tensor.name or 'a constant without a name'}"
    if any(size < 0 for size in tensor.dims):
        raise GraphError(f"a tensor of shape {list(tensor.dims)}", where=where, fix=_AGAIN)
    try:
        dtype = ir.DataType(tensor.data_type)
        bits = dtype.bitwidth if dtype is not ir.DataType.STRING else 0
    except (ValueError, TypeError) as error:
        raise GraphError(f"a tensor of unknown type {tensor.data_type}", where=where, fix=_AGAIN) from error
    if dtype in (ir.DataType.STRING, ir.DataType.UNDEFINED):
        raise GraphError(
            f"a tensor of type {dtype.name}", where=where, fix="export a network of numbers alone"
        )
    if tensor.HasField("segment"):
        raise GraphError("a tensor in segments", where=where, fix="export it again")
    count = math.prod(tensor.dims)
    expected = (count * bits + 7) // 8
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        _check_external(tensor, expected, path, where)
        return
    filled = [field for field in _FIELDS if len(getattr(tensor, field))]
    if len(filled) > 1:
        raise GraphError(f"a tensor with its data in {' and in '.join(filled)}", where=where, fix=_AGAIN)
    if filled == ["raw_data"]:
        found, unit = len(tensor.raw_data), "bytes"
    else:
        found, unit = (len(getattr(tensor, filled[0])) if filled else 0), "numbers"
        packed = 8 // bits if bits < 8 else 1
        expected = count * 2 if dtype.name.startswith("COMPLEX") else (count + packed - 1) // packed
        if filled and filled[0] != _field_of(dtype):
            raise GraphError(f"a {dtype.name} tensor with {filled[0]}", where=where, fix=_AGAIN)
    if found != expected:
        raise GraphError(
            f"a {dtype.name} tensor of shape {list(tensor.dims)} with {found} {unit} instead of {expected}",
            where=where,
            fix=_AGAIN,
        )


def _field_of(dtype: ir.DataType) -> str:
    """The field that onnx defines for data of ``dtype`` that are not raw."""
    special = {"FLOAT": "float_data", "COMPLEX64": "float_data", "INT64": "int64_data"}
    special |= {"DOUBLE": "double_data", "COMPLEX128": "double_data"}
    special |= {"UINT32": "uint64_data", "UINT64": "uint64_data"}
    return special.get(dtype.name, "int32_data")


def _check_external(tensor: onnx.TensorProto, expected: int, path: Path, where: str) -> None:
    fields = {entry.key: entry.value for entry in tensor.external_data}
    location = fields.get("location", "")
    parts = PurePosixPath(location).parts + PureWindowsPath(location).parts
    absolute = PurePosixPath(location).is_absolute() or PureWindowsPath(location).drive
    folder = path.parent.resolve()
    inside = not absolute and ".." not in parts and "\0" not in location
    if not location or not inside or not (folder / location).resolve().is_relative_to(folder):
        raise GraphError(
            f"its data are outside the file's folder, at {location!r}",
            where=where,
            fix="save the network again with its data beside it",
        )
    file = folder / location
    if not file.is_file():
        raise GraphError(
            f"its data are missing: there is no file {location}", where=where, fix=f"put it into {folder}"
        )
    try:
        offset = int(fields.get("offset") or 0)
        length = int(fields.get("length") or expected)
    except ValueError as error:
        raise GraphError("its place in its data file is no number", where=where, fix=_AGAIN) from error
    size = file.stat().st_size
    if length != expected or offset < 0 or offset + length > size:
        raise GraphError(
            f"it needs {expected} bytes, and its entry gives {length} from byte {offset} of {location}, "
            f"which has {size}",
            where=where,
            fix=_AGAIN,
        )


def check_finite(model: ir.Model) -> None:
    """Raise if a constant holds NaN, or a weight infinite numbers; infinite bounds and masks are meant.

    Raises:
        GraphError: naming the weights.
    """
    bad = []
    for graph in model.graphs():
        for value in graph.initializers.values():
            tensor = value.const_value
            if tensor is None or tensor.dtype not in _FLOATS:
                continue
            array = tensor.numpy()
            weight = any(index in WEIGHTS_AT.get(node.op_type, ()) for node, index in value.uses())
            # The sum of a float32 tensor is finite only if all of it is, and needs no copy.
            with np.errstate(all="ignore"):
                if np.isfinite(np.sum(array)):
                    continue
                refused = ~np.isfinite(array) if weight else np.isnan(array)
            if refused.any():
                bad.append(str(value.name))
    if bad:
        raise GraphError(
            f"{len(bad)} of its weights hold NaN or infinite numbers: {', '.join(bad[:4])}",
            where=place(model),
            fix="take an earlier checkpoint: training has diverged, or the file is damaged",
        )
