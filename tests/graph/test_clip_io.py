"""Foreign inputs and outputs rewritten to ``frames`` and ``logits``: the same numbers, few operations."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from edgevid.contract import Normalization
from edgevid.errors import ConfigError, GraphError
from edgevid.graph.clip_input import ClipLayout, clip_input
from edgevid.graph.clip_io import with_frames, with_logits, with_one_output
from edgevid.graph.prelude import with_uint8_clips
from edgevid.targets.onnxruntime import evaluate

SHAPES = {
    ClipLayout.CLIPS: (2, 4, 3, 8, 8),
    ClipLayout.VOLUME: (2, 3, 4, 8, 8),
    ClipLayout.FRAMES: (8, 3, 8, 8),
    ClipLayout.CHANNELS: (2, 12, 8, 8),
}


def graph(text):
    """A model in ONNX's textual form, its shapes inferred."""
    proto = onnx.parser.parse_model('<ir_version: 10, opset_import: ["" : 20]> ' + text)
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto, strict_mode=True))


def sizes(shape):
    return ",".join(map(str, shape))


def kinds(model):
    return [node.op_type for node in model.graph]


@pytest.mark.parametrize("layout", ClipLayout)
def test_every_layout_takes_frames_and_computes_the_same(layout):
    shape = SHAPES[layout]
    model = graph(f"net (float[{sizes(shape)}] x) => (y) {{ a = Sin(x) y = ReduceMean<keepdims=1>(a) }}")
    flags = {"segments": 4} if layout is ClipLayout.FRAMES else {}
    clip = clip_input(model, **flags)
    changed = with_frames(model, clip)
    (frames,) = changed.graph.inputs
    assert (frames.name, frames.shape, frames.dtype) == ("frames", [2, 4, 3, 8, 8], ir.DataType.FLOAT)
    values = np.random.default_rng(0).normal(size=(2, 4, 3, 8, 8)).astype(np.float32)
    ordered = values.swapaxes(1, 2) if layout is ClipLayout.VOLUME else values
    wanted = evaluate(model, {"x": np.ascontiguousarray(ordered).reshape(shape)})
    assert np.allclose(evaluate(changed, {"frames": values})[0], wanted[0], atol=1e-6)
    assert model.graph.inputs[0].name == "x", "the model that was given is left as it was"


@pytest.mark.parametrize("layout", [ClipLayout.CLIPS, ClipLayout.FRAMES, ClipLayout.CHANNELS])
def test_the_files_own_reshapes_become_one_from_frames_to_stacked_images(layout):
    shape = SHAPES[layout]
    model = graph(
        f"""net (float[{sizes(shape)}] x) => (y)
        <int64[4] s = {{-1,3,8,8}}, int64[5] t = {{1,8,3,8,8}}, int64[1] axis = {{0}}> {{
            a = Reshape(x, t) b = Squeeze(a, axis) c = Reshape(b, s) y = Relu(c) }}"""
    )
    clip = clip_input(model, segments=4)
    changed = with_frames(model, clip)
    assert kinds(changed) == ["Reshape", "Relu"]
    first = next(iter(changed.graph))
    assert first.inputs[0] is changed.graph.inputs[0]
    assert first.outputs[0].shape == [8, 3, 8, 8]


def test_a_transpose_that_undoes_ours_goes_away():
    model = graph(
        """net (float[2,3,4,8,8] x) => (y) <int64[4] s = {-1,3,8,8}> {
            a = Transpose<perm=[0,2,1,3,4]>(x) b = Reshape(a, s) y = Relu(b) }"""
    )
    assert kinds(with_frames(model, clip_input(model))) == ["Reshape", "Relu"]


OUTPUTS = {
    "[N, classes]": ("s = {2,5}", [2, 5], []),
    "[N, 1, classes]": ("s = {2,1,5}", [2, 5], ["Reshape"]),
    "[N, T, classes]": ("s = {2,4,5}", [2, 5], ["ReduceMean"]),
    "[N*T, classes]": ("s = {8,5}", [2, 5], ["Reshape", "ReduceMean"]),
}


