"""Numbers that are not finite have no range: find where they come from."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir import tape

from edgevid.errors import GraphError
from edgevid.targets.onnxruntime import evaluate

__all__ = ["check_activations", "check_weights", "not_finite"]


def check_weights(graph: ir.Model) -> None:
    """Raise `GraphError` unless all weights are finite; the layer is named.

    Not every runtime hands on a value that is no number: a maximum may lose it.
    """
    for node in graph.graph:
        for value in node.inputs:
            tensor = None if value is None else ir.convenience.get_const_tensor(value)
            if (
                tensor is not None
                and tensor.dtype.is_floating_point()
                and not np.isfinite(tensor.numpy()).all()
            ):
                assert value is not None
                raise GraphError(
                    "a weight is not finite",
                    where=f"{value.name}, of {node.op_type} {node.name}",
                    fix="the checkpoint is damaged or its training diverged: take another one",
                )


def check_activations(graph: ir.Model, clips: NDArray[Any], name: str) -> None:
    """Raise the error of `not_finite` unless the results of all operations on ``clips`` are finite."""
    if node := _first(graph, clips):
        raise _error(node, name)


def not_finite(graph: ir.Model, clips: NDArray[Any], name: str) -> GraphError:
    """The error that names the first operation whose result on ``clips`` is not finite.

    Args:
        graph: canonical.
        clips: as the graph takes them.
        name: of the clip.
    """
    return _error(_first(graph, clips), name)


def _error(node: ir.Node | None, name: str) -> GraphError:
    where = f"clip {name}"
    if node is not None:
        where = f"{node.outputs[0].name}, the result of {node.op_type} {node.name}, {where}"
    return GraphError(
        "an activation is not finite",
        where=where,
        fix="look at the weights and the normalization of this layer: it overflows or divides by zero",
    )


def _first(graph: ir.Model, clips: NDArray[Any]) -> ir.Node | None:
    model = graph.clone()
    steps = tape.Tape()
    nodes = [node for node in model.graph if node.outputs[0].dtype is ir.DataType.FLOAT]
    checks = []
    for number, node in enumerate(nodes):
        # Zero, or not a number where the value is not finite.
        nothing = steps.op("Sub", [node.outputs[0], node.outputs[0]])
        check = steps.op("ReduceSum", [nothing], {"keepdims": 0})
        check.name, check.type = f"edgevid.finite.{number}", ir.TensorType(ir.DataType.FLOAT)
        checks.append(check)
    model.graph.extend(steps.nodes)
    count = len(model.graph.outputs)
    model.graph.outputs.extend(checks)
    results = evaluate(model, {str(model.graph.inputs[0].name): clips})[count:]
    return next((node for node, sum_ in zip(nodes, results, strict=True) if not np.isfinite(sum_)), None)
