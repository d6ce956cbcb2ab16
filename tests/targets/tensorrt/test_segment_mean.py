import numpy as np
import pytest
from typed_graphs import BACKBONES, lowered

from edgevid.targets.onnxruntime import evaluate
from edgevid.targets.tensorrt.segment_mean import merge_segment_mean


def clips(batch):
    return np.random.default_rng(0).integers(0, 256, (batch, 4, 32, 32, 3), np.uint8)


def operations(graph):
    return [node.op_type for node in graph.graph]


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_logits_of_one_clip_are_the_same_with_one_operation_less(backbone):
    graph = lowered(backbone)
    merged = merge_segment_mean(graph)
    assert operations(merged).count("Reshape") == operations(graph).count("Reshape") - 1
    np.testing.assert_array_equal(
        evaluate(merged, {"clips": clips(1)})[0], evaluate(graph, {"clips": clips(1)})[0]
    )


def test_a_batch_of_two_clips_is_left_alone():
    graph = lowered("resnet50", 2)
    assert operations(merge_segment_mean(graph)) == operations(graph)


def test_the_given_graph_is_not_changed():
    graph = lowered("resnet50")
    before = operations(graph)
    merge_segment_mean(graph)
    assert operations(graph) == before
