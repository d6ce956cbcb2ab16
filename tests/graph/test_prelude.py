import numpy as np
import onnx_ir as ir
import pytest
import torch
from onnx_ir import tape
from shift_graphs import exported, logits_of, run_onnx, small_network

from edgevid.contract import Normalization
from edgevid.errors import GraphError
from edgevid.graph.prelude import with_uint8_clips
from edgevid.graph.shift_op import OPSET, shift_nodes

PLAIN = Normalization(mean=(0, 0, 0), std=(1, 1, 1))
MMACTION = Normalization(mean=(104, 117, 128), std=(1, 1, 1), color="BGR")
UNEVEN = Normalization(mean=(10, 120, 230), std=(20, 60, 127.5), color="BGR")
KINDS = (Normalization(), PLAIN, MMACTION, UNEVEN)


def random_clips(*shape):
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)


def normalized(clips, how):
    """By hand, in double precision: ``[N, T, 3, H, W]`` in the network's own colour order."""
    pixels = clips[..., ::-1] if how.color == "BGR" else clips
    return ((pixels - np.array(how.mean)) / np.array(how.std)).transpose(0, 1, 4, 2, 3)


def graph_of(last, shape, output_shape=None, **constants):
    """``last`` applied to float frames of ``shape``."""
    frames = ir.Value(name="frames", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(shape))
    steps = tape.Tape()
    graph = ir.Graph([frames], [], nodes=[], opset_imports={"": OPSET}, name="graph")
    values = {}
    for name, array in constants.items():
        tensor = ir.tensor(array, name=name)
        values[name] = ir.Value(
            name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=tensor.shape
        )
        graph.register_initializer(values[name])
    output = last(steps, frames, **values)
    output.name, output.type = "logits", ir.TensorType(ir.DataType.FLOAT)
    output.shape = ir.Shape(output_shape or shape)
    graph.outputs.append(output)
    graph.extend(steps.nodes)
    return ir.Model(graph, ir_version=10)


def identity(steps, frames):
    return steps.op("Identity", [frames])


@pytest.mark.parametrize("how", KINDS)
def test_bytes_come_out_normalized_in_the_networks_colour_order(how):
    clips = random_clips(2, 3, 5, 4)
    pixels = run_onnx(with_uint8_clips(graph_of(identity, (2, 3, 3, 5, 4)), how), clips)
    np.testing.assert_allclose(pixels, normalized(clips, how), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("how", KINDS)
def test_a_network_answers_bytes_as_it_answers_frames_normalized_by_hand(how):
    model = exported("resnet18")
    clips = random_clips(1, 4, 32, 32)
    logits = run_onnx(with_uint8_clips(model, how), clips)
    expected = logits_of(small_network("resnet18"), normalized(clips, how).astype(np.float32))
    assert np.abs(logits - expected).max() <= 1e-5 * np.abs(expected).max()
    other = logits_of(small_network("resnet18"), normalized(clips[..., ::-1], how).astype(np.float32))
    assert np.abs(logits - other).max() > 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize("how", KINDS)
def test_zero_padding_stays_a_zero_of_the_normalized_range(how):
    weight = np.random.default_rng(0).standard_normal((2, 3, 3, 3)).astype(np.float32)

    def convolution(steps, frames, weight, sizes):
        return steps.op("Conv", [steps.op("Reshape", [frames, sizes]), weight], {"pads": [1, 1, 1, 1]})

    sizes = np.array([1, 3, 6, 6])
    graph = graph_of(convolution, (1, 1, 3, 6, 6), (1, 2, 6, 6), weight=weight, sizes=sizes)
    clips = random_clips(1, 1, 6, 6)
    found = run_onnx(with_uint8_clips(graph, how), clips)
    frames = torch.from_numpy(normalized(clips, how)[0])
    wanted = torch.nn.functional.conv2d(frames, torch.from_numpy(weight).double(), padding=1).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("batch", [1, 2])
def test_the_input_is_named_typed_and_of_the_shape_of_decoded_frames(batch):
    changed = with_uint8_clips(exported("resnet50", batch), Normalization())
    (clips,) = changed.graph.inputs
    assert (clips.name, list(clips.shape), clips.dtype) == ("clips", [batch, 4, 32, 32, 3], ir.DataType.UINT8)
    assert len(shift_nodes(changed)) == len(shift_nodes(exported("resnet50", batch)))


def test_a_symbolic_batch_stays_symbolic():
    graph = with_uint8_clips(graph_of(identity, ("N", 3, 3, 5, 4)), Normalization())
    assert not isinstance(graph.graph.inputs[0].shape[0], int)
    for batch in (1, 3):
        clips = random_clips(batch, 3, 5, 4)
        np.testing.assert_allclose(
            run_onnx(graph, clips), normalized(clips, Normalization()), rtol=1e-6, atol=1e-5
        )


def test_the_graph_that_is_given_stays_as_it_was():
    model = exported("resnet18")
    before = ir.to_proto(model).SerializeToString(deterministic=True)
    with_uint8_clips(model, UNEVEN)
    assert ir.to_proto(model).SerializeToString(deterministic=True) == before


def test_what_normalization_does_not_ask_for_is_not_computed():
    kinds = [node.op_type for node in with_uint8_clips(graph_of(identity, (1, 3, 3, 5, 4)), PLAIN).graph]
    assert kinds == ["Transpose", "Cast", "Identity"]


@pytest.mark.parametrize("shape", [(1, 4, 8, 8), (1, 4, 1, 8, 8), (1, 4, 8, 8, 3)])
def test_another_input_is_refused_with_its_shape(shape):
    with pytest.raises(GraphError, match=r"is not \[N, T, 3, H, W\]") as caught:
        with_uint8_clips(graph_of(identity, shape), Normalization())
    assert caught.value.where == "frames"


@pytest.mark.parametrize("std", [(58.0, 0.0, 57.0), (-1.0, 1.0, 1.0)])
def test_a_standard_deviation_that_divides_by_nothing_is_refused(std):
    with pytest.raises(GraphError, match="a standard deviation of") as caught:
        with_uint8_clips(graph_of(identity, (1, 3, 3, 5, 4)), Normalization(std=std))
    assert caught.value.where == "std"
