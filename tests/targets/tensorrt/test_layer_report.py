import onnx_ir as ir
import pytest
from typed_graphs import canonical, lowered

from edgevid.errors import TargetError
from edgevid.targets.tensorrt._target import typed
from edgevid.targets.tensorrt.build import build_plan
from edgevid.targets.tensorrt.layer_report import REPORT, load_report, report_of, save_report


@pytest.fixture(scope="module")
def built():
    graph = typed(lowered("resnet50"), "fp32", "tensorrt_rtx")
    plan = build_plan(ir.to_proto(graph).SerializeToString(), flavor="tensorrt_rtx", capabilities=("8.9",))
    return graph, plan


def test_every_convolution_and_dense_layer_is_found(built):
    graph, plan = built
    layers = report_of(plan.log, graph).layers()
    expected = [node.name for node in canonical("resnet50").graph if node.op_type in ("Conv", "Gemm")]
    assert sorted(layer.name for layer in layers) == sorted(expected)
    assert {layer.precision for layer in layers} == {"fp32"}


def test_the_notes_tell_kernels_shifts_and_bytes(built):
    graph, plan = built
    report = report_of(plan.log, graph)
    (note,) = report.notes()
    assert note.startswith(f"{len(report.kernels)} kernels, {sum(report.shifts.values())} of them for")
    assert report.moved > 0
    assert report.weights > 0


def test_the_constants_of_its_kernels_are_the_weights(built):
    graph, plan = built
    report = report_of(plan.log, graph)
    listed = {each.name: each.bytes for kernel in report.kernels for each in kernel.constants}
    assert sum(listed.values()) == report.weights


def test_a_report_is_read_back_as_it_was_written(built, tmp_path):
    graph, plan = built
    report = report_of(plan.log, graph)
    save_report(report, tmp_path)
    assert load_report(tmp_path) == report


@pytest.mark.parametrize("text", [None, "{", "{}"])
def test_a_missing_or_damaged_report_is_named(tmp_path, text):
    if text is not None:
        (tmp_path / REPORT).write_text(text)
    with pytest.raises(TargetError, match="report of the engine's layers") as refused:
        load_report(tmp_path)
    assert refused.value.where == str(tmp_path / REPORT)


def test_a_layer_without_a_kernel_is_refused(built):
    graph, plan = built
    name = next(node.name for node in graph.graph if node.op_type == "Conv")
    with pytest.raises(TargetError, match="no kernel for a layer") as refused:
        report_of(plan.log.replace(f"ONNX Layer: {name}]", "ONNX Layer: other]"), graph)
    assert refused.value.where == name
