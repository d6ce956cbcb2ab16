import numpy as np
import onnx_ir as ir
import pytest
from onnx_ir import tape
from shift_graphs import exported, frames_and_logits, random_case, run_onnx, shift_graph

from edgevid import targets
from edgevid.errors import LoweringError, ShiftError
from edgevid.graph.lower import KEEP, LOWERINGS, form_of, lower
from edgevid.graph.shift_op import DOMAIN, OPSET, SHIFT, attach_functions, shift_nodes, spec_attributes
from edgevid.shift import Layout, Move, ShiftSpec, shift_numpy
from edgevid.targets._profiles import device, device_names

NAMES = list(LOWERINGS)
ONE_CLIP = [name for name, entry in LOWERINGS.items() if entry.one_clip_only]
FIXED = [name for name, entry in LOWERINGS.items() if entry.static_batch]
ANY_BATCH = [name for name, entry in LOWERINGS.items() if not entry.one_clip_only]
TSM = ShiftSpec.tsm(8, 4)


def holds(name, spec, shape, symbolic):
    """What an entry of the table says about itself."""
    if spec.layout is Layout.VOLUME or not any(move.dt for move in spec.moves):
        return True
    entry = LOWERINGS[name]
    clips = shape[0] // spec.segments
    return not (entry.static_batch and symbolic) and not (entry.one_clip_only and (symbolic or clips > 1))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("dtype", "cases"), [(np.float32, 30), (np.float16, 10)])
def test_a_lowering_is_the_numpy_reference_or_is_refused(name, dtype, cases):
    random = np.random.default_rng(20190827)
    outcomes = set()
    for case in range(cases):
        spec, shape = random_case(random)
        clips = random.standard_normal(shape).astype(dtype)
        symbolic = case % 3 == 0
        graph = shift_graph(spec, shape, dtype, symbolic=symbolic)
        if not holds(name, spec, shape, symbolic):
            with pytest.raises(LoweringError, match=name):
                lower(graph, name)
            outcomes.add("refused")
            continue
        lowered = lower(graph, name)
        assert not shift_nodes(lowered)
        assert not lowered.functions
        assert DOMAIN not in lowered.opset_imports
        shifted = run_onnx(lowered, clips)
        assert shifted.dtype == dtype
        assert np.array_equal(shifted, shift_numpy(clips, spec)), (spec, shape, symbolic)
        outcomes.add("equal")
    assert outcomes == ({"equal", "refused"} if LOWERINGS[name].static_batch else {"equal"})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("steps", [-4, -3, -1, 1, 3, 4, 9])
def test_a_lowering_is_right_up_to_and_beyond_the_length_of_a_clip(name, steps):
    spec = ShiftSpec(3, (Move(1, 3, steps), Move(3, 4, steps, -steps, steps), Move(4, 5, 0, steps)))
    clips = np.random.default_rng(0).standard_normal((3, 6, 4, 2)).astype(np.float32)
    shifted = run_onnx(lower(shift_graph(spec, clips.shape), name), clips)
    assert np.array_equal(shifted, shift_numpy(clips, spec))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layout", list(Layout))
def test_a_clip_of_one_frame_has_no_neighbours(name, layout):
    spec = ShiftSpec.tsm(8, 1, layout=layout)
    shape = (1, 8, 2, 2) if layout is Layout.FRAMES else (1, 8, 1, 2, 2)
    clips = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    shifted = run_onnx(lower(shift_graph(spec, shape), name), clips)
    assert np.array_equal(shifted, shift_numpy(clips, spec))
    assert not shifted[:, :2].any()


@pytest.mark.parametrize("name", NAMES)
def test_a_shift_of_all_channels_and_one_of_none_are_lowered(name):
    clips = np.random.default_rng(0).standard_normal((4, 8, 2, 2)).astype(np.float32)
    for spec in (ShiftSpec.tsm(8, 4, 1), ShiftSpec(4)):
        lowered = lower(shift_graph(spec, clips.shape), name)
        assert np.array_equal(run_onnx(lowered, clips), shift_numpy(clips, spec))
    assert [node.op_type for node in lowered.graph] == ["Neg", "Neg"]


