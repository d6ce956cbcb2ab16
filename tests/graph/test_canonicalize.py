"""A foreign graph at one clip and at several: the same shifts, or a reason and the way out."""

import numpy as np
import pytest
from foreign_graphs import random_weights, save

from edgevid.errors import ConfigError, GraphError, TargetError
from edgevid.graph.canonicalize import canonicalize
from edgevid.graph.clip_input import clip_input
from edgevid.graph.read_onnx import read_onnx
from edgevid.shift import Layout, Move, ShiftSpec
from edgevid.targets.onnxruntime import evaluate

INTO = {
    # How frames become clips, and clips the tensor that is shifted along time.
    "frames": "v = Reshape(f, clips)",
    "volume": "c = Reshape(f, clips) t = Transpose<perm = [0, 2, 1, 3, 4]>(c) v = Sigmoid(t)",
    "time first": "v = Reshape(f, timed)",
}
OUT_OF = {
    "frames": "j = Reshape(s, joined)",
    "volume": "g = Tanh(s) u = Transpose<perm = [0, 2, 1, 3, 4]>(g) j = Reshape(u, joined)",
    "time first": "j = Reshape(s, joined)",
}
AXES = {"frames": (2, 1), "volume": (1, 2), "time first": (2, 0)}
SPEC = ShiftSpec(4, (Move(0, 2, +1),))


def read(tmp_path, kind="frames", *, clips=(-1, 4, 8, 8, 8), shape="N, 3, 8, 8"):
    """A network of one shift, by a frame where a clip has four, that answers for each frame."""
    channel_axis, time_axis = AXES[kind]
    pads = np.zeros(10, np.int64)
    pads[time_axis], pads[time_axis + 5] = 1, -1
    weights = random_weights(weight=(8, 3, 1, 1), second=(8, 8, 1, 1)) | {
        "clips": np.array(clips),
        "timed": np.array((4, -1, 8, 8, 8)),
        "joined": np.array((-1, 8, 8, 8)),
        "parts": np.array([2, 6]),
        "pads": pads,
    }
    text = f"""net (float[{shape}] x) => (float[M, 8] y) {{
        f = Conv(x, weight) {INTO[kind]}
        a, b = Split<axis = {channel_axis}>(v, parts)
        moved = Pad(a, pads)
        s = Concat<axis = {channel_axis}>(moved, b)
        {OUT_OF[kind]} k = Conv(j, second) r = Relu(k)
        y = ReduceMean<axes = [2, 3], keepdims = 0>(r)
    }}"""
    return read_onnx(save(tmp_path / "net.onnx", text, weights=weights))


def canonical(model, batch=1, known=(), segments=4):
    return canonicalize(model, clip_input(model, segments=segments), batch, evaluate, known)


@pytest.mark.parametrize("kind", ["frames", "volume"])
def test_a_larger_batch_has_the_shifts_of_one_clip(tmp_path, kind):
    model = read(tmp_path, kind, clips=(-1, 4, 8, 8, 8))
    one = canonical(model)
    layout = Layout.VOLUME if kind == "volume" else Layout.FRAMES
    assert one.shifts == (ShiftSpec(4, SPEC.moves, layout),)
    assert canonical(model, 3, one.shifts).shifts == one.shifts


@pytest.mark.parametrize(
    ("kind", "clips"), [("frames", (1, -1, 8, 8, 8)), ("time first", (-1, 4, 8, 8, 8))], ids=["leak", "time"]
)
def test_a_shift_that_is_another_in_a_larger_batch_is_refused(tmp_path, kind, clips):
    model = read(tmp_path, kind, clips=clips)
    one = canonical(model)
    assert one.shifts == (SPEC,)
    with pytest.raises(GraphError, match=r"for a batch of 3: .*not stacked clip by clip.*crosses") as caught:
        canonical(model, 3, one.shifts)
    assert "net.onnx" in caught.value.where
    assert "compile batch 1" in caught.value.fix
    assert "--segments" not in str(caught.value)


def test_a_shift_that_is_lost_in_a_larger_batch_is_refused(tmp_path):
    model = read(tmp_path)
    with pytest.raises(GraphError, match=r"batch of 2: 1 shifts are found, and in one clip 2") as caught:
        canonical(model, 2, (SPEC, SPEC))
    assert "net.onnx" in caught.value.where
    assert "compile batch 1" in caught.value.fix


@pytest.mark.parametrize("kind", ["frames", "volume"])
def test_several_clips_that_are_taken_for_one_are_refused(tmp_path, kind):
    model = read(tmp_path, kind, clips=(2, 4, 8, 8, 8), shape="8, 3, 8, 8")
    with pytest.raises(ConfigError, match=r"clips of 8 frames, but the shift .* is of 4") as caught:
        canonical(model, segments=None)
    assert "one clip of 4 frames" in caught.value.fix


@pytest.mark.parametrize("kind", ["frames", "volume"])
def test_a_flag_of_several_clips_is_told_which_it_should_be(tmp_path, kind):
    with pytest.raises(ConfigError, match=r"clips of 8 frames, but the shift .* is of 4") as caught:
        canonical(read(tmp_path, kind), segments=8)
    assert caught.value.fix == "give --segments 4"


def test_a_region_that_cannot_be_run_is_refused_with_the_file(tmp_path):
    def failing(model, feeds):
        raise TargetError("no kernel for it", where="region")

    model = read(tmp_path)
    with pytest.raises(GraphError, match="no kernel for it") as caught:
        canonicalize(model, clip_input(model, segments=4), 1, failing)
    assert "net.onnx" in caught.value.where
    assert caught.value.fix
