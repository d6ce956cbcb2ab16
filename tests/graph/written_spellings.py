"""How others write a shift directly in ONNX operations, in any opset from 11."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from shift_spellings import CHANNELS, CLIPS, FRAMES, PAST_FIRST, SEGMENTS, SIZE, TSM


class Nodes:
    """Collects the operations of a graph from ``x`` to ``y`` in any opset."""

    def __init__(self, opset):
        self.opset, self.nodes, self.constants = opset, [], []

    def __call__(self, kind, *inputs, outputs=None, **attributes):
        names = outputs or [f"{kind}{len(self.nodes)}"]
        values = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        self.nodes.append(helper.make_node(kind, values, names, name=names[0], **attributes))
        return names[0] if len(names) == 1 else names

    def constant(self, array):
        name = f"constant{len(self.constants)}"
        array = np.asarray(array)
        kind = np.float32 if array.dtype.kind == "f" else array.dtype
        self.constants.append(numpy_helper.from_array(array.astype(kind), name))
        return name

    def split(self, value, sizes, axis):
        """Sizes are an attribute before opset 13."""
        names = [f"part{len(self.nodes)}_{number}" for number in range(len(sizes))]
        if self.opset < 13:
            return self("Split", value, outputs=names, split=sizes, axis=axis)
        return self("Split", value, np.array(sizes), outputs=names, axis=axis)

    def ends(self, value, shape, **inputs):
        """The finished model: ``value`` through a Relu is ``y``; ``inputs`` are shapes of others."""
        self("Relu", value, outputs=["y"])
        kind, shapes = TensorProto.FLOAT, {"x": shape, **inputs}
        graph = helper.make_graph(
            self.nodes,
            "written",
            [helper.make_tensor_value_info(name, kind, sizes) for name, sizes in shapes.items()],
            [helper.make_tensor_value_info("y", kind, shape)],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=7)
        onnx.checker.check_model(model, full_check=True)
        return model


APART = np.array([CLIPS, SEGMENTS, CHANNELS, SIZE, SIZE])


def paddle_slices(op, x):
    """paddle2onnx: Reshape, one Pad, three Slices, Concat, Reshape."""
    padded = op("Pad", op("Reshape", x, APART), np.array([0, 1, 0, 0, 0, 0, 1, 0, 0, 0]))
    past = op("Slice", padded, np.array([0, 0]), np.array([SEGMENTS, 2]), np.array([1, 2]))
    future = op("Slice", padded, np.array([2, 2]), np.array([SEGMENTS + 2, 4]), np.array([1, 2]))
    rest = op("Slice", padded, np.array([1, 4]), np.array([SEGMENTS + 1, CHANNELS]), np.array([1, 2]))
    return op("Reshape", op("Concat", past, future, rest, axis=2), np.array(FRAMES))


def splits(op, x):
    """Split by channels, then by frames; the zeros are constant."""
    future, past, rest = op.split(op("Reshape", x, APART), [2, 2, CHANNELS - 4], 2)
    zeros = np.zeros((CLIPS, 1, 2, SIZE, SIZE))
    _, kept = op.split(future, [1, SEGMENTS - 1], 1)
    future = op("Concat", kept, zeros, axis=1)
    kept, _ = op.split(past, [SEGMENTS - 1, 1], 1)
    past = op("Concat", zeros, kept, axis=1)
    return op("Reshape", op("Concat", future, past, rest, axis=2), np.array(FRAMES))


def channels_last(op, x):
    """From TensorFlow: [N,H,W,C] frames; the other layout stands around every step."""
    last = op("Transpose", x, perm=[0, 2, 3, 1])
    clips = op("Reshape", last, np.array([CLIPS, SEGMENTS, SIZE, SIZE, CHANNELS]))
    future, past, rest = op.split(clips, [2, 2, CHANNELS - 4], 4)
    future = op("Pad", future, np.array([0, -1, 0, 0, 0, 0, 1, 0, 0, 0]))
    past = op("Pad", past, np.array([0, 1, 0, 0, 0, 0, -1, 0, 0, 0]))
    joined = op("Concat", future, past, rest, axis=4)
    frames = op("Reshape", joined, np.array([CLIPS * SEGMENTS, SIZE, SIZE, CHANNELS]))
    return op("Transpose", frames, perm=[0, 3, 1, 2])


def clip_by_clip(op, x):
    """Without a fifth axis: slices of the stacked frames, zeros between the clips."""
    zeros, parts = np.zeros((1, 2, SIZE, SIZE)), []
    for channel, starts in ((0, (1, SEGMENTS)), (2, (0, SEGMENTS - 1))):
        clips = []
        for first in range(0, CLIPS * SEGMENTS, SEGMENTS):
            begin, end = np.array([first + starts[0], channel]), np.array([first + starts[1], channel + 2])
            kept = op("Slice", x, begin, end, np.array([0, 1]))
            clips += [kept, zeros] if channel == 0 else [zeros, kept]
        parts.append(op("Concat", *clips, axis=0))
    rest = op("Slice", x, np.array([4]), np.array([1 << 62]), np.array([1]))
    return op("Concat", *parts, rest, axis=1)


def where_with_masks(op, x):
    """The whole clip moved both ways; masks choose."""
    clips = op("Reshape", x, APART)
    future = op("Pad", clips, np.array([0, -1, 0, 0, 0, 0, 1, 0, 0, 0]))
    past = op("Pad", clips, np.array([0, 1, 0, 0, 0, 0, -1, 0, 0, 0]))
    channel = np.arange(CHANNELS).reshape(1, 1, -1, 1, 1)
    chosen = op("Where", channel < 2, future, op("Where", channel < 4, past, clips))
    return op("Reshape", chosen, np.array(FRAMES))


def one_hot_volume(op, x):
    """A depthwise 3-D convolution in [N,C,T,H,W]."""
    kernel = np.zeros((CHANNELS, 1, 3, 1, 1))
    kernel[:2, 0, 2] = kernel[2:4, 0, 0] = kernel[4:, 0, 1] = 1
    volume = op("Transpose", op("Reshape", x, APART), perm=[0, 2, 1, 3, 4])
    moved = op("Conv", volume, kernel, group=CHANNELS, pads=[1, 0, 0, 1, 0, 0])
    return op("Reshape", op("Transpose", moved, perm=[0, 2, 1, 3, 4]), np.array(FRAMES))


def one_hot_matrix(op, x):
    """Frames times a matrix with one 1 a row, a group of channels at a time."""
    clips = op("Transpose", op("Reshape", x, APART), perm=[0, 2, 3, 4, 1])
    future, past, rest = op.split(clips, [2, 2, CHANNELS - 4], 1)
    future = op("MatMul", future, np.eye(SEGMENTS, k=-1))
    past = op("MatMul", past, np.eye(SEGMENTS, k=1))
    joined = op("Transpose", op("Concat", future, past, rest, axis=1), perm=[0, 4, 1, 2, 3])
    return op("Reshape", joined, np.array(FRAMES))


def scattered_elements(op, x):
    """ScatterElements along the stacked frames into zeros."""
    parts = [op("Slice", x, np.array([a]), np.array([b]), np.array([1])) for a, b in ((0, 2), (2, 4), (4, 9))]
    for number, step in ((0, -1), (1, +1)):
        kept = np.array([f for f in range(CLIPS * SEGMENTS) if 0 <= f % SEGMENTS + step < SEGMENTS])
        taken = op("Gather", parts[number], kept, axis=0)
        index = np.broadcast_to((kept + step).reshape(-1, 1, 1, 1), (len(kept), 2, SIZE, SIZE))
        zeros = np.zeros((CLIPS * SEGMENTS, 2, SIZE, SIZE))
        parts[number] = op("ScatterElements", zeros, np.ascontiguousarray(index), taken, axis=0)
    return op("Concat", *parts, axis=1)


WRITTEN = {
    **dict.fromkeys((splits, channels_last, clip_by_clip, where_with_masks), TSM),
    **dict.fromkeys((one_hot_volume, one_hot_matrix, scattered_elements), TSM),
    paddle_slices: PAST_FIRST,
}
"""Spelling to the shift that it is."""


def written(spelling, opset):
    """The spelling between two Relus."""
    op = Nodes(opset)
    return op.ends(spelling(op, op("Relu", "x")), FRAMES)


def graph_of(opset=20):
    """A pen for a graph, and its ``x`` after a Relu; `Nodes.ends` finishes it."""
    op = Nodes(opset)
    return op, op("Relu", "x")


def moved_on(op, value, pads=(0, 1, 0, 0, 0, 0, -1, 0, 0, 0), **attributes):
    """All channels one frame on."""
    clips = op("Reshape", value, np.array([CLIPS, SEGMENTS, CHANNELS, SIZE, SIZE]))
    return op("Reshape", op("Pad", clips, np.array(pads), **attributes), np.array(FRAMES))
