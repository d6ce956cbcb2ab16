import numpy as np
import onnx
import onnx_ir as ir
import onnxsim
import pytest
from onnx.reference import ReferenceEvaluator
from shift_graphs import random_case, run_onnx, shift_graph

from edgevid.errors import GraphError
from edgevid.graph.shift_op import (
    DOMAIN,
    OPSET,
    attach_functions,
    replace_specs,
    shift_nodes,
    spec_attributes,
    spec_of,
)
from edgevid.shift import Layout, Move, ShiftSpec, shift_numpy

CASES = range(12)
TSM = ShiftSpec.tsm(8, 4)


def drawn(seed, dtype=np.float32):
    random = np.random.default_rng(seed)
    spec, shape = random_case(random)
    return spec, shape, random.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("seed", CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_the_function_body_in_onnx_runtime_is_the_numpy_reference(seed, dtype):
    spec, shape, clips = drawn(seed, dtype)
    for symbolic in (False, True):
        shifted = run_onnx(shift_graph(spec, shape, dtype, symbolic=symbolic), clips)
        assert shifted.dtype == dtype
        assert np.array_equal(shifted, shift_numpy(clips, spec)), spec


@pytest.mark.parametrize("seed", CASES)
def test_the_function_body_in_onnxs_own_evaluator_is_the_numpy_reference(seed):
    spec, shape, clips = drawn(seed)
    evaluator = ReferenceEvaluator(ir.to_proto(shift_graph(spec, shape)))
    assert np.array_equal(evaluator.run(None, {"x": clips})[0], shift_numpy(clips, spec)), spec


def test_the_function_body_needs_no_optimization_to_be_right():
    spec, shape, clips = drawn(3)
    graph = shift_graph(spec, shape)
    assert np.array_equal(run_onnx(graph, clips, optimized=False), shift_numpy(clips, spec))


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int32])
def test_the_function_body_moves_quantized_numbers_too(kind):
    spec = ShiftSpec(3, (Move(0, 2, -1), Move(3, 5, 0, 1, -1)))
    clips = np.random.default_rng(0).integers(0, 100, (6, 7, 3, 3)).astype(kind)
    graph = ir.to_proto(shift_graph(spec, clips.shape))
    for node in graph.graph.node:
        node.op_type = node.op_type.replace("Neg", "Identity")
    values = [*graph.graph.input, *graph.graph.output, *graph.graph.value_info]
    for value in values:
        value.type.tensor_type.elem_type = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    assert np.array_equal(run_onnx(graph, clips), shift_numpy(clips, spec))


def test_one_graph_with_a_symbolic_batch_serves_every_number_of_clips():
    graph = shift_graph(TSM, (4, 8, 2, 2), symbolic=True)
    for clips in (1, 2, 5):
        frames = np.random.default_rng(clips).standard_normal((4 * clips, 8, 2, 2)).astype(np.float32)
        assert np.array_equal(run_onnx(graph, frames), shift_numpy(frames, TSM))


def test_onnxsim_keeps_the_shift_as_one_operation():
    spec, shape, clips = drawn(5)
    simplified, checked = onnxsim.simplify(ir.to_proto(shift_graph(spec, shape)))
    assert checked
    assert [node.op_type for node in simplified.graph.node].count("Shift") == 1
    assert np.array_equal(run_onnx(simplified, clips), shift_numpy(clips, spec))


def test_a_graph_survives_being_written_and_read_by_onnx(tmp_path):
    spec, shape, clips = drawn(7)
    onnx.save(ir.to_proto(shift_graph(spec, shape)), tmp_path / "shift.onnx")
    read = ir.load(tmp_path / "shift.onnx")
    (node,) = shift_nodes(read)
    assert spec_of(node) == spec
    assert np.array_equal(run_onnx(read, clips), shift_numpy(clips, spec))


@pytest.mark.parametrize("seed", CASES)
def test_attributes_give_back_the_spec(seed):
    spec, shape, _ = drawn(seed)
    (node,) = shift_nodes(shift_graph(spec, shape))
    assert spec_of(node) == spec
    assert spec_attributes(spec)["layout"] == str(spec.layout)


