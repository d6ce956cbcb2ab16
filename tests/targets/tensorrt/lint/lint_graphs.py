"""Graphs of one operation, right or wrong on purpose, for tests of the linter."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgevid.targets.tensorrt.lint import lint

VERSIONS = ("7.1", "8.0", "8.2", "8.5", "10", "11", "RTX")
OLDEST_OPSET = {"7.1": 11}


def value(name, shape=(2, 3, 8, 8), kind=ir.DataType.FLOAT):
    return ir.Value(name=name, shape=None if shape is None else ir.Shape(shape), type=ir.TensorType(kind))


def constant(name, array):
    tensor = ir.tensor(np.asarray(array), name=name)
    return ir.Value(name=name, shape=tensor.shape, type=ir.TensorType(tensor.dtype), const_value=tensor)


def ints(name, *numbers):
    return constant(name, np.array(numbers, np.int64))


def node(kind, inputs, attributes=None, *, outputs=1, domain="", name="seeded", shape=(2, 3, 8, 8)):
    made = ir.node(kind, inputs, attributes or {}, domain=domain, num_outputs=outputs, name=name)
    for number, output in enumerate(made.outputs):
        output.name = f"{name}.{number}"
        output.shape, output.type = ir.Shape(shape), ir.TensorType(ir.DataType.FLOAT)
    return made


def model(nodes, *, version="11", opset=None, ir_version=6, outputs=None, functions=()):
    """A model whose inputs and initializers are what its nodes read and do not make."""
    made = {output for each in nodes for output in each.outputs}
    read = list(dict.fromkeys(x for each in nodes for x in each.inputs if x is not None and x not in made))
    graph = ir.Graph(
        [x for x in read if x.const_value is None],
        outputs if outputs is not None else [nodes[-1].outputs[0]],
        nodes=nodes,
        initializers=[x for x in read if x.const_value is not None],
        opset_imports={"": opset or OLDEST_OPSET.get(version, 13)},
        name="seeded",
    )
    return ir.Model(graph, ir_version=ir_version, functions=functions)


def found(graph, version, rule=None, board=None):
    """The diagnostics of a rule, or all."""
    diagnosis = lint(graph, board, version)
    return [each for each in diagnosis.diagnostics if rule is None or each.rule == rule]
