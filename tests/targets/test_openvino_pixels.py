"""Frames that are normalized as they lie, before their colours become planes."""

import numpy as np
import onnx_ir as ir
import pytest
from onnx_ir import tape
from target_graphs import canonical, capability_of, clips_for, compiled

from edgevid import targets
from edgevid.contract import Normalization
from edgevid.graph.lower import lower
from edgevid.graph.prelude import with_uint8_clips
from edgevid.targets._openvino_pixels import normalize_rows
from edgevid.targets.onnxruntime import evaluate

FORMS = ("fused_pad", "volume_split_conv")


def opening(model):
    """The operations before the first convolution."""
    kinds = [node.op_type for node in model.graph]
    return kinds[: kinds.index("Conv")]


def clips(batch, segments=4, size=32):
    return np.random.default_rng(0).integers(0, 256, (batch, segments, size, size, 3), dtype=np.uint8)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("batch", [1, 2])
def test_the_logits_are_the_same_to_the_last_bit(form, batch):
    graph = lower(canonical(batch), form)
    changed = normalize_rows(graph)
    assert opening(graph)[0] == "Transpose"
    assert opening(changed)[0] == "Reshape"
    assert [node.op_type for node in changed.graph].count("Transpose") == [
        node.op_type for node in graph.graph
    ].count("Transpose") - (form == "volume_split_conv")
    given = {graph.graph.inputs[0].name: clips(batch)}
    np.testing.assert_array_equal(evaluate(changed, given)[0], evaluate(graph, given)[0])


def frames(normalization):
    """A graph that returns its frames."""
    value = ir.Value(name="frames", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([1, 2, 3, 4, 5]))
    steps = tape.Tape()
    sizes = ir.Value(name="sizes", const_value=ir.tensor(np.array([2, 3, 4, 5])), shape=ir.Shape([4]))
    sizes.type = ir.TensorType(ir.DataType.INT64)
    view = steps.op("Reshape", [value, sizes], name="frames.view")
    out = steps.op("Identity", [view], name="frames.returned")
    for each, name in ((view, "view"), (out, "returned")):
        each.name, each.type, each.shape = name, value.type, ir.Shape([2, 3, 4, 5])
    graph = ir.Graph(
        [value], [out], nodes=list(steps.nodes), initializers=[sizes], opset_imports={"": 20}, name="frames"
    )
    return with_uint8_clips(ir.Model(graph, ir_version=10), normalization)


@pytest.mark.parametrize(
    "normalization",
    [
        Normalization(),
        Normalization(mean=(0, 0, 0)),
        Normalization(std=(1, 1, 1)),
        Normalization(mean=(0, 0, 0), std=(1, 1, 1)),
    ],
)
def test_every_normalization_is_of_the_right_colours(normalization):
    graph = frames(normalization)
    given = {"clips": np.arange(120, dtype=np.uint8).reshape(1, 2, 4, 5, 3)}
    found = evaluate(normalize_rows(graph), given)[0]
    wanted = evaluate(graph, given)[0]
    np.testing.assert_array_equal(found, wanted)
    assert len({float(plane.sum()) for plane in wanted[0]}) == 3


def test_other_orders_of_colours_stay_as_they_are():
    graph = frames(Normalization(color="BGR"))
    assert [node.name for node in normalize_rows(graph).graph] == [node.name for node in graph.graph]


def test_the_runtime_turns_no_frame_around(tmp_path):
    if not capability_of("openvino").executes:
        pytest.skip("openvino is not installed")
    artifact = compiled("openvino", tmp_path, lowering="fused_pad")
    with targets.find("openvino").open(artifact) as session:
        times = session.layer_times(clips_for(session), runs=1)
    assert not [time.name for time in times if time.kind == "Transpose"]
