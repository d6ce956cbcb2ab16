import numpy as np
import onnx_ir as ir
import pytest
from onnx_ir import tape
from shift_graphs import exported, frames_for, random_spec, run_onnx, small_network

from edgevid.graph.export import export
from edgevid.graph.lower import LOWERINGS, lower
from edgevid.graph.shift_op import (
    DOMAIN,
    OPSET,
    SHIFT,
    attach_functions,
    replace_specs,
    shift_nodes,
    spec_attributes,
)
from edgevid.graph.split_conv import (
    BLOCK,
    channel_cuts,
    decimate_pointwise,
    gains_by_splitting,
    split_convolutions,
)
from edgevid.models import ShiftConfig
from edgevid.shift import Layout, Move, ShiftSpec, shift_numpy

SPLITTING = ["split_conv", "volume_split_conv"]
CLIPS = 2
SIZE = 4


def weights(*shape):
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def shifted_convolutions(spec, channels, *consumers):
    """``x`` → Shift → each of ``consumers``, whose sums over rows and columns are the outputs.

    A consumer is a weight, a bias or None, and attributes; or the name of a unary operation.
    """
    rest = (spec.segments, SIZE, SIZE) if spec.layout is Layout.VOLUME else (SIZE, SIZE)
    first = CLIPS if spec.layout is Layout.VOLUME else CLIPS * spec.segments
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([first, channels, *rest]))
    graph = ir.Graph([x], [], nodes=[], opset_imports={"": OPSET, DOMAIN: 1}, name="shifted")
    steps = tape.Tape()
    attributes = {**spec_attributes(spec), "moves": ir.AttrInt64s("moves", spec.flat)}
    shifted = steps.op(SHIFT, [x], attributes, domain=DOMAIN, name="the_shift")
    shifted.shape, shifted.type = x.shape, x.type
    for number, consumer in enumerate(consumers):
        if consumer is None:
            graph.outputs.append(shifted)
            continue
        if isinstance(consumer, str):
            value = steps.op(consumer, [shifted])
        else:
            weight, bias, settings = consumer
            inputs = [shifted]
            for name, array in (("weight", weight), ("bias", bias)):
                if array is not None:
                    tensor = ir.tensor(array, name=f"{name}{number}")
                    value = ir.Value(
                        name=tensor.name,
                        const_value=tensor,
                        type=ir.TensorType(tensor.dtype),
                        shape=ir.Shape(array.shape),
                    )
                    graph.register_initializer(value)
                    inputs.append(value)
            value = steps.op("Conv", inputs, settings, name=f"convolution{number}")
        value.name, value.type = f"y{number}", ir.TensorType(ir.DataType.FLOAT)
        graph.outputs.append(value)
    graph.extend(steps.nodes)
    model = ir.Model(graph, ir_version=10)
    attach_functions(model)
    from onnx_ir.passes import common as passes

    passes.ShapeInferencePass()(model)
    return model


POINTWISE = (weights(4, 64, 1, 1), None, {})


def pointwise(x, weight, bias=None, stride=1):
    """A 1x1 convolution of [N,C,...]; strides along the last two axes."""
    x = x[..., ::stride, ::stride]
    y = np.einsum("nc...,oc->no...", x, weight.reshape(weight.shape[:2]))
    return y if bias is None else y + bias.reshape(-1, *[1] * (x.ndim - 2))


def kinds(model):
    return [node.op_type for node in model.graph]


@pytest.mark.parametrize(
    ("moves", "channels", "cuts"),
    [
        ((Move(0, 32, -1), Move(32, 64, 1)), 256, [0, 32, 64, 256]),
        ((Move(0, 8, -1), Move(8, 16, 1)), 64, [0, 16, 64]),
        ((Move(0, 24, -1), Move(24, 48, 1)), 192, [0, 48, 192]),
        ((Move(0, 3, -1), Move(3, 6, 1)), 24, [0, 16, 24]),
        ((Move(0, 4, -1), Move(4, 8, 1)), 12, [0, 12]),
        ((Move(0, 32, -1), Move(32, 64, 1)), 64, [0, 32, 64]),
        ((Move(0, 12, -1), Move(12, 24, 1)), 24, [0, 24]),
        ((Move(40, 56, 1),), 96, [0, 32, 64, 96]),
        ((Move(0, 10, 1), Move(40, 64, 1)), 64, [0, 16, 32, 64]),
        ((), 64, [0, 64]),
    ],
)
def test_channels_are_cut_at_whole_blocks_around_the_moves(moves, channels, cuts):
    assert channel_cuts(ShiftSpec(4, moves), channels) == cuts


def test_every_cut_lies_between_blocks():
    random = np.random.default_rng(3)
    for _ in range(100):
        channels = int(random.integers(1, 100))
        cuts = channel_cuts(random_spec(random, channels, Layout.FRAMES), channels)
        assert cuts == sorted(set(cuts))
        assert (cuts[0], cuts[-1]) == (0, channels)
        assert all(cut % BLOCK == 0 for cut in cuts[:-1])


