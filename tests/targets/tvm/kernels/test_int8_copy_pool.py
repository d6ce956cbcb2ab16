"""Copies between bytes and float32, and pooling of bytes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tvm")

from reference import moved, pack, random, run, sizes, unpack, windows

from edgevid.targets.tvm.kernels import copy, pool
from edgevid.targets.tvm.network import Copy, Frames, Move, Pool, Quantization

stable = settings(derandomize=True, deadline=None, max_examples=20)
QUANTIZED = [
    ("uint8", Quantization(0.05, 0)),
    ("uint8", Quantization(0.02, 128)),
    ("int8", Quantization(0.03, -128)),
    ("int8", Quantization(0.01, 5)),
]


def as_integers(real, frames):
    """ONNX's QuantizeLinear."""
    limits = np.iinfo(frames.dtype)
    steps = np.rint(real.astype(np.float32) / np.float32(frames.quantization.scale))
    return np.clip(steps + frames.quantization.zero, limits.min, limits.max).astype(frames.dtype)


def as_real(values, frames):
    return (values.astype(np.float32) - frames.quantization.zero) * np.float32(frames.quantization.scale)


@stable
@given(st.data())
def test_pixels_become_groups_of_four_bytes(data):
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 11))
    channels, (dtype, meaning) = data.draw(st.integers(1, 4)), data.draw(st.sampled_from(QUANTIZED))
    source = Frames(1, 2, channels, height, width, channels, "uint8")
    target = replace(source, block=4, dtype=dtype, quantization=meaning)
    # None of these is halfway between two steps.
    pixels = tuple((np.pi / (180 + 10 * c), -1.51 - 0.2 * c) for c in range(channels))
    operation = Copy(source, target, pixels=pixels)
    values = random(sizes(source), 1, "uint8")
    inputs = [pack(values, source), *copy.pack(operation, {})]
    result = unpack(run(copy.build(operation, "kernel"), inputs, target), target)
    scale, offset = np.array(pixels, np.float64).T[:, :, None, None]
    wanted = as_integers(values * scale + offset, target)
    np.testing.assert_array_equal(result, wanted)


@stable
@given(st.data())
def test_copies_quantize_restore_and_shift(data):
    block, channels = data.draw(st.sampled_from([4, 8, 16])), data.draw(st.integers(1, 40))
    real = Frames(2, 3, channels, 3, 4, block)
    kinds = [replace(real, dtype=dtype, quantization=meaning) for dtype, meaning in QUANTIZED]
    target = data.draw(st.sampled_from([real, *kinds]))
    source = data.draw(st.sampled_from(kinds if target == real else [real, target]))
    cut = data.draw(st.integers(0, channels))
    move = Move(0, cut, *(data.draw(st.integers(-1, 1)) for _ in range(3)))
    moves = (move,) if cut and (move.dt or move.dh or move.dw) else ()
    operation = Copy(source, target, moves)
    values = random(sizes(source), 2, source.dtype)
    zero = 0 if source.quantization is None else source.quantization.zero
    shifted = (moved(values.astype(np.float64) - zero, moves) + zero).astype(values.dtype)
    if source != target:
        shifted = as_integers(shifted, target) if source == real else as_real(shifted, source)
    result = unpack(run(copy.build(operation, "kernel"), [pack(values, source)], target), target)
    np.testing.assert_array_equal(result, shifted)


@stable
@given(st.data())
def test_averages_of_bytes_take_their_zero_point_off_each(data):
    dtype, meaning = data.draw(st.sampled_from(QUANTIZED))
    source, target = Frames(1, 2, 5, 5, 7, 4, dtype, meaning), Frames(1, 2, 5, 3, 4, 4)
    count_pads = data.draw(st.booleans())
    around = {"strides": (1, 2, 2), "pads": (0, 1, 1), "ends": (0, 1, 1), "count_pads": count_pads}
    operation = Pool("average", source, target, (1, 3, 3), **around)
    values = random(sizes(source), 3, dtype)
    result = unpack(run(pool.build(operation, "kernel"), [pack(values, source)], target), target)
    real = values.astype(np.float64) - meaning.zero
    total = sum(read for _, read in windows(real, operation, 0))
    inside = sum(read for _, read in windows(np.ones_like(real), operation, 0))
    wanted = total / (9 if count_pads else inside) * meaning.scale
    np.testing.assert_allclose(result, wanted, rtol=1e-5, atol=1e-6)
