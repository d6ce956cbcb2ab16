"""Kernels of row-major tensors, and runs of channels, against numpy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tvm")

from reference import error, pack, random, run, sizes, unpack

from edgevid.targets.tvm.kernels import channels, matrix_product, softmax, transposition
from edgevid.targets.tvm.network import (
    Channels,
    Frames,
    MatrixProduct,
    Part,
    Plain,
    Softmax,
    Transposition,
)

stable = settings(derandomize=True, deadline=None, max_examples=15)
SIZE = st.integers(1, 40)


@stable
@given(st.integers(1, 3), SIZE, SIZE, SIZE, st.sampled_from(["both", "left", "right"]), st.data())
def test_matrix_products_of_any_size(batch, m, k, n, batched, data):
    left = Plain((1 if batched == "right" else batch, m, k))
    right = Plain((1 if batched == "left" else batch, k, n))
    operation = MatrixProduct(left, right, Plain((batch, m, n)))
    registers, lanes = data.draw(st.sampled_from([(32, 4), (16, 8), (32, 16)]))
    tile = data.draw(st.sampled_from(matrix_product.tiles(operation, registers, lanes)))
    first, second = random(left.shape, 1), random(right.shape, 2)
    result = run(matrix_product.build(operation, tile, "kernel"), [first, second], operation.target)
    assert error(result, first.astype(float) @ second) < 1e-5


@stable
@given(st.integers(1, 3), st.integers(1, 50), st.lists(SIZE, max_size=1), st.sampled_from([1, 1000]))
def test_softmax_over_any_axis_and_of_large_numbers(outer, numbers, inner, scale):
    plain = Plain((outer, numbers, *inner))
    values = random(plain.shape) * scale
    result = run(softmax.build(Softmax(plain, plain), "kernel"), [values], plain)
    powers = np.exp(values.astype(np.float64) - values.max(1, keepdims=True))
    assert error(result, powers / powers.sum(1, keepdims=True)) < 1e-6


@stable
@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_transpositions_of_any_rank(shape, shuffle):
    order = list(range(len(shape)))
    shuffle.shuffle(order)
    values = random(tuple(shape))
    wanted = values.transpose(order)
    operation = Transposition(Plain(tuple(shape)), tuple(order), Plain(wanted.shape))
    np.testing.assert_array_equal(
        run(transposition.build(operation, "kernel"), [values], operation.target), wanted
    )


@stable
@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.sampled_from([1, 4, 16]), st.data())
def test_channels_are_cut_and_joined_anywhere(widths, block, data):
    sources = tuple(Frames(1, 2, width, 2, 3, block) for width in widths)
    parts = []
    for index, width in enumerate(widths):
        start = data.draw(st.integers(0, width - 1))
        parts.append(Part(index, start, data.draw(st.integers(start + 1, width))))
    total = sum(part.stop - part.start for part in parts)
    operation = Channels(sources, tuple(parts), Frames(1, 2, total, 2, 3, block))
    values = [random(sizes(source), index) for index, source in enumerate(sources)]
    inputs = [pack(value, source) for value, source in zip(values, sources, strict=True)]
    result = unpack(run(channels.build(operation, "kernel"), inputs, operation.target), operation.target)
    wanted = np.concatenate([values[part.index][:, :, part.start : part.stop] for part in parts], axis=2)
    np.testing.assert_array_equal(result, wanted)


def test_whole_blocks_are_copied_by_one_loop():
    (run_,) = channels._runs(Part(0, 16, 80), 32, 16)
    assert (run_.source, run_.target, run_.width, run_.count) == (1, 2, 16, 4)