@pytest.mark.parametrize("name", SPLITTING)
@pytest.mark.parametrize("layout", list(Layout))
def test_random_shifts_in_front_of_pointwise_convolutions_keep_their_numbers(name, layout):
    random = np.random.default_rng(20190827)
    for case in range(12):
        channels = int(random.integers(1, 60))
        spec = random_spec(random, channels, layout)
        if name == "volume_split_conv":
            spec = ShiftSpec(
                spec.segments, tuple(m for m in spec.moves if layout is Layout.VOLUME or not m.dt), layout
            )
        stride = 1 + case % 2
        ones = [1] * (len(layout.value.split(",")) - 2)
        first = (weights(5, channels, *ones), weights(5) if case % 3 else None, {})
        strides = [*ones[2:], stride, stride]
        second = (weights(7, channels, *ones), None, {"strides": strides, "kernel_shape": ones})
        model = shifted_convolutions(spec, channels, first, second)
        lowered = lower(model, name)
        assert not shift_nodes(lowered)
        clips = random.standard_normal(tuple(model.graph.inputs[0].shape.numpy())).astype(np.float32)
        shifted = shift_numpy(clips, spec)
        for output, wanted in (
            (0, pointwise(shifted, *first[:2])),
            (1, pointwise(shifted, *second[:2], stride)),
        ):
            alone = lowered.clone()
            alone.graph.outputs[:] = [alone.graph.outputs[output]]
            assert np.allclose(run_onnx(alone, clips), wanted, rtol=1e-4, atol=1e-4), (spec, channels)


def test_channels_at_rest_go_from_the_split_to_their_convolution_uncopied():
    spec = ShiftSpec.tsm(128, 4, 1 / 4)
    lowered = lower(shifted_convolutions(spec, 128, (weights(32, 128, 1, 1), weights(32), {})), "split_conv")
    (split,) = (node for node in lowered.graph if node.op_type == "Split")
    direct = [use.node for output in split.outputs for use in output.uses() if use.node.op_type == "Conv"]
    assert [node.inputs[1].shape.numpy() for node in direct] == [(32, 96, 1, 1)]


def test_the_bias_is_added_once_by_the_channels_at_rest():
    spec = ShiftSpec.tsm(128, 4, 1 / 4)
    lowered = lower(shifted_convolutions(spec, 128, (weights(32, 128, 1, 1), weights(32), {})), "split_conv")
    convolutions = [node for node in lowered.graph if node.op_type == "Conv"]
    assert [len(node.inputs) for node in convolutions] == [3, 2, 2]
    assert convolutions[0].inputs[1].shape.numpy() == (32, 96, 1, 1)


@pytest.mark.parametrize("moved", [1 / 2, 1])
def test_more_channels_than_the_convolution_gives_are_moved_behind_it(moved):
    spec = ShiftSpec.tsm(128, 4, moved)
    graph = shifted_convolutions(spec, 128, (weights(8, 128, 1, 1), weights(8), {}))
    lowered = lower(graph, "split_conv")
    (split,) = (node for node in lowered.graph if node.op_type == "Split")
    users = [use.node.op_type for output in split.outputs for use in output.uses()]
    assert users == ["Conv"] * len(split.outputs)
    clips = np.random.default_rng(3).standard_normal((8, 128, 4, 4)).astype(np.float32)
    assert np.allclose(run_onnx(lowered, clips), run_onnx(graph, clips), rtol=1e-5, atol=1e-4)


def test_a_move_in_space_stays_in_front_of_its_convolution():
    spec = ShiftSpec(4, (Move(0, 128, 0, 1, 0),))
    lowered = lower(shifted_convolutions(spec, 128, (weights(8, 128, 1, 1), None, {})), "split_conv")
    (convolution,) = (node for node in lowered.graph if node.op_type == "Conv")
    assert convolution.outputs[0].is_graph_output()


def test_the_whole_weight_is_not_kept_beside_its_parts():
    spec = ShiftSpec.tsm(64, 4)
    lowered = lower(shifted_convolutions(spec, 64, (weights(8, 64, 1, 1), None, {})), "split_conv")
    sizes = [value.const_value.size for value in lowered.graph.initializers.values()]
    assert sum(size for size in sizes if size > 8) == 8 * 64


@pytest.mark.parametrize(
    "consumer",
    [
        (weights(4, 32, 3, 3), None, {}),
        (weights(32, 1, 1, 1), None, {"group": 32}),
        (weights(4, 32, 1, 1), None, {"pads": [1, 1, 1, 1]}),
        "Neg",
        None,
    ],
    ids=["3x3", "grouped", "padded", "not a convolution", "an output of the graph"],
)
def test_a_shift_with_another_consumer_is_left_to_the_ordinary_lowering(consumer):
    spec = ShiftSpec.tsm(32, 4)
    model = shifted_convolutions(spec, 32, (weights(4, 32, 1, 1), None, {}), consumer)
    clips = np.random.default_rng(0).standard_normal((CLIPS * 4, 32, SIZE, SIZE)).astype(np.float32)
    before = kinds(model)
    assert not split_convolutions(model, LOWERINGS["fused_pad"].write)
    assert kinds(model) == before
    lowered = lower(model, "split_conv")
    assert "Split" not in kinds(lowered)
    wanted = pointwise(shift_numpy(clips, spec), weights(4, 32, 1, 1))
    assert np.allclose(run_onnx(lowered, clips), wanted, rtol=1e-4, atol=1e-4)


