"""Values of the graph that are known before it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

__all__ = ["Constants"]


class Constants:
    """Initializers, constants, and what is computed from these alone."""

    def __init__(self, model: ir.Model) -> None:
        self._opsets: Mapping[str, int] = dict(model.opset_imports)
        self._known: dict[ir.Value, NDArray[Any] | None] = {}

    def get(self, value: ir.Value) -> NDArray[Any] | None:
        """The numbers; None if they depend on the input."""
        if value not in self._known:
            self._known[value] = self._find(value)
        return self._known[value]

    def restored(
        self, value: ir.Value | None, axis: int = 0
    ) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
        """A constant and None, or the integers and the scales, along ``axis``, of a DequantizeLinear.

        Integers with a zero point are given as the numbers that they stand for.
        """
        if value is None:
            return None, None
        node = value.producer()
        if node is None or node.op_type != "DequantizeLinear":
            return self.get(value), None
        integers, scale, *more = [None if one is None else self.get(one) for one in node.inputs]
        along = node.attributes.get_int("axis", 1)
        if integers is None or scale is None or (scale.size > 1 and along % integers.ndim != axis):
            return self.get(value), None
        if any(zero is not None and zero.any() for zero in more):
            return self.get(value), None
        return integers, scale

    def _find(self, value: ir.Value) -> NDArray[Any] | None:
        tensor = ir.convenience.get_const_tensor(value)
        if tensor is not None:
            return tensor.numpy()
        node = value.producer()
        if node is None or node.domain not in ("", "ai.onnx"):
            return None
        if node.op_type in ("Shape", "Size"):
            return self._size(node)
        given = [None if one is None else self.get(one) for one in node.inputs]
        if any(one is not None and array is None for one, array in zip(node.inputs, given, strict=True)):
            return None
        return self._computed(node, given, list(node.outputs).index(value))

    def _size(self, node: ir.Node) -> NDArray[Any] | None:
        source = node.inputs[0]
        shape = None if source is None else source.shape
        if shape is None or not shape.is_static():
            return None
        sizes = np.array(shape.numpy(), np.int64)
        if node.op_type == "Size":
            return np.array(sizes.prod(), np.int64)
        start, end = node.attributes.get_int("start", 0), node.attributes.get_int("end", len(sizes))
        return sizes[start:end]

    def _computed(self, node: ir.Node, given: list[NDArray[Any] | None], output: int) -> NDArray[Any]:
        from onnx.reference import ReferenceEvaluator

        from edgevid.targets.tvm.reading.single import single_node

        (numbers,) = ReferenceEvaluator(single_node(node, given, output, self._opsets)).run(None, {})
        return np.asarray(numbers)
