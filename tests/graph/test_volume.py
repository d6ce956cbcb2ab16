import numpy as np
import onnx_ir as ir
import pytest
import torch
from onnx_ir import tape
from shift_graphs import exported, frames_and_logits, run_onnx

from edgevid.errors import LoweringError
from edgevid.graph.export import export
from edgevid.graph.lower import lower_plain
from edgevid.graph.shift_op import (
    DOMAIN,
    OPSET,
    SHIFT,
    attach_functions,
    shift_nodes,
    spec_attributes,
    spec_of,
)
from edgevid.graph.volume import frames_to_volume
from edgevid.models import NetworkConfig, build
from edgevid.models.gate_config import GateConfig
from edgevid.shift import Layout, ShiftSpec

CLIPS, SEGMENTS, CHANNELS, SIZE = 2, 3, 4, 7


def stacked_graph(*steps, ends="mean"):
    """``x`` [N,T,C,H,W] → stacked frames → each of ``steps`` → mean over rows and columns.

    A step is a kind, its constants, and its attributes.
    """
    x = ir.Value(
        name="x",
        type=ir.TensorType(ir.DataType.FLOAT),
        shape=ir.Shape([CLIPS, SEGMENTS, CHANNELS, SIZE, SIZE]),
    )
    graph = ir.Graph([x], [], nodes=[], opset_imports={"": OPSET, DOMAIN: 1}, name="stacked")

    def constant(array):
        array = np.asarray(array)
        name = f"constant{len(graph.initializers)}"
        tensor = ir.tensor(array, name=name)
        value = ir.Value(
            name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=ir.Shape(array.shape)
        )
        graph.register_initializer(value)
        return value

    written = tape.Tape()
    sizes = constant(np.array([CLIPS * SEGMENTS, CHANNELS, SIZE, SIZE]))
    value = written.op("Reshape", [x, sizes], name="stack")
    for number, (kind, constants, attributes) in enumerate(steps):
        inputs = [value, *map(constant, constants)]
        domain = DOMAIN if kind == SHIFT else ""
        value = written.op(kind, inputs, attributes, domain=domain, name=f"step{number}")
    if ends == "mean":
        value = written.op("ReduceMean", [value, constant(np.array([-1, 2]))], {"keepdims": 0}, name="mean")
    elif ends == "pool":
        value = written.op("GlobalAveragePool", [value], name="mean")
    value.name = "y"
    value.type = ir.TensorType(ir.DataType.FLOAT)
    graph.extend(written.nodes)
    graph.outputs.append(value)
    model = ir.Model(graph, ir_version=10)
    attach_functions(model)
    return infer_shapes(model)


def infer_shapes(model):
    """Shapes of everything: a Shift has that of its input."""
    from onnx_ir.passes import common as passes

    for _ in range(1 + len(shift_nodes(model))):
        passes.ShapeInferencePass()(model)
        for node in shift_nodes(model):
            node.outputs[0].shape, node.outputs[0].type = node.inputs[0].shape, node.inputs[0].type
    return model


def same_numbers(model):
    """Rewrite a copy, compare both in ONNX Runtime, return the copy."""
    random = np.random.default_rng(0)
    clips = random.standard_normal(tuple(model.graph.inputs[0].shape.numpy())).astype(np.float32)
    rewritten = model.clone()
    assert frames_to_volume(rewritten)
    before, after = run_onnx(model, clips), run_onnx(rewritten, clips)
    assert before.shape == after.shape
    assert np.abs(before).max() > 1e-2
    assert np.abs(before - after).max() <= 1e-5 * np.abs(before).max()
    return rewritten


def weights(*shape):
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "mobilenet_v2"])
def test_a_network_on_volumes_gives_the_logits_of_the_network_on_frames(backbone, batch):
    model = exported(backbone, batch).clone()
    frames, logits = frames_and_logits(backbone, batch)
    assert frames_to_volume(model)
    assert np.abs(run_onnx(model, frames) - logits).max() <= 1e-4 * np.abs(logits).max()


def test_all_convolutions_and_shifts_of_a_network_are_on_volumes():
    model = exported("mobilenet_v2").clone()
    convolutions = sum(node.op_type == "Conv" for node in model.graph)
    frames_to_volume(model)
    ranks = [len(node.outputs[0].shape) for node in model.graph if node.op_type == "Conv"]
    assert ranks == [5] * convolutions
    assert {spec_of(node).layout for node in shift_nodes(model)} == {Layout.VOLUME}


def test_a_graph_on_volumes_is_not_changed_again():
    model = exported("resnet18").clone()
    frames_to_volume(model)
    nodes = [node.op_type for node in model.graph]
    assert not frames_to_volume(model)
    assert [node.op_type for node in model.graph] == nodes


@pytest.mark.parametrize(
    ("weight", "attributes"),
    [
        ((6, 4, 3, 3), {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
        ((6, 4, 2, 3), {"dilations": [2, 1], "kernel_shape": [2, 3]}),
        ((8, 2, 3, 3), {"group": 2, "auto_pad": "SAME_UPPER", "strides": [2, 2]}),
        ((5, 4, 1, 1), {}),
    ],
)
def test_convolutions_keep_their_windows(weight, attributes):
    same_numbers(stacked_graph(("Conv", [weights(*weight), weights(weight[0])], attributes)))


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
        ("AveragePool", {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1], "count_include_pad": 1}),
        ("AveragePool", {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1], "count_include_pad": 0}),
    ],
)
def test_poolings_stay_within_one_frame(kind, attributes):
    same_numbers(stacked_graph((kind, [], attributes)))


