"""Kernels that read channels of earlier frames from a cache, and leave the present ones' in it."""

from dataclasses import replace

import numpy as np
import pytest
import tvm
from hypothesis import given
from hypothesis import strategies as st
from int8_reference import DOTS, expected, parameters
from reference import convolution, error, pack, random, sizes, unpack
from test_convolutions import stable

from edgevid.targets.tvm.cpus import host_cpu
from edgevid.targets.tvm.kernels import copy, gate, int8_pointwise, int8_spatial, keep, pointwise, spatial
from edgevid.targets.tvm.kernels.choose import Kernel
from edgevid.targets.tvm.network import (
    Convolution,
    Copy,
    Frames,
    Gate,
    Keep,
    Move,
    Plain,
    Quantization,
)


def cache_of(source, channels, lag):
    """As reading makes it: whole blocks, without padding."""
    block = channels if channels % source.block else source.block
    return replace(source, segments=lag, channels=channels, block=block)


@st.composite
def convolutions(draw, window, quantized=False):
    block = draw(st.sampled_from([4, 8, 16]))
    channels, outputs = draw(st.integers(2, 45)), draw(st.integers(1, 33))
    height, width = draw(st.integers(1, 6)), draw(st.integers(1, 9))
    moved, lag = draw(st.integers(1, channels - 1)), draw(st.integers(1, 3))
    source, target = (Frames(1, 1, c, height, width, block) for c in (channels, outputs))
    if quantized:
        zero = draw(st.sampled_from([0, 7, 128]))
        source = replace(source, dtype="uint8", quantization=Quantization(0.02, zero))
        target = replace(target, dtype="uint8", quantization=Quantization(0.05, 3))
    return Convolution(
        source,
        target,
        (1, window, window),
        pads=(0, window // 2, window // 2),
        moves=(Move(0, moved, -lag),),
        bounds=draw(st.sampled_from([(None, None), (0.0, 6.0)])),
        residual=target if draw(st.booleans()) else None,
        cache=cache_of(source, moved, lag),
        keeps=draw(st.booleans()),
    )


def numbers(operation, seed):
    """The present frame, the cache and the residual, as [n, t, c, h, w]."""
    residual = [] if operation.residual is None else [operation.residual]
    frames = [operation.source, operation.cache, *residual]
    return [random(sizes(f), seed + i, f.dtype) for i, f in enumerate(frames)]


def as_one_clip(operation, source, cache):
    """The same convolution of a clip of two frames, the first of which holds what the cache does."""
    before = np.zeros_like(source)
    before[:, :, : cache.shape[2]] = cache[:, :1]
    clip = replace(
        operation,
        source=replace(operation.source, segments=2),
        target=replace(operation.target, segments=2),
        residual=None if operation.residual is None else replace(operation.residual, segments=2),
        moves=(replace(operation.moves[0], dt=-1),),
        cache=None,
        keeps=False,
    )
    return clip, np.concatenate([before, source], axis=1)


def following(operation, source, cache):
    """What stands in the cache afterwards."""
    if not operation.keeps:
        return cache
    return np.concatenate([cache, source[:, :, : cache.shape[2]]], axis=1)[:, 1:]


def run(function, memory, target):
    """What a kernel leaves in its last argument, which holds ``target`` or zeros, and in the others."""
    compiled = tvm.compile(tvm.IRModule({"kernel": function}), target=tvm.target.Target(host_cpu().llvm))
    tensors = [tvm.runtime.tensor(np.ascontiguousarray(array)) for array in memory]
    held = target if isinstance(target, np.ndarray) else np.zeros(target.shape, target.dtype)
    result = tvm.runtime.tensor(held)
    compiled["kernel"](*tensors, result)
    return result.numpy(), [tensor.numpy() for tensor in tensors]


def check(operation, kernel, weights, wanted_of, same):
    source, cache, *residual = numbers(operation, 5)
    memory = [pack(source, operation.source), pack(cache, operation.cache), *kernel.pack(weights)]
    memory += [pack(array, operation.target) for array in residual]
    result, left = run(kernel.build("kernel"), memory, operation.target)
    clip, frames = as_one_clip(operation, source, cache)
    twice = [np.concatenate([array, array], axis=1) for array in residual]
    same(unpack(result, operation.target), wanted_of(clip, frames, *twice)[:, 1:])
    np.testing.assert_array_equal(unpack(left[1], operation.cache), following(operation, source, cache))
    np.testing.assert_array_equal(left[0], memory[0])


def in_float(operation, family, tile):
    weight = random((operation.target.channels, operation.source.channels, *operation.kernel), 2)
    weights = {"weight": weight, "bias": random(operation.target.channels, 3)}

    def same(found, wanted):
        assert error(found, wanted) < 1e-5

    def wanted(clip, frames, residual=None):
        return convolution(clip, frames, weight, weights["bias"], residual)

    check(operation, Kernel(family, operation, tile), weights, wanted, same)


def in_int8(operation, family, tile, dot):
    kind = "int8" if dot in ("sdot", "smull") else "uint8"
    if kind == "int8":
        operation = replace(
            operation,
            **{
                name: replace(frames, dtype=kind)
                for name in ("source", "target", "cache", "residual")
                if (frames := getattr(operation, name)) is not None
            },
        )
    weights = parameters(operation)

    def wanted(clip, frames, residual=None):
        return expected(clip, weights, frames, residual)

    check(operation, Kernel(family, operation, tile, dot), weights, wanted, np.testing.assert_array_equal)


@stable
@given(convolutions(1), st.data())
def test_pointwise_convolutions_read_the_cache_and_leave_the_next_one(operation, data):
    assert pointwise.fits(operation)
    in_float(operation, "pointwise", data.draw(st.sampled_from(pointwise.tiles(operation, 32))))


@stable
@given(convolutions(3), st.data())
def test_spatial_convolutions_read_the_cache_and_leave_the_next_one(operation, data):
    in_float(operation, "spatial", data.draw(st.sampled_from(spatial.tiles(operation, 32))))


@pytest.mark.parametrize("dot", DOTS)
@stable
@given(convolutions(1, quantized=True), st.data())
def test_pointwise_convolutions_of_bytes_read_the_cache_and_leave_the_next_one(dot, operation, data):
    operation = of_lanes(operation, dot)
    assert int8_pointwise.fits(operation)
    tile = data.draw(st.sampled_from(int8_pointwise.tiles(operation, 32, dot)))
    in_int8(operation, "int8_pointwise", tile, dot)


@pytest.mark.parametrize("dot", DOTS)
@stable
@given(convolutions(3, quantized=True), st.data())
def test_spatial_convolutions_of_bytes_read_the_cache_and_leave_the_next_one(dot, operation, data):
    operation = of_lanes(operation, dot)
    tile = data.draw(st.sampled_from(int8_spatial.tiles(operation, 32, dot)))
    in_int8(operation, "int8_spatial", tile, dot)


@pytest.mark.parametrize("dot", DOTS)
@pytest.mark.parametrize(("moved", "lag", "width"), [(1, 1, 1), (3, 1, 1), (1, 3, 1), (3, 1, 2), (5, 1, 3)])
def test_a_cache_of_a_few_bytes_is_not_read_beyond(dot, moved, lag, width):
    quantization = Quantization(0.02, 7)
    source = Frames(1, 1, 9, 1, width, 4, "uint8", quantization)
    operation = Convolution(
        source,
        replace(source, channels=6),
        moves=(Move(0, moved, -lag),),
        cache=cache_of(source, moved, lag),
        keeps=True,
    )
    operation = of_lanes(operation, dot)
    in_int8(operation, "int8_pointwise", int8_pointwise.tiles(operation, 32, dot)[-1], dot)


def of_lanes(operation, dot):
    """In vectors as long as the instruction's."""
    lanes = {"vnni512": 16, "madd512": 16, "vnni256": 8, "madd256": 8}.get(dot, 4)
    source = replace(operation.source, block=lanes)
    return replace(
        operation,
        source=source,
        target=replace(operation.target, block=lanes),
        residual=None if operation.residual is None else replace(operation.residual, block=lanes),
        cache=cache_of(source, operation.cache.channels, operation.cache.segments),
    )


@pytest.mark.parametrize("lag", [1, 3])
@pytest.mark.parametrize(("start", "moved"), [(0, 8), (8, 16), (3, 8), (5, 7), (0, 24)])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_any_channels_are_kept_and_nothing_beside_them(dtype, start, moved, lag):
    quantization = Quantization(0.1, 128) if dtype == "uint8" else None
    source = Frames(1, 1, 24, 3, 5, 8, dtype, quantization)
    cache = cache_of(source, moved, lag)
    assert np.prod(cache.shape) == lag * moved * 15
    now, before = random(sizes(source), 1, dtype), random(sizes(cache), 2, dtype)
    function = keep.build(Keep(source, start, cache), "kernel")
    left, _ = run(function, [pack(now, source)], pack(before, cache))
    wanted = np.concatenate([before, now[:, :, start : start + moved]], axis=1)[:, 1:]
    np.testing.assert_array_equal(unpack(left, cache), wanted)


@pytest.mark.parametrize("target_block", [8, 1])
@pytest.mark.parametrize(("start", "moved"), [(0, 8), (3, 7)])
def test_a_copy_takes_channels_of_the_oldest_frame(start, moved, target_block):
    source = Frames(1, 1, 13, 3, 5, 8)
    target, cache = replace(source, block=target_block), cache_of(source, moved, 2)
    now, before = random(sizes(source), 1), random(sizes(cache), 2)
    operation = Copy(source, target, (Move(start, start + moved, -2),), cache=cache)
    result, _ = run(copy.build(operation, "kernel"), [pack(now, source), pack(before, cache)], target)
    now[:, :, start : start + moved] = before[:, :1]
    np.testing.assert_array_equal(unpack(result, target), now)


def test_a_copy_to_fewer_frames_takes_the_first_ones():
    source = Frames(1, 3, 9, 2, 5, 9)
    target = replace(source, segments=1, block=8)
    frames = random(sizes(source), 1)
    result, _ = run(copy.build(Copy(source, target), "kernel"), [pack(frames, source)], target)
    np.testing.assert_array_equal(unpack(result, target), frames[:, :1])


@pytest.mark.parametrize("open_", [False, True])
@pytest.mark.parametrize("quantization", [None, Quantization(0.1, 128)])
def test_a_gate_lets_frames_through_or_zeros(quantization, open_):
    frames = Frames(1, 1, 9, 2, 5, 8, "float32" if quantization is None else "uint8", quantization)
    gates = np.array([not open_, 3 * open_, not open_], np.uint8)
    values = random(sizes(frames), 1, frames.dtype)
    function = gate.build(Gate(frames, Plain((3,), "uint8"), 1, frames), "kernel")
    result, _ = run(function, [pack(values, frames), gates], frames)
    closed = np.full_like(values, 0 if quantization is None else 128)
    np.testing.assert_array_equal(unpack(result, frames), values if open_ else closed)
