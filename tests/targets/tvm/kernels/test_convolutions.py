"""Every float32 family of convolutions against numpy, over random shapes and all of its tiles."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

pytest.importorskip("tvm")

from reference import convolution, error, pack, random, run, sizes, unpack

from edgevid.targets.tvm.kernels import depthwise, grouped, pointwise, spatial
from edgevid.targets.tvm.network import Convolution, Frames, Move

stable = settings(
    derandomize=True, deadline=None, max_examples=8, suppress_health_check=[HealthCheck.filter_too_much]
)
BLOCKS = st.sampled_from([4, 8, 16])
BOUNDS = st.sampled_from([(None, None), (0.0, None), (0.0, 6.0), (-1.0, 0.5)])
REGISTERS = st.sampled_from([16, 32])


@st.composite
def moves(draw, channels, space):
    """Runs of channels, some of them apart, each with its own displacement."""
    cuts = sorted(draw(st.sets(st.integers(0, channels), max_size=4)))
    step = st.integers(-2, 2)
    found = []
    for start, stop in pairwise(cuts):
        move = Move(start, stop, draw(step), *((draw(step), draw(step)) if space else ()))
        if move.dt or move.dh or move.dw:
            found.append(move)
    return tuple(found)


@st.composite
def geometry(draw, most=3, pads=True):
    """Kernel, stride, pad, dilation and size along one axis, and what comes out."""
    size, kernel = draw(st.integers(1, 9)), draw(st.integers(1, most))
    stride, apart = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    pad, after = (draw(st.integers(0, kernel)), draw(st.integers(0, 2))) if pads else (0, 0)
    reach = (kernel - 1) * apart + 1
    assume(size + pad + after >= reach)
    return kernel, stride, pad, apart, size, (size + pad + after - reach) // stride + 1


ALONE = st.builds(lambda size: (1, 1, 0, 1, size, size), st.integers(1, 9))
"""An axis that the kernel does not reach along."""


@st.composite
def convolutions(draw, axes, inputs, outputs, *, depthwise=False, space=True, shifted=True):
    time, height, width = (draw(axis) for axis in axes)
    clips, block = draw(st.integers(1, 2)), draw(BLOCKS)
    channels = draw(inputs)
    wide = channels if depthwise else draw(outputs)
    target = Frames(clips, time[5], wide, height[5], width[5], block)
    geometries = zip(time[:4], height[:4], width[:4], strict=True)
    kernel, strides, pads, dilations = geometries
    return Convolution(
        Frames(clips, time[4], channels, height[4], width[4], block),
        target,
        kernel,
        strides,
        pads,
        dilations,
        groups=channels if depthwise else 1,
        moves=draw(moves(channels, space)) if shifted else (),
        bounds=draw(BOUNDS),
        residual=target if draw(st.booleans()) else None,
    )


def check(family, operation, tile):
    source = random(sizes(operation.source), 1, operation.source.dtype)
    target = operation.target
    weight = random((target.channels, operation.source.channels // operation.groups, *operation.kernel), 2)
    bias = random(target.channels, 3)
    residual = random(sizes(target), 4) if operation.residual else None
    skip = [] if residual is None else [pack(residual, target)]
    packed = family.pack(operation, {"weight": weight, "bias": bias})
    result = run(
        family.build(operation, tile, "kernel"), [pack(source, operation.source), *packed, *skip], target
    )
    assert error(unpack(result, target), convolution(operation, source, weight, bias, residual)) < 1e-5


@stable
@given(
    convolutions((geometry(), ALONE, ALONE), st.integers(1, 40), st.integers(1, 40), space=False),
    REGISTERS,
    st.data(),
)
def test_pointwise_convolutions_read_the_frame_that_the_shift_names(operation, registers, data):
    assert pointwise.fits(operation)
    check(pointwise, operation, data.draw(st.sampled_from(pointwise.tiles(operation, registers))))


@stable
@given(
    convolutions((geometry(), geometry(5), geometry()), st.integers(1, 20), st.integers(1, 40)),
    REGISTERS,
    st.data(),
)
def test_spatial_convolutions_take_any_window_and_any_shift(operation, registers, data):
    assert spatial.fits(operation)
    check(spatial, operation, data.draw(st.sampled_from(spatial.tiles(operation, registers))))


@stable
@given(
    convolutions(
        (geometry(), geometry(5), geometry(5)), st.integers(1, 40), None, depthwise=True, shifted=False
    ),
    REGISTERS,
    st.data(),
)
def test_depthwise_convolutions_take_any_window(operation, registers, data):
    assert depthwise.fits(operation)
    check(depthwise, operation, data.draw(st.sampled_from(depthwise.tiles(operation, registers))))


@st.composite
def in_groups(draw):
    groups, inputs, outputs = draw(st.integers(2, 6)), draw(st.integers(1, 20)), draw(st.integers(1, 20))
    whole = convolutions(
        (geometry(), geometry(), geometry()), st.just(groups * inputs), st.just(groups * outputs)
    )
    return replace(draw(whole), groups=groups)


@stable
@given(in_groups(), REGISTERS, st.data())
def test_convolutions_in_any_groups(operation, registers, data):
    assert grouped.fits(operation)
    check(grouped, operation, data.draw(st.sampled_from(grouped.tiles(operation, registers))))


@pytest.mark.parametrize("clips", [pytest.param(1, marks=pytest.mark.slow), 2])
@pytest.mark.parametrize(
    ("family", "kernel"),
    [(pointwise, (1, 1, 1)), (spatial, (1, 3, 3)), (depthwise, (1, 3, 3)), (grouped, (1, 3, 3))],
)
def test_every_tile_gives_the_same_numbers(family, kernel, clips):
    frames = Frames(clips, 1, 37, 5, 15, 8)
    groups, pad = (37 if family in (depthwise, grouped) else 1), kernel[1] // 2
    operation = Convolution(frames, frames, kernel, pads=(0, pad, pad), groups=groups)
    tiles = family.tiles(operation, 32)
    assert len(tiles) > 3
    for tile in tiles:
        check(family, operation, tile)


@pytest.mark.parametrize("block", [4, 8, 16])
@pytest.mark.parametrize("kernel", [1, 3, 7])
def test_pixels_are_normalized_and_the_border_stays_zero(block, kernel):
    pixels = ((0.02, -2.1), (0.03, 1.5), (0.01, -0.3))
    operation = Convolution(
        Frames(2, 2, 3, 11, 12, 3, "uint8"),
        Frames(2, 2, 18, 6, 6, block),
        (1, kernel, kernel),
        (1, 2, 2),
        (0, kernel // 2, kernel // 2),
        pixels=pixels,
    )
    check(spatial, operation, spatial.tiles(operation, 32)[0])


@pytest.mark.parametrize("move", [Move(0, 3, 1), Move(3, 7, 0, 9, 0), Move(6, 13, -2, 0, -9), Move(0, 13, 5)])
def test_what_comes_from_outside_is_zero(move):
    frames = Frames(1, 2, 13, 4, 5, 8)
    operation = Convolution(frames, frames, (1, 3, 3), pads=(0, 1, 1), moves=(move,))
    check(spatial, operation, spatial.tiles(operation, 16)[0])
