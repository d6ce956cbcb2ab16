"""A thousand damaged ONNX files (most in a slow test): each is refused in words, or read and right.

They are read in one process with 4 GB of memory, so that a crash, a hang and a flood show.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from exported_networks import export
from foreign_graphs import norm_weights, random_weights, save

HERE = Path(__file__).parent
MANY_KINDS = """
net (float[N, 3, 8, 8] x) => (float[A, B] y) {
  zero = Constant<value = int64 {0}>()
  axis = Constant<value = int64[1] {0}>()
  rest = Constant<value = int64[4] {2, 4, 8, 8}>()
  kept = Constant<value = int64 {3}>()
  a = Conv<pads = [1, 1, 1, 1], group = 1>(x, weight, bias)
  b = BatchNormalization<epsilon = 0.001>(a, scale, offset, mean, variance)
  c, mask = Dropout(b)
  d = Clip(c, low, high)
  shape = Shape(d)
  frames = Gather<axis = 0>(shape, zero)
  two = Constant<value = int64 {2}>()
  clips = Div(frames, two)
  first = Unsqueeze(clips, axis)
  sizes = Concat<axis = 0>(first, rest)
  volume = Reshape(d, sizes)
  left, right = Split<axis = 2>(volume, parts)
  padded = Pad(left, pads)
  late = Slice(padded, starts, ends, axes)
  moved = Concat<axis = 2>(late, right)
  back = Reshape(moved, shape)
  channels = Gather<axis = 0>(shape, kept)
  condition = Equal(channels, channels)
  e = If (condition) <
    then_branch = yes () => (float[P, Q, R, S] yes_y) { yes_y = Relu(back) },
    else_branch = no () => (float[P, Q, R, S] no_y) { no_y = local.twice(back) }
  >
  f = Transpose<perm = [0, 1, 3, 2]>(e)
  larger = Resize<mode = "nearest">(f, , scales)
  g = local.twice(larger)
  h = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(g)
  index = Range(zero, two, kept)
  i = GlobalAveragePool(h)
  j = Flatten(i)
  k = MatMul(j, head)
  y = Softmax<axis = 1>(k)
}
<domain: "local", opset_import: ["" : 13]>
twice (p) => (q) { q = Add(p, p) }
"""


def write_sources(folder):
    """Networks of several exporters, opsets and types."""
    export(folder, dynamic=True, opset=11).rename(folder / "source1.onnx")
    export(folder, kind="cat", half=True).rename(folder / "source2.onnx")
    export(folder, dynamo=True).rename(folder / "source3.onnx")
    weights = random_weights(weight=(4, 3, 3, 3), bias=4, head=(4, 5)) | norm_weights(4)
    weights |= {
        "parts": np.array([1, 3]),
        "pads": np.array([0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
        "starts": np.array([0]),
        "ends": np.array([2]),
        "axes": np.array([1]),
        "scales": np.array([1, 1, 2, 2], np.float32),
        "low": np.float32(-6),
        "high": np.float32(6),
    }
    save(folder / "source4.onnx", MANY_KINDS, weights=weights, imports=', "local" : 1')


@pytest.mark.parametrize(("first", "files"), [(0, 100), pytest.param(10**6, 800, marks=pytest.mark.slow)])
def test_damaged_files_are_refused_in_words_or_read_right(tmp_path, first, files):
    write_sources(tmp_path)
    paths = {"PYTHONPATH": os.pathsep.join((str(HERE), str(HERE.parent)))}
    done = subprocess.run(
        [sys.executable, HERE / "mutated_onnx.py", tmp_path, str(files), str(first)],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
        env=os.environ | paths,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["wrong"] == []
    refused = sum(count for kind, count in report["counts"].items() if kind.startswith("refused"))
    right = report["counts"]["read: right"]
    print(f"{refused} refused, {files - refused} read, {right} compared, {report['MiB']} MiB at most")
    assert sum(report["counts"].values()) == files
    assert refused > files // 4
    assert right > files // 10