def answering(form, softmax=False):
    constant = OUTPUTS[form][0]
    per_clip = "T" not in form
    axes, rank = ("{1,3,4}" if per_clip else "{3,4}"), constant.count(",") + 1
    end = "b = Reshape(a, s) " + ("y = Softmax<axis=-1>(b)" if softmax else "y = Identity(b)")
    return graph(
        f"""net (float[2,4,3,8,8] frames) => (y)
        <int64[{3 if per_clip else 2}] axes = {axes}, int64[{rank}] {constant},
        int64[5] pick = {{0,1,2,0,1}}> {{
            m = ReduceMean<keepdims=0>(frames, axes) a = Gather<axis=-1>(m, pick) {end} }}"""
    )


@pytest.mark.parametrize("form", OUTPUTS)
def test_every_output_becomes_logits_of_clips(form):
    model = answering(form)
    values = np.random.default_rng(0).normal(size=(2, 4, 3, 8, 8)).astype(np.float32)
    found = with_logits(model, 4)
    (logits,) = evaluate(found.model, {"frames": values})
    (raw,) = evaluate(model, {"frames": values})
    wanted = raw.reshape(2, -1, 5).mean(axis=1)
    assert np.allclose(logits, wanted, atol=1e-6)
    assert found.model.graph.outputs[0].name == "logits"
    assert found.model.graph.outputs[0].shape == OUTPUTS[form][1]
    assert found.averaged == ("T" in form)
    assert kinds(found.model)[len(kinds(model)) :] == OUTPUTS[form][2]


@pytest.mark.parametrize("form", OUTPUTS)
def test_a_softmax_at_the_end_is_left_out_and_told(form):
    with_softmax, without = with_logits(answering(form, softmax=True), 4), with_logits(answering(form), 4)
    assert (with_softmax.softmax, without.softmax) == (True, False)
    values = np.random.default_rng(0).normal(size=(2, 4, 3, 8, 8)).astype(np.float32)
    results = [evaluate(each.model, {"frames": values})[0] for each in (with_softmax, without)]
    assert np.allclose(*results, atol=1e-6)


def test_an_output_that_is_no_class_score_is_refused_with_its_shape():
    model = graph("net (float[2,4,3,8,8] frames) => (y) { y = Relu(frames) }")
    with pytest.raises(GraphError, match=r"\[2, 4, 3, 8, 8\].*\[N, classes\]"):
        with_logits(model, 4)


def test_names_that_are_ours_may_stand_in_the_file():
    model = graph(
        """net (float[1,4,3,8,8] clips) => (frames) <float[1] logits = {2.0}, int64[3] axes = {1,3,4}> {
            a = Mul(clips, logits) frames = ReduceMean<keepdims=0>(a, axes) }"""
    )
    next(iter(model.graph)).outputs[0].name = "normalization.cast"
    values = np.random.default_rng(0).integers(0, 256, (1, 4, 8, 8, 3), np.uint8)
    changed = with_logits(with_frames(model, clip_input(model)), 4).model
    changed = with_uint8_clips(changed, Normalization(mean=(0, 0, 0), std=(1, 1, 1)))
    assert np.allclose(evaluate(changed, {"clips": values})[0], 2 * values.mean(axis=(1, 2, 3)), rtol=1e-5)


TWO = "net (float[1,4,3,8,8] x, float[1] unused, float[1] w) => (y, z) { y = Relu(x) a = Relu(w) z = Neg(a) }"


def test_one_of_several_outputs_is_chosen_with_the_inputs_that_it_needs():
    chosen = with_one_output(graph(TWO), "y")
    assert [value.name for value in chosen.graph.outputs] == ["y"]
    assert [value.name for value in chosen.graph.inputs] == ["x"]
    assert kinds(chosen) == ["Relu"]


def test_several_outputs_are_refused_by_name():
    with pytest.raises(ConfigError, match=r"2 outputs: y, z[\s\S]*--output-name"):
        with_one_output(graph(TWO))
    with pytest.raises(ConfigError, match=r"no output 'q'[\s\S]*y, z"):
        with_one_output(graph(TWO), "q")
