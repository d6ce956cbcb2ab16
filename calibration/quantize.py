"""Write a canonical graph in int8: quantize and dequantize pairs (Q/DQ) around its layers.

One set of rules serves every target (`edgevid.calibration.points`); a `Scheme` says in which
types and on which side of the pairs a target wants the same numbers. Activations are fused into
the layer before them, since only inputs are quantized; a shift is transparent: one scale on
both sides, and zeros that are exact.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
import onnx_ir as ir
from onnx_ir import tape
from onnx_ir.passes import common as passes

from edgevid.calibration.points import edges, is_layer, is_non_negative, is_shift, source
from edgevid.calibration.selection import selected
from edgevid.calibration.weights import largest, least_scale, quantize_bias, quantize_weight, scale_of
from edgevid.contract import Scheme
from edgevid.errors import GraphError
from edgevid.graph.plain_shift import Writer
from edgevid.graph.shift_op import DOMAIN, SHIFT, attach_functions

__all__ = ["quantize"]

_SIGNED_ZERO = 128
"""The zero point of bytes that stand for signed numbers."""


def quantize(
    graph: ir.Model,
    thresholds: Mapping[str, float],
    scheme: Scheme,
    *,
    float_layers: Collection[str] = (),
    only: Collection[str] | None = None,
) -> ir.Model:
    """A copy of a canonical float graph with Q/DQ pairs.

    Args:
        graph: canonical, float32, any batch.
        thresholds: by the name of each of `points`: the magnitude that the largest step stands
            for; larger ones are cut.
        scheme: of the target.
        float_layers: names of convolutions and dense layers that stay in float, and with them the
            additions, maxima and means that have no layer in int8 beside them.
        only: names of layers, additions, maxima and means; where given, nothing else is quantized.

    Raises:
        GraphError: a tensor has no threshold, or one that is no number; an unknown float layer.
    """
    quantized = graph.clone()
    layers = [node for node in quantized.graph if is_layer(node)]
    names = {str(node.name) for node in layers}
    others = {str(edge.node.name) for edge in edges(quantized)}
    if unknown := sorted((set(float_layers) - names) | (set(only or ()) - names - others)):
        raise GraphError(
            f"there are no layers of these names: {', '.join(unknown)}",
            fix=f"the layers are {', '.join(str(node.name) for node in layers)}",
        )
    work = _Quantizer(quantized, thresholds, scheme)
    kept = [
        node for node in layers if node.name in float_layers or (only is not None and node.name not in only)
    ]
    wanted = selected(quantized, float_layers, only)
    if scheme.add_inputs == "skip":
        wanted = [edge for edge in wanted if not _stays_in_accumulators(edge.node, edge.index)]
    if scheme.shift_side == "float":
        wanted = [edge for edge in wanted if edge.node.op_type != "MaxPool"]
    for edge in wanted:
        work.sources.setdefault(edge.source, is_non_negative(edge.source))
    for edge in wanted:
        work.quantize_input(edge.node, edge.index)
    for node in layers:
        if node not in kept:
            work.quantize_weights(node)
    if scheme.unit_strides:
        for node in layers:
            work.decimate(node)
    passes.RemoveUnusedNodesPass()(quantized)
    attach_functions(quantized)
    return quantized


class _Quantizer:
    """One graph, changed in place.

    Attributes:
        sources: tensors that get a pair, and whether they are without negative values.
    """

    def __init__(self, model: ir.Model, thresholds: Mapping[str, float], scheme: Scheme) -> None:
        self.graph, self.thresholds, self.scheme = model.graph, thresholds, scheme
        self.sources: dict[ir.Value, bool] = {}
        self._write = Writer(model.graph, "int8", [], ir.DataType.FLOAT)
        self._pairs: dict[ir.Value, tuple[ir.Value, ir.Value]] = {}
        self._scales: dict[ir.Value, np.ndarray] = {}

    def quantize_input(self, node: ir.Node, index: int) -> None:
        """Let an operation read what its input is in int8."""
        value = node.inputs[index]
        assert value is not None
        node.replace_input_with(index, self._rounded(value))

    def quantize_weights(self, node: ir.Node) -> None:
        """Weights as signed bytes behind a DequantizeLinear, and the bias in the scheme's type."""
        rows = node.op_type == "Conv" or node.attributes.get_int("transB", 0) != 0
        axis = 0 if rows else 1
        weight, behind = node.inputs[1], node.inputs[0]
        assert weight is not None
        assert behind is not None
        bias = node.inputs[2] if len(node.inputs) > 2 and self.scheme.bias == "int32" else None
        if bias is None:
            numbers, scale = quantize_weight(_constant(weight), axis, self.scheme.weight_bits)
        else:
            input_scale = self._scales[_dequantized(behind)]
            least = least_scale(_constant(bias), input_scale)
            numbers, scale = quantize_weight(_constant(weight), axis, self.scheme.weight_bits, least)
            try:
                sums, sum_scale = quantize_bias(_constant(bias), scale, input_scale)
            except GraphError as error:
                raise GraphError(error.what, where=node.name, fix=error.fix) from error
            node.replace_input_with(2, self._restored(node, str(bias.name), sums, sum_scale, 0))
        node.replace_input_with(1, self._restored(node, str(weight.name), numbers, scale, axis))

    def decimate(self, node: ir.Node) -> None:
        """Take the rows and columns that a 1x1 convolution with strides reads before it."""
        strides = list(node.attributes.get_ints("strides", (1,)))
        value, weight = node.inputs[0], node.inputs[1]
        assert value is not None
        assert weight is not None
        kernel = [] if weight.shape is None else list(weight.shape)[2:]
        if node.op_type != "Conv" or max(strides) == 1 or any(size != 1 for size in kernel):
            return
        if any(node.attributes.get_ints("pads", ())) or value.shape is None:
            return
        rank = len(strides)
        sizes = [int(size) for size in value.shape.numpy()[2:]]
        ints = self._write.ints
        inputs = [value, ints([0] * rank), ints(sizes), ints(list(range(2, 2 + rank))), ints(strides)]
        kept = self._write.op("Slice", inputs)
        kept.type = value.type
        kept.shape = ir.Shape(
            [*value.shape[:2], *(-(-size // step) for size, step in zip(sizes, strides, strict=True))]
        )
        self.graph.insert_before(node, self._written())
        node.replace_input_with(0, kept)
        node.attributes["strides"] = ir.AttrInt64s("strides", [1] * rank)

    def _rounded(self, value: ir.Value) -> ir.Value:
        """What stands for ``value``: floats that bytes can hold."""
        if value in self._scales:
            return value
        if source(value) is value or self.scheme.shift_side == "float":
            return self._pair(value)[1]
        shift = value.producer()
        if shift is None or not is_shift(shift):
            # Behind a maximum nothing is to be done: what it chooses from is quantized.
            return value
        before = shift.inputs[0]
        assert before is not None
        if _only_shifts_before(before):
            return self._pair(value)[1]
        shift.replace_input_with(0, self._rounded(before))
        return value

    def _pair(self, value: ir.Value) -> tuple[ir.Value, ir.Value]:
        """The integers that stand for ``value``, and the floats that these stand for; made once."""
        if value not in self._pairs:
            scale, zero = self._parameters(source(value))
            producer = value.producer()
            if producer is not None and is_shift(producer) and self.scheme.shift_side == "integer":
                integers = self._moved(producer, zero)
            else:
                integers = self._write.op("QuantizeLinear", [value, scale, zero])
            integers.name, integers.shape = f"{value.name}.quantized", value.shape
            integers.type = ir.TensorType(zero.dtype or ir.DataType.UINT8)
            floats = self._write.op("DequantizeLinear", [integers, scale, zero])
            floats.name, floats.type, floats.shape = f"{value.name}.restored", value.type, value.shape
            if producer is None:
                self.graph.insert_before(self.graph[0], self._written())
            else:
                self.graph.insert_after(producer, self._written())
            self._pairs[value] = integers, floats
            self._scales[floats] = _constant(scale)
        return self._pairs[value]

    def _moved(self, shift: ir.Node, zero: ir.Value) -> ir.Value:
        """What a shift gives of the integers that stand for its input."""
        before = shift.inputs[0]
        assert before is not None
        integers, _ = self._pair(before)
        attributes = {**shift.attributes, "zero_point": ir.AttrInt64("zero_point", int(_constant(zero)))}
        return self._write.steps.op(SHIFT, [integers], attributes, domain=DOMAIN, name=f"{shift.name}.int8")

    def _parameters(self, value: ir.Value) -> tuple[ir.Value, ir.Value]:
        threshold = self.thresholds.get(str(value.name))
        if threshold is None or not 0 <= threshold <= float(np.finfo(np.float32).max):
            raise GraphError(
                "no range is known" if threshold is None else f"its range is {threshold}",
                where=value.name,
                fix="calibrate this network again",
            )
        if self.scheme.activations == "int8":
            steps, zero = largest(8), np.array(0, np.int8)
        elif self.sources[value]:
            steps, zero = 255, np.array(0, np.uint8)
        else:
            steps, zero = largest(8), np.array(_SIGNED_ZERO, np.uint8)
        scale = self._write.constant(f"{value.name}.scale", scale_of(threshold, steps))
        return scale, self._write.constant(f"zero_point.{zero.dtype}.{zero}", zero)

    def _restored(
        self, node: ir.Node, name: str, numbers: np.ndarray, scale: np.ndarray, axis: int
    ) -> ir.Value:
        """Constant integers as floats again, by one scale a channel."""
        inputs = [
            self._write.constant(f"{name}.quantized", numbers),
            self._write.constant(f"{name}.scale.{scale.size}", scale),
            self._write.constant(
                f"zero_points.{numbers.dtype}.{scale.size}", np.zeros(scale.size, numbers.dtype)
            ),
        ]
        floats = self._write.op("DequantizeLinear", inputs, axis=axis)
        floats.type, floats.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape(numbers.shape)
        self.graph.insert_before(node, self._written())
        return floats

    def _written(self) -> Iterable[ir.Node]:
        """The operations written since the last time."""
        nodes = list(self._write.steps.nodes)
        self._write.steps = tape.Tape()
        return nodes


def _dequantized(value: ir.Value) -> ir.Value:
    """The restored tensor that ``value`` was chosen from.

    Raises:
        GraphError: there is none.
    """
    found = source(value)
    producer = found.producer()
    if producer is None or producer.op_type != "DequantizeLinear":
        raise GraphError(
            "a layer in int8 reads what is not",
            where=value.name,
            fix="keep this layer in float, with --keep-float",
        )
    return found


def _only_shifts_before(value: ir.Value) -> bool:
    """Is nothing but shifts between ``value`` and what it is chosen from?"""
    while (producer := value.producer()) is not None and is_shift(producer) and producer.inputs[0]:
        value = producer.inputs[0]
    return source(value) is value


def _stays_in_accumulators(node: ir.Node, index: int) -> bool:
    """The input of a residual addition that its convolution can add to by itself."""
    if node.op_type != "Add":
        return False
    own = [_is_only_result_of_layer(value) for value in node.inputs]
    return own[index] and not any(own[:index])


def _is_only_result_of_layer(value: ir.Value | None) -> bool:
    producer = None if value is None else value.producer()
    return producer is not None and is_layer(producer) and value is not None and len(value.uses()) == 1


def _constant(value: ir.Value | None) -> np.ndarray:
    assert value is not None
    tensor = ir.convenience.get_const_tensor(value)
    assert tensor is not None
    return tensor.numpy()
