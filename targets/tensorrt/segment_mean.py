"""The mean over the segments of one clip, without a kernel that only renames its shape."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import common as passes

from edgevid.graph.plain_shift import Writer

__all__ = ["merge_segment_mean"]


def merge_segment_mean(graph: ir.Model) -> ir.Model:
    """A copy in which the mean of [T, C] seen as [1, T, C] over T is one of [T, C] over its first axis.

    TensorRT for RTX 1.7 runs the former in two kernels. Batches of several clips stay as they are.
    """
    changed = graph.clone()
    write = Writer(changed.graph, "segments", [], ir.DataType.FLOAT)
    for node in changed.graph:
        split = node.inputs[0].producer() if node.op_type == "ReduceMean" and node.inputs[0] else None
        if split is None or split.op_type != "Reshape" or not _is_mean_of_one_clip(node, split):
            continue
        node.replace_input_with(0, split.inputs[0])
        node.replace_input_with(1, write.constant("segments.axis", np.array([0], np.int64)))
        node.attributes["keepdims"] = ir.AttrInt64("keepdims", 1)
    passes.RemoveUnusedNodesPass()(changed)
    return changed


def _is_mean_of_one_clip(mean: ir.Node, split: ir.Node) -> bool:
    axes = None if len(mean.inputs) < 2 or mean.inputs[1] is None else mean.inputs[1].const_value
    if axes is None or list(axes.numpy()) != [1] or mean.attributes.get_int("keepdims", 1) != 0:
        return False
    before, behind = split.inputs[0], split.outputs[0]
    if before is None or before.shape is None or behind.shape is None:
        return False
    return len(behind.shape) == 3 and list(behind.shape) == [1, *before.shape]
