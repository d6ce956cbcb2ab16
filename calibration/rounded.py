"""What a network computes in bf16, written as a float32 graph.

Random weights make deep networks that amplify rounding far beyond what trained ones show, so that
no fixed tolerance tells a right bf16 artifact from a wrong one; this reference does.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir
from onnx_ir import tape

__all__ = ["rounded_to_bf16"]

_COMPUTING = frozenset({"Add", "Conv", "Gemm", "GlobalAveragePool", "MatMul", "Mul", "ReduceMean", "Sub"})
"""Operations whose results runtimes keep in bf16; others move what is rounded already, or clip it."""

_WEIGHTED = frozenset({"Conv", "Gemm", "MatMul"})


def rounded_to_bf16(model: ir.Model) -> ir.Model:
    """A copy of a canonical float graph in which results and weights are rounded; sums stay in float32.

    A runtime that fuses operations rounds less often, and computes a little closer to float32.
    """
    rounded = model.clone()
    for node in list(rounded.graph):
        if node.op_type in _WEIGHTED:
            _round_weight(rounded.graph, node)
        if node.op_type in _COMPUTING:
            _round_result(rounded.graph, node)
    return rounded


def _round_weight(graph: ir.Graph, node: ir.Node) -> None:
    weight = node.inputs[1]
    if weight is None or weight.const_value is None:
        return
    values = weight.const_value.numpy().astype(ml_dtypes.bfloat16).astype(np.float32)
    weight.const_value = ir.tensor(values, name=weight.name)


def _round_result(graph: ir.Graph, node: ir.Node) -> None:
    result = node.outputs[0]
    steps = tape.Tape()
    short = steps.op("Cast", [result], {"to": ir.DataType.BFLOAT16.value}, name=f"{node.name}.bf16")
    long = steps.op("Cast", [short], {"to": ir.DataType.FLOAT.value}, name=f"{node.name}.rounded")
    for made, of in ((short, steps.nodes[0]), (long, steps.nodes[1])):
        made.name, made.shape = of.name, result.shape
    short.type, long.type = ir.TensorType(ir.DataType.BFLOAT16), result.type
    first = steps.nodes[0]
    ir.convenience.replace_all_uses_with(result, long, replace_graph_outputs=True)
    first.replace_input_with(0, result)
    graph.insert_after(node, steps.nodes)
