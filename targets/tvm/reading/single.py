"""One operation of a graph as a model of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

__all__ = ["single_node"]


def single_node(
    node: ir.Node, constants: Sequence[NDArray[Any] | None], output: int, opsets: Mapping[str, int]
) -> Any:
    """A ModelProto of the node alone, with one of its outputs.

    Args:
        node: of any domain that a runtime knows.
        constants: by input; inputs that are none become ``input0``, ``input1`` ... of the model.
        output: which of the node's outputs is the model's.
        opsets: of the graph that it stands in.
    """
    inputs: list[ir.Value | None] = []
    given: list[ir.Value] = []
    known: list[ir.Value] = []
    for index, (value, array) in enumerate(zip(node.inputs, constants, strict=True)):
        if value is None:
            inputs.append(None)
        elif array is not None:
            tensor = ir.tensor(array, name=f"constant{index}")
            known.append(
                ir.Value(
                    name=f"constant{index}",
                    const_value=tensor,
                    type=ir.TensorType(tensor.dtype),
                    shape=ir.Shape(array.shape),
                )
            )
            inputs.append(known[-1])
        else:
            given.append(ir.Value(name=f"input{len(given)}", type=value.type, shape=value.shape))
            inputs.append(given[-1])
    attributes = list(node.attributes.values())
    alone = ir.Node(node.domain, node.op_type, inputs, attributes, num_outputs=len(node.outputs), name="node")
    for index, (made, original) in enumerate(zip(alone.outputs, node.outputs, strict=True)):
        made.name, made.type, made.shape = f"output{index}", original.type, original.shape
    graph = ir.Graph(
        given,
        [alone.outputs[output]],
        nodes=[alone],
        initializers=known,
        opset_imports=dict(opsets),
        name=node.op_type,
    )
    return ir.to_proto(ir.Model(graph, ir_version=10))
