"""Call onnx's C++ parts without handing them the weights.

They take a serialized model of 2 GB at most and copy it several times; what they do depends on
small tensors (shapes, axes) only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError, EncodeError  # type: ignore[import-untyped]

__all__ = ["DAMAGED", "with_weights_as_inputs"]

SMALL = 4096
"""Bytes up to which a tensor is kept, because shapes may be inferred from it."""

DAMAGED = (
    *(ir.serde.SerdeError, ir.passes.PassError, ir.passes.PreconditionError, ir.passes.PostconditionError),
    *(onnx.checker.ValidationError, onnx.shape_inference.InferenceError),
    *(onnx.version_converter.ConvertError, DecodeError, EncodeError),
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError, AssertionError),
    *(OverflowError, MemoryError, NotImplementedError, ZeroDivisionError, RecursionError),
)
"""What onnx, onnx_ir and onnxscript raise on graphs that contradict themselves."""


@contextmanager
def with_weights_as_inputs(model: ir.Model) -> Iterator[onnx.ModelProto]:
    """``model`` serialized with its large initializers as inputs behind its own."""
    inputs = len(model.graph.inputs)
    large = {
        name: value
        for name, value in model.graph.initializers.items()
        if value.const_value is not None and value.const_value.nbytes > SMALL
    }
    try:
        for name, value in large.items():
            assert value.const_value is not None
            value.type, value.shape = (
                ir.TensorType(value.const_value.dtype),
                ir.Shape(value.const_value.shape.numpy()),
            )
            del model.graph.initializers[name]
            model.graph.inputs.append(value)
        proto = ir.serde.serialize_model(model)
    finally:
        del model.graph.inputs[inputs:]
        for value in large.values():
            if value.name not in model.graph.initializers:
                model.graph.register_initializer(value)
    yield proto
