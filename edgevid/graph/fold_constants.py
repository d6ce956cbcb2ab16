"""Compute what does not depend on a graph's input, and infer every shape on the way.

Ensures that no constant larger than `LARGEST` is made of smaller ones: exporters expand a few
numbers to indices of hundreds of megabytes, which a later rewriting removes uncomputed.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.passes import common as passes

from edgevid.errors import GraphError
from edgevid.graph.infer_node import infer_node
from edgevid.graph.place import place, reason
from edgevid.graph.shift_op import OPSET
from edgevid.graph.without_weights import DAMAGED, with_weights_as_inputs

__all__ = ["fold_constants"]

LARGEST = 2**20
"""Bytes of a constant that may be made of smaller ones."""

ROUNDS = 8
"""Shapes that are known only after a fold allow the next one; networks need two or three."""

_KEPT = frozenset(
    (
        # Slow in onnx's reference, and a sign of a folded activation.
        *("Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "BatchNormalization"),
        "Resize",
        # A quantized weight stays one.
        *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"),
        # Their result differs from run to run.
        *("RandomUniform", "RandomNormal", "RandomUniformLike", "RandomNormalLike", "Multinomial"),
        "Bernoulli",
    )
)
_WRITTEN_NEWER = frozenset(("SplitToSequence", "ConcatFromSequence"))
"""Operations that the library rewrites in ones of newer opsets, whatever the graph's is."""

_UNKNOWN_BUT_SMALL = frozenset(("NonZero", "Compress"))
"""Operations whose shape is known only from their result, which is about as large as their input."""


def fold_constants(model: ir.Model) -> None:
    """Fold in place, until nothing changes.

    Raises:
        GraphError: operations contradict their inputs.
    """
    # Not public, but the only place where a node can be looked at before it is folded.
    from onnxscript.optimizer._constant_folding import FoldConstantsPass

    opsets = dict(model.opset_imports)

    class InferAndFold(FoldConstantsPass):
        def process_node(self, node: ir.Node, *args: Any, **kwargs: Any) -> Any:
            kinds = {attribute.type for attribute in node.attributes.values()}
            if not kinds & {ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS}:
                infer_node(node, opsets)
            if node.op_type in _WRITTEN_NEWER and opsets[""] < OPSET:
                return None
            return super().process_node(node, *args, **kwargs)

    fold = InferAndFold(
        shape_inference=False,
        input_size_limit=LARGEST,
        output_size_limit=LARGEST,
        should_fold=_is_cheap,
    )
    try:
        for _ in range(ROUNDS):
            with np.errstate(all="ignore"), _quiet():
                changed = bool(fold(model).modified)
            passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
            changed |= _fold_splits(model.graph)
            passes.RemoveUnusedNodesPass()(model)
            if not changed:
                break
        _check_types(model)
    except DAMAGED as error:
        raise GraphError(
            f"an operation does not fit its inputs: {reason(error)}",
            where=place(model),
            fix="check the sizes that were given for its input, and export it again",
        ) from error
    except GraphError as error:
        raise GraphError(error.what, where=place(model, error.where), fix=error.fix) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """The library warns of what it cannot compute; the inference after it says what is wrong."""
    logger = logging.getLogger("onnxscript")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _check_types(model: ir.Model) -> None:
    """Raise what onnx's strict inference finds, once all shapes are known."""
    values = [output for node in model.graph for output in node.outputs if output.name]
    if all(value.shape is not None and value.shape.is_static() for value in values):
        with with_weights_as_inputs(model) as skeleton:
            onnx.shape_inference.infer_shapes(skeleton, check_type=True, strict_mode=True, data_prop=True)


def _is_cheap(node: ir.Node) -> bool:
    """Whether a node of constants may be computed: its result is known to be small."""
    if node.op_type in _KEPT:
        return False
    given = sum(value.const_value.nbytes for value in node.inputs if value and value.const_value)
    if node.op_type in _UNKNOWN_BUT_SMALL:
        return given <= LARGEST
    return all(_bytes(output) <= max(given, LARGEST) for output in node.outputs)


def _bytes(value: ir.Value) -> float:
    if value.shape is None or value.dtype is None or not value.shape.is_static():
        return math.inf
    return math.prod(value.shape.numpy()) * value.dtype.itemsize


def _fold_splits(graph: ir.Graph) -> bool:
    """Compute Splits of constants, which the library leaves since they have several results."""
    changed = False
    for node in list(graph):
        tensor = node.inputs[0].const_value if node.op_type == "Split" and node.inputs[0] else None
        shapes = [output.shape for output in node.outputs]
        if tensor is None or tensor.nbytes > LARGEST:
            continue
        sizes = [shape[_axis(node)] for shape in shapes if shape is not None and shape.is_static()]
        if len(sizes) != len(shapes):
            continue
        edges = np.cumsum([size for size in sizes if isinstance(size, int)])[:-1]
        for output, part in zip(node.outputs, np.split(tensor.numpy(), edges, axis=_axis(node)), strict=True):
            folded = ir.tensor(part, name=output.name)
            value = ir.Value(name=f"{output.name}.folded", const_value=folded, type=output.type)
            value.shape = ir.Shape(part.shape)
            graph.register_initializer(value)
            output.replace_all_uses_with(value, replace_graph_outputs=True)
        graph.remove(node, safe=True)
        changed = True
    return changed


def _axis(node: ir.Node) -> int:
    return node.attributes["axis"].as_int() if "axis" in node.attributes else 0
