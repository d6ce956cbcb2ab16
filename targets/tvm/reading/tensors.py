"""Operations of tensors in row-major order: products of activations, softmax, what TVM computes itself."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import onnx_ir as ir

from edgevid.errors import TargetError
from edgevid.targets.tvm.network import Fallback, MatrixProduct, Plain, Softmax
from edgevid.targets.tvm.reading.single import single_node
from edgevid.targets.tvm.reading.state import State
from edgevid.targets.tvm.reading.values import Tensor, Value

__all__ = ["fallback", "matrix_product", "softmax"]


def matrix_product(state: State, node: ir.Node) -> Value | None:
    """MatMul of two activations."""
    values = state.value(node, 0), state.value(node, 1)
    if values[0] is None or values[1] is None:
        return None
    left, right = values[0].shape, values[1].shape
    if len(left) < 2 or len(right) < 2:
        return None
    batches = prod(left[:-2]), prod(right[:-2])
    shape = state.shape(node)
    # One of the batches is all of the result's, the other too, or a single one.
    if any(batch not in (1, prod(shape[:-2])) for batch in batches):
        return None
    first, second = (state.tensor(value) for value in values if value is not None)
    if first.dtype != "float32" or second.dtype != "float32":
        return None
    operation = MatrixProduct(
        Plain((batches[0], *left[-2:])),
        Plain((batches[1], *right[-2:])),
        Plain((max(batches), *shape[-2:])),
    )
    return Tensor(state.emit(operation, [first.name, second.name], str(node.name)), shape)


def softmax(state: State, node: ir.Node) -> Value | None:
    """Over any one axis."""
    value = state.value(node)
    if value is None or (isinstance(value, Tensor) and value.dtype != "float32"):
        return None
    # Older ones join all axes after the given one.
    if state.model.opset_imports.get("", 20) < 13:
        return None
    shape = value.shape
    axis = node.attributes.get_int("axis", -1) % len(shape)
    outer, inner = prod(shape[:axis]), prod(shape[axis + 1 :])
    plain = Plain((outer, shape[axis]) if inner == 1 else (outer, shape[axis], inner))
    tensor = state.tensor(value)
    return Tensor(state.emit(Softmax(plain, plain), [tensor.name], str(node.name)), shape)


def fallback(state: State, node: ir.Node) -> Sequence[Value]:
    """Anything else: TVM's own operation, each of its outputs for itself.

    Raises:
        TargetError: an operation that ONNX does not define, or of a type that is no tensor's.
    """
    if node.domain not in ("", "ai.onnx"):
        raise TargetError(f"no kernel for {node.domain}::{node.op_type}", where=node.name)
    constants = [state.constant(node, index) for index in range(len(node.inputs))]
    values = [state.value(node, index) for index in range(len(node.inputs))]
    tensors = []
    for one, value in zip(node.inputs, values, strict=True):
        if one is None or value is None:
            continue
        tensors.append(state.tensor(value))
        if one.dtype is None or str(one.dtype.numpy()) != tensors[-1].dtype:
            raise TargetError(
                f"no kernel for {node.op_type} of {one.dtype}",
                where=node.name,
                fix="let it stand where the numbers are float32",
            )
    found: list[Value] = []
    for index, output in enumerate(node.outputs):
        if not output.uses() and not output.is_graph_output():
            continue
        if output.dtype is None:
            raise TargetError(f"the type of {output.name} is unknown", where=node.name)
        model = single_node(node, constants, index, state.model.opset_imports)
        dtype = str(output.dtype.numpy())
        target = Plain(state.shape(node, index), dtype)
        sources = tuple(Plain(tensor.shape, tensor.dtype) for tensor in tensors)
        operation = Fallback(node.op_type, model.SerializeToString(deterministic=True), sources, target)
        name = state.emit(operation, [tensor.name for tensor in tensors], str(node.name))
        found.append(Tensor(name, target.shape, dtype))
    return found
