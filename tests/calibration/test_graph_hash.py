from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest
from int8_graphs import tiny_graph

from edgevid.contract import Normalization
from edgevid.errors import GraphError
from edgevid.graph.graph_hash import graph_hash
from edgevid.graph.prelude import with_uint8_clips
from edgevid.graph.shift_op import replace_specs
from edgevid.shift import ShiftSpec
from edgevid.source import open_source

PIXELS = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375), "color": "RGB"}


@pytest.mark.parametrize("backbone", ["resnet50", "mobilenet_v2"])
def test_the_batch_does_not_count(backbone):
    assert len({graph_hash(tiny_graph(backbone, batch)) for batch in (1, 2, 5)}) == 1


def test_the_batch_does_not_count_in_a_foreign_file(tiny_onnx):
    source = open_source(tiny_onnx, segments=4, **PIXELS)
    hashes = {graph_hash(with_uint8_clips(source.graph(batch), source.normalization)) for batch in (1, 2, 3)}
    assert len(hashes) == 1


def test_names_do_not_count():
    renamed = tiny_graph().clone()
    for number, node in enumerate(renamed.graph):
        node.name = f"n{number}"
        for index, value in enumerate(node.outputs):
            value.name = f"v{number}.{index}"
    assert graph_hash(renamed) == graph_hash(tiny_graph())


def one_weight_changed(graph):
    value = next(value for value in graph.graph.initializers.values() if len(value.shape) == 4)
    weights = value.const_value.numpy().copy()
    weights[-1, -1, -1, -1] += 1e-6
    value.const_value = ir.tensor(weights)
    return graph


def other_stride(graph):
    node = next(node for node in graph.graph if node.op_type == "Conv")
    node.attributes["strides"] = ir.AttrInt64s("strides", [1, 1])
    return graph


def inputs_of_an_addition_from_elsewhere(graph):
    node = next(node for node in graph.graph if node.op_type == "Add")
    node.replace_input_with(0, node.inputs[1])
    return graph


@pytest.mark.parametrize(
    "change",
    [
        one_weight_changed,
        other_stride,
        inputs_of_an_addition_from_elsewhere,
        lambda graph: replace_specs(graph, ShiftSpec.swapped),
        lambda graph: replace_specs(graph, ShiftSpec.without_moves),
    ],
)
def test_whatever_changes_the_result_counts(change):
    assert graph_hash(change(tiny_graph().clone())) != graph_hash(tiny_graph())


def test_the_normalization_counts(tiny_checkpoint):
    source = open_source(tiny_checkpoint)
    hashes = {
        graph_hash(with_uint8_clips(source.graph(1), replace(Normalization(), **change)))
        for change in ({}, {"color": "BGR"}, {"mean": (0.0, 0.0, 1.0)}, {"std": (1.0, 1.0, 2.0)})
    }
    assert len(hashes) == 4


def test_a_value_that_nothing_computes_is_named():
    graph = tiny_graph().clone()
    node = next(node for node in graph.graph if node.op_type == "Relu")
    node.replace_input_with(0, ir.Value(name="lost", type=ir.TensorType(ir.DataType.FLOAT)))
    with pytest.raises(GraphError) as error:
        graph_hash(graph)
    assert error.value.where == "lost"


def test_constants_count_as_weights_wherever_they_stand():
    graphs = []
    for number in (1.0, 2.0):
        x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([1, 3]))
        tensor = ir.tensor(np.full(3, number, np.float32))
        constant = ir.node("Constant", [], {"value": tensor})
        total = ir.node("Add", [x, constant.outputs[0]])
        total.outputs[0].shape = ir.Shape([1, 3])
        graph = ir.Graph([x], total.outputs, nodes=[constant, total], opset_imports={"": 20})
        graphs.append(ir.Model(graph, ir_version=10))
    assert graph_hash(graphs[0]) != graph_hash(graphs[1])