def test_the_canonical_graph_is_of_versions_that_onnx_runtime_reads():
    graph = shift_graph(TSM, (4, 8, 2, 2))
    assert graph.opset_imports == {"": OPSET, DOMAIN: 1}
    assert graph.ir_version == 10
    assert {function.opset_imports[""] for function in graph.functions.values()} == {OPSET}


def test_equal_specs_share_a_function_and_different_ones_do_not():
    graph = shift_graph(TSM, (4, 8, 2, 2))
    for spec, functions in ((TSM, 1), (TSM.swapped(), 2)):
        copy = graph.clone()
        (first,) = shift_nodes(copy)
        second = ir.Node(
            DOMAIN, "Shift", [first.outputs[0]], [ir.Attr(n, a.type, a.value) for n, a in attributes(spec)]
        )
        second.outputs[0].name = "again"
        last = first.outputs[0].uses()[0].node
        copy.graph.insert_after(first, [second])
        last.replace_input_with(0, second.outputs[0])
        attach_functions(copy)
        assert len(copy.functions) == functions
        assert {node.overload for node in shift_nodes(copy)} == {key[2] for key in copy.functions}
        clips = np.random.default_rng(0).standard_normal((4, 8, 2, 2)).astype(np.float32)
        assert np.array_equal(run_onnx(copy, clips), shift_numpy(shift_numpy(clips, TSM), spec))


def attributes(spec):
    return [
        ("segments", ir.AttrInt64("segments", spec.segments)),
        ("moves", ir.AttrInt64s("moves", spec.flat)),
        ("layout", ir.AttrString("layout", spec.layout.value)),
    ]


def test_functions_of_specs_that_are_gone_are_removed():
    graph = shift_graph(TSM, (4, 8, 2, 2))
    (node,) = shift_nodes(graph)
    node.attributes["moves"] = ir.AttrInt64s("moves", TSM.swapped().flat)
    attach_functions(graph)
    assert [key[2] for key in graph.functions] == [node.overload]


@pytest.mark.parametrize("layout", list(Layout))
@pytest.mark.parametrize("change", [ShiftSpec.without_moves, ShiftSpec.swapped])
def test_replaced_specs_compute_the_changed_shift_and_leave_the_graph_alone(layout, change):
    spec = ShiftSpec.tsm(8, 4, layout=layout)
    shape = (8, 8, 2, 3) if layout is Layout.FRAMES else (2, 8, 4, 2, 3)
    clips = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    graph = shift_graph(spec, shape)
    changed = replace_specs(graph, change)
    assert np.array_equal(run_onnx(changed, clips), shift_numpy(clips, change(spec)))
    assert np.array_equal(run_onnx(graph, clips), shift_numpy(clips, spec))


@pytest.mark.parametrize("missing", ["segments", "layout"])
def test_a_shift_without_its_attributes_is_refused_by_name(missing):
    (node,) = shift_nodes(shift_graph(TSM, (4, 8, 2, 2)))
    del node.attributes[missing]
    with pytest.raises(GraphError, match="without its attributes") as caught:
        spec_of(node)
    assert "the_shift" in str(caught.value)


@pytest.mark.parametrize(
    "attribute",
    [
        ir.AttrString("layout", "[N,H,W,C]"),
        ir.AttrString("segments", "four"),
        ir.AttrInt64("segments", 0),
        ir.AttrInt64s("moves", [0, 1, 1]),
        ir.AttrInt64s("moves", [0, 0, 1, 0, 0]),
    ],
    ids=["layout", "segments-word", "segments-zero", "moves-length", "moves-empty"],
)
def test_attributes_that_are_no_shift_are_refused_by_the_name_of_the_node(attribute):
    (node,) = shift_nodes(shift_graph(TSM, (4, 8, 2, 2)))
    node.attributes[attribute.name] = attribute
    with pytest.raises(GraphError) as caught:
        spec_of(node)
    assert caught.value.where == "the_shift"