@pytest.mark.parametrize("shape", [(), (1,), (SIZE,), (SIZE, SIZE), (CHANNELS, 1, 1), (1, CHANNELS, 1, SIZE)])
def test_constants_broadcast_as_they_did(shape):
    same_numbers(stacked_graph(("Mul", [weights(*shape)], {}), ("Relu", [], {})))


@pytest.mark.parametrize("axis", [1, -3])
def test_channels_are_taken_out_and_joined(axis):
    start, stop, axes = np.array([1]), np.array([3]), np.array([axis])
    same_numbers(stacked_graph(("Slice", [start, stop, axes], {}), ("Concat", [], {"axis": axis})))


def test_an_inception_with_gates_on_volumes_gives_the_same_logits():
    config = NetworkConfig(
        backbone="bn_inception", classes=5, segments=3, size=64, width="1/16", gate=GateConfig()
    )
    torch.manual_seed(0)
    model = export(build(config).eval(), batch=2)
    frames = np.random.default_rng(0).standard_normal((2, 3, 3, 64, 64)).astype(np.float32)
    wanted = run_onnx(model, frames)
    assert frames_to_volume(model)
    assert {spec_of(node).layout for node in shift_nodes(model)} == {Layout.VOLUME}
    assert np.abs(run_onnx(model, frames) - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_a_shift_moves_the_same_channels_of_the_same_clips():
    spec = ShiftSpec.tsm(CHANNELS, SEGMENTS, 1)
    rewritten = same_numbers(
        stacked_graph((SHIFT, [], spec_attributes(spec)), ("Mul", [weights(CHANNELS, 1, 1)], {}))
    )
    assert [spec_of(node) for node in shift_nodes(rewritten)] == [spec.with_layout(Layout.VOLUME)]


def test_a_global_pooling_ends_a_region_too():
    same_numbers(stacked_graph(("Relu", [], {}), ends="pool"))


def test_a_graph_without_stacked_frames_stays_as_it_is():
    model = stacked_graph(("Relu", [], {}))
    model.graph.inputs[0].shape = ir.Shape(["N", SEGMENTS, CHANNELS, SIZE, SIZE])
    assert not frames_to_volume(model)


@pytest.mark.parametrize(
    ("step", "what"),
    [
        (("Softmax", [], {"axis": 1}), "Softmax"),
        (("Add", [weights(CLIPS * SEGMENTS, 1, 1, 1)], {}), "from frame to frame"),
        (("Add", [weights(1, 1, 1, 1, 1)], {}), "rank"),
        (("Transpose", [], {"perm": [0, 1, 3, 2]}), "Transpose"),
        ((SHIFT, [], spec_attributes(ShiftSpec.tsm(CHANNELS, 2, 1))), "T=2"),
        (("Concat", [weights(CLIPS * SEGMENTS, 4, SIZE, SIZE)], {"axis": 1}), "from the same frames"),
        (("Concat", [], {"axis": 0}), "another axis"),
        (("Slice", [np.array([0]), np.array([2]), np.array([0])], {}), "another axis"),
        (("ReduceMean", [np.array([1])], {"keepdims": 1}), "mean over other axes"),
    ],
)
def test_what_cannot_be_rewritten_is_refused_by_the_name_of_its_node(step, what):
    with pytest.raises(LoweringError, match=what) as caught:
        frames_to_volume(stacked_graph(step, ends="pool" if what != "rank" else None))
    assert caught.value.where == "step0"
    assert caught.value.fix


def test_a_convolution_with_a_computed_weight_is_refused():
    model = stacked_graph(("Conv", [weights(4, 4, 1, 1)], {}))
    (convolution,) = (node for node in model.graph if node.op_type == "Conv")
    doubled = ir.node("Add", [convolution.inputs[1], convolution.inputs[1]], name="double")
    doubled.outputs[0].name = "doubled"
    model.graph.insert_before(convolution, doubled)
    convolution.replace_input_with(1, doubled.outputs[0])
    with pytest.raises(LoweringError, match="weight is not constant"):
        frames_to_volume(model)


def test_an_output_that_still_holds_stacked_frames_is_refused():
    with pytest.raises(LoweringError, match="frames along its first axis"):
        frames_to_volume(stacked_graph(("Relu", [], {}), ends=None))


def test_a_network_of_volumes_has_nothing_to_take_apart():
    """It begins at the same Transpose, but works on volumes by itself."""
    clips = ir.Value(name="clips", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([2, 4, 3, 6, 6]))
    steps = tape.Tape()
    volume = steps.op("Transpose", [clips], {"perm": [0, 2, 1, 3, 4]})
    pooled = steps.op("GlobalAveragePool", [volume])
    pooled.shape, pooled.type = ir.Shape([2, 3, 1, 1, 1]), clips.type
    graph = ir.Graph([clips], [pooled], nodes=steps.nodes, opset_imports={"": 20})
    model = ir.Model(graph, ir_version=10)
    with pytest.raises(LoweringError, match="no stacked frames"):
        lower_plain(model, "volume")
