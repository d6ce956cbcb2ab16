"""Pooling, dense layers and copies in float32 against numpy, over random shapes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("tvm")

from reference import error, moved, normalized, pack, random, run, sizes, unpack, windows, within
from test_convolutions import BLOCKS, BOUNDS, geometry, moves

from edgevid.targets.tvm.kernels import copy, dense, pool
from edgevid.targets.tvm.network import Copy, Dense, Frames, Pool

stable = settings(
    derandomize=True, deadline=None, max_examples=15, suppress_health_check=[HealthCheck.filter_too_much]
)


@st.composite
def pools(draw):
    axes, ends, outputs = [], [], []
    for _ in range(3):
        kernel, stride, pad, _, size, _ = draw(geometry(4).filter(lambda g: g[3] == 1))
        pad, end = min(pad, kernel - 1), draw(st.integers(0, kernel - 1))
        # ceil_mode: a last window may reach further, but begins inside or on the pads before it.
        room = size + pad + end - kernel
        output = max(room, 0) // stride + 1
        if draw(st.booleans()) and room % stride and output * stride < size + pad:
            output += 1
        axes.append((kernel, stride, pad, size))
        ends.append(end)
        outputs.append(output)
    clips, channels, block = draw(st.integers(1, 2)), draw(st.integers(1, 20)), draw(BLOCKS)
    kernel, strides, pads, size = zip(*axes, strict=True)
    return Pool(
        draw(st.sampled_from(["max", "average"])),
        Frames(clips, size[0], channels, *size[1:], block),
        Frames(clips, outputs[0], channels, *outputs[1:], block),
        kernel,
        strides,
        pads,
        draw(st.booleans()),
        tuple(ends),
    )


def pooled(operation, source):
    outside = -np.inf if operation.kind == "max" else 0.0
    read = [part for _, part in windows(source.astype(np.float64), operation, outside)]
    if operation.kind == "max":
        return np.max(read, axis=0)
    counted = np.ones_like(source)
    if operation.count_pads:
        around = list(zip(operation.pads, operation.ends, strict=True))
        counted = np.pad(counted, [(0, 0), around[0], (0, 0), *around[1:]], constant_values=1)
        operation = replace(operation, pads=(0, 0, 0))
    return np.sum(read, axis=0) / np.sum([part for _, part in windows(counted, operation, 0)], axis=0)


@stable
@given(pools())
def test_pools_over_time_and_space_divide_by_what_they_count(operation):
    source = random(sizes(operation.source))
    result = run(pool.build(operation, "kernel"), [pack(source, operation.source)], operation.target)
    assert error(unpack(result, operation.target), pooled(operation, source)) < 1e-5


@stable
@given(st.integers(1, 20), st.integers(1, 50), st.integers(1, 50), BLOCKS, BLOCKS, BOUNDS)
def test_dense_layers_of_any_number_of_rows(rows, inputs, outputs, block, other, bounds):
    operation = Dense(Frames(rows, 1, inputs, 1, 1, other), Frames(rows, 1, outputs, 1, 1, block), bounds)
    source, weight, bias = random((rows, inputs), 1), random((outputs, inputs), 2), random(outputs, 3)
    packed = dense.pack(operation, {"weight": weight, "bias": bias})
    memory = [pack(source, operation.source), *packed]
    result = unpack(run(dense.build(operation, "kernel"), memory, operation.target), operation.target)
    assert error(result.reshape(rows, outputs), within(source.astype(float) @ weight.T + bias, bounds)) < 1e-5


@stable
@given(st.integers(1, 2), st.integers(1, 4), st.integers(1, 40), st.data())
def test_copies_move_channels_between_blocks_and_frames(clips, segments, channels, data):
    block = st.sampled_from([1, 4, 16, channels])
    source = Frames(clips, segments, channels, 3, 4, data.draw(block))
    target = Frames(clips, segments, channels, 3, 4, data.draw(block))
    operation = Copy(source, target, data.draw(moves(channels, True)))
    values = random(sizes(source))
    result = run(copy.build(operation, "kernel"), [pack(values, source)], target)
    np.testing.assert_array_equal(unpack(result, target), moved(values, operation.moves).astype(np.float32))


@pytest.mark.parametrize("block", [1, 3, 4, 16])
def test_copies_normalize_pixels(block):
    source, target = Frames(2, 2, 3, 5, 4, 3, "uint8"), Frames(2, 2, 3, 5, 4, block)
    operation = Copy(source, target, pixels=((0.02, -2.1), (0.03, 1.5), (0.01, -0.3)))
    values = random(sizes(source), 1, "uint8")
    inputs = [pack(values, source), *copy.pack(operation, {})]
    result = unpack(run(copy.build(operation, "kernel"), inputs, target), target)
    assert error(result, normalized(values, operation.pixels)) < 1e-6