def test_a_strided_pointwise_convolution_becomes_a_pooling_of_one_element_and_a_plain_one():
    spec = ShiftSpec.tsm(32, 4)
    model = shifted_convolutions(spec, 32, (weights(4, 32, 1, 1), weights(4), {"strides": [2, 2]}))
    assert decimate_pointwise(model)
    assert kinds(model) == [SHIFT, "MaxPool", "Conv"]
    assert not decimate_pointwise(model)
    clips = np.random.default_rng(0).standard_normal((CLIPS * 4, 32, SIZE, SIZE)).astype(np.float32)
    wanted = pointwise(shift_numpy(clips, spec), weights(4, 32, 1, 1), weights(4), 2)
    assert np.allclose(run_onnx(model, clips), wanted, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def inplace():
    return export(small_network("resnet50", shift=ShiftConfig(placement="inplace")), batch=1)


def widened(graph, **settings):
    """The graph with the TSM shift of other settings in every place."""
    channels = iter([node.inputs[0].shape[1] for node in shift_nodes(graph)])
    return replace_specs(graph, lambda spec: ShiftSpec.tsm(next(channels), spec.segments, **settings))


@pytest.mark.parametrize("name", SPLITTING)
@pytest.mark.parametrize("network", ["resnet18", "resnet50", "mobilenet_v2", "inplace"])
@pytest.mark.parametrize(
    "settings",
    [{"proportion": 1 / 4}, {"proportion": 1}, {"proportion": 1 / 2, "direction": "unidirectional"}],
    ids=["p=1/4", "p=1", "uni-directional"],
)
def test_a_lowered_network_gives_the_logits_of_its_canonical_graph(name, network, settings, request):
    graph = request.getfixturevalue("inplace") if network == "inplace" else exported(network)
    graph = widened(graph, **settings)
    shape = tuple(graph.graph.inputs[0].shape.numpy())
    frames = np.random.default_rng(5).standard_normal(shape).astype(np.float32)
    wanted = run_onnx(graph, frames)
    without = run_onnx(replace_specs(graph, ShiftSpec.without_moves), frames)
    found = run_onnx(lower(graph, name), frames)
    assert np.abs(without - wanted).max() > 1e-3 * np.abs(wanted).max()
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


@pytest.mark.parametrize("name", SPLITTING)
def test_the_clips_of_a_batch_are_kept_apart(name):
    graph = exported("resnet50", 3)
    frames = frames_for(small_network("resnet50"), 3)
    wanted = run_onnx(graph, frames)
    found = run_onnx(lower(graph, name), frames)
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_clips_that_are_computed_apart_share_their_weights():
    one, three = (lower(exported("resnet50", clips), "volume_split_conv") for clips in (1, 3))
    sizes = [
        sum(
            value.const_value.size
            for value in graph.graph.initializers.values()
            if value.dtype.is_floating_point()
        )
        for graph in (one, three)
    ]
    assert sizes[0] == sizes[1]
    counts = [sum(node.op_type == "Conv" for node in graph.graph) for graph in (one, three)]
    assert counts[1] == 3 * counts[0]


def test_a_network_without_moves_is_left_as_it_is():
    graph = replace_specs(exported("resnet50"), ShiftSpec.without_moves)
    expected = [kind for kind in kinds(graph) if kind != SHIFT]
    assert kinds(lower(graph, "volume_split_conv")) == expected


@pytest.mark.parametrize(
    ("moves", "consumers", "answer"),
    [
        ((Move(0, 8, -1), Move(8, 16, 1)), [POINTWISE], True),
        ((Move(0, 16, -1), Move(16, 32, 1)), [POINTWISE, "Neg"], True),
        ((Move(0, 8, -1), Move(8, 16, 1)), [POINTWISE, "Neg"], False),
        ((Move(0, 28, -1), Move(28, 56, 1)), [POINTWISE], False),
        ((Move(0, 32, -1), Move(32, 64, 1)), [POINTWISE], True),
        ((Move(0, 16, -1), Move(16, 32, 1)), [(weights(4, 64, 3, 3), None, {})], False),
    ],
    ids=["cut", "whole blocks", "put together", "no cut", "all channels", "3x3"],
)
def test_splitting_gains_where_it_leaves_blocks_whole(moves, consumers, answer):
    assert gains_by_splitting(shifted_convolutions(ShiftSpec(4, moves), 64, *consumers)) is answer


def test_a_network_without_shifts_gains_nothing():
    graph = exported("resnet50").clone()
    for node in shift_nodes(graph):
        ir.convenience.replace_all_uses_with(node.outputs[0], node.inputs[0])
        graph.graph.remove(node, safe=True)
    assert not gains_by_splitting(graph)