@pytest.mark.parametrize("name", NAMES)
def test_a_lowering_keeps_the_names_shapes_and_types_at_the_ends(name):
    graph = shift_graph(TSM, (4, 8, 2, 3), np.float16)
    lowered = lower(graph, name)
    for before, after in (
        (graph.graph.inputs, lowered.graph.inputs),
        (graph.graph.outputs, lowered.graph.outputs),
    ):
        assert [(v.name, v.shape, v.dtype) for v in before] == [(v.name, v.shape, v.dtype) for v in after]


@pytest.mark.parametrize("name", [KEEP, *NAMES])
def test_lowering_leaves_the_canonical_graph_as_it_was(name):
    graph = shift_graph(TSM, (4, 8, 2, 2))
    before = ir.to_proto(graph).SerializeToString(deterministic=True)
    lower(graph, name)
    assert ir.to_proto(graph).SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("clips", [2, 3])
@pytest.mark.parametrize("name", ONE_CLIP)
def test_a_lowering_for_one_clip_is_refused_for_more_and_says_what_would_leak(name, clips):
    with pytest.raises(LoweringError, match="would leak into the next") as caught:
        lower(shift_graph(TSM, (4 * clips, 8, 2, 2)), name)
    assert caught.value.where == "the_shift"
    assert "slice_concat" in caught.value.fix


def test_negative_pad_is_for_one_clip():
    assert "negative_pad" in ONE_CLIP


@pytest.mark.parametrize("name", FIXED)
def test_a_lowering_on_the_fused_axis_is_refused_for_a_symbolic_batch(name):
    with pytest.raises(LoweringError, match="needs a fixed batch") as caught:
        lower(shift_graph(TSM, (4, 8, 2, 2), symbolic=True), name)
    assert "slice_concat" in caught.value.fix


def test_fused_lowerings_need_a_fixed_batch_and_slice_concat_does_not():
    assert {"fused_slice_concat", "fused_pad", "negative_pad"} <= set(FIXED)
    assert "slice_concat" not in FIXED


def test_slice_concat_with_a_symbolic_batch_serves_every_number_of_clips():
    graph = lower(shift_graph(TSM, (4, 8, 2, 2), symbolic=True), "slice_concat")
    for clips in (1, 2, 3):
        frames = np.random.default_rng(clips).standard_normal((4 * clips, 8, 2, 2)).astype(np.float32)
        assert np.array_equal(run_onnx(graph, frames), shift_numpy(frames, TSM))


def test_keeping_the_function_keeps_the_shift():
    graph = shift_graph(TSM, (4, 8, 2, 2))
    kept = lower(graph, KEEP)
    assert len(shift_nodes(kept)) == len(kept.functions) == 1
    assert kept is not graph


def test_an_unknown_lowering_names_the_known_ones():
    with pytest.raises(LoweringError, match="unknown lowering 'scatter'") as caught:
        lower(shift_graph(TSM, (4, 8, 2, 2)), "scatter")
    assert all(name in caught.value.fix for name in [KEEP, *NAMES])


@pytest.mark.parametrize("name", NAMES)
def test_a_shift_that_does_not_fit_its_tensor_is_refused(name):
    for shape in ((4, 1, 2, 2), (5, 8, 2, 2)):
        with pytest.raises(ShiftError):
            lower(shift_graph(TSM, shape), name)


def test_a_tensor_of_unknown_size_is_refused_by_the_name_of_its_shift():
    graph = shift_graph(TSM, (4, 8, 2, 2))
    (node,) = shift_nodes(graph)
    node.inputs[0].shape = ir.Shape([4, 8, "H", 2])
    with pytest.raises(LoweringError, match="has shape") as caught:
        lower(graph, "slice_concat")
    assert caught.value.where == "the_shift"


@pytest.mark.parametrize("name", NAMES)
def test_a_shift_at_both_ends_of_a_graph_is_lowered(name):
    graph = bare_shift(TSM, (4, 8, 2, 2))
    frames = np.random.default_rng(0).standard_normal((4, 8, 2, 2)).astype(np.float32)
    lowered = lower(graph, name)
    assert [value.name for value in lowered.graph.outputs] == ["y"]
    assert np.array_equal(run_onnx(lowered, frames), shift_numpy(frames, TSM))


def bare_shift(spec, shape):
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(shape))
    steps = tape.Tape()
    y = steps.op(SHIFT, [x], spec_attributes(spec), domain=DOMAIN, name="the_shift")
    y.name, y.shape, y.type = "y", x.shape, x.type
    graph = ir.Graph([x], [y], nodes=steps.nodes, opset_imports={"": OPSET, DOMAIN: 1}, name="shift")
    model = ir.Model(graph, ir_version=10)
    attach_functions(model)
    return model


@pytest.mark.parametrize("name", NAMES)
def test_a_lowering_that_rewrites_the_convolution_behind_the_shift_keeps_its_result(name):
    random = np.random.default_rng(7)
    for channels, batch in ((20, 1), (48, 1), (64, 2), (35, 3)):
        if batch > 1 and name in ONE_CLIP:
            continue
        spec = ShiftSpec(3, (Move(0, 5, -1), Move(5, 16, 1), Move(17, 19, 2, -1, 1)))
        frames = random.standard_normal((batch, 3, channels, 4, 5)).astype(np.float32)
        weight = random.standard_normal((6, channels, 1, 1)).astype(np.float32)
        bias = random.standard_normal(6).astype(np.float32)
        means = run_onnx(lower(convolved_shift(spec, frames.shape, weight, bias), name), frames)
        shifted = shift_numpy(frames.reshape(-1, channels, 4, 5), spec)
        expected = np.einsum("nchw,kc->nkhw", shifted, weight[:, :, 0, 0]).mean((2, 3)) + bias
        np.testing.assert_allclose(means, expected, rtol=1e-4, atol=1e-5)


def convolved_shift(spec, shape, weight, bias):
    """Frames of clips [N,T,C,H,W] through a shift and a 1x1 convolution to means [N*T,K]."""
    batch, segments, *rest = shape
    graph = ir.Graph([], [], nodes=[], opset_imports={"": OPSET, DOMAIN: 1}, name="convolved")

    def constant(name, values):
        tensor = ir.tensor(np.asarray(values), name=name)
        value = ir.Value(name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=tensor.shape)
        graph.register_initializer(value)
        return value

    clips = ir.Value(name="clips", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(shape))
    steps = tape.Tape()
    frames = steps.op("Reshape", [clips, constant("stacked", np.array([batch * segments, *rest]))])
    shifted = steps.op(SHIFT, [frames], spec_attributes(spec), domain=DOMAIN, name="the_shift")
    mixed = steps.op("Conv", [shifted, constant("weight", weight), constant("bias", bias)], name="conv")
    means = steps.op("ReduceMean", [mixed, constant("axes", np.array([2, 3]))], {"keepdims": 0}, name="mean")
    stacked, outputs = (batch * segments, *rest), len(weight)
    shapes = (stacked, stacked, (stacked[0], outputs, *rest[1:]), (stacked[0], outputs))
    names = ("frames", "shifted", "mixed", "means")
    for value, sizes, name in zip((frames, shifted, mixed, means), shapes, names, strict=True):
        value.name, value.shape, value.type = name, ir.Shape(sizes), ir.TensorType(ir.DataType.FLOAT)
    graph.inputs.append(clips)
    graph.outputs.append(means)
    graph.extend(steps.nodes)
    model = ir.Model(graph, ir_version=10)
    attach_functions(model)
    return model


@pytest.mark.parametrize(
    ("backbone", "batch", "name"),
    [
        (backbone, batch, name)
        for backbone, batch in (("resnet18", 1), ("resnet50", 1), ("resnet50", 2), ("mobilenet_v2", 1))
        for name in (KEEP, *(NAMES if batch == 1 else ANY_BATCH))
    ],
)
def test_a_lowered_network_computes_what_pytorch_computes(backbone, batch, name):
    frames, expected = frames_and_logits(backbone, batch)
    logits = run_onnx(lower(exported(backbone, batch), name), frames)
    assert np.abs(logits - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("device_name", device_names())
def test_targets_name_lowerings_of_the_table_and_for_batches_only_those_that_hold(device_name):
    profile = device(device_name)
    capability = targets.find(profile.target).probe(profile)
    assert {form_of(name) for name in capability.lowerings} <= {KEEP, *NAMES}
    assert {form_of(name) for name in capability.batch_lowerings} <= {KEEP, *ANY_BATCH}
    assert capability.lowerings
    assert capability.batch_lowerings
