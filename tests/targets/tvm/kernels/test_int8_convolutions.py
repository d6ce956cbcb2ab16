"""Every int8 family of convolutions, to the last bit, over random shapes and all of its tiles."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("tvm")

from dataclasses import replace

from int8_reference import DOTS, arguments, expected, packed, parameters
from reference import run, unpack
from test_convolutions import ALONE, convolutions, geometry

from edgevid.targets.tvm.kernels import int8_dense, int8_depthwise, int8_pointwise, int8_spatial
from edgevid.targets.tvm.kernels._dot import activation_type
from edgevid.targets.tvm.kernels._requantize import without_values
from edgevid.targets.tvm.network import Dense, Frames, Quantization

stable = settings(
    derandomize=True, deadline=None, max_examples=6, suppress_health_check=[HealthCheck.filter_too_much]
)
LANES = {"vnni512": 16, "madd512": 16, "vnni256": 8, "madd256": 8, "sdot": 4, "smull": 4}
ZEROS = {"uint8": st.sampled_from([0, 128, 77]), "int8": st.sampled_from([0, -128, 5])}


@st.composite
def quantized(draw, dot, floats):
    """The same operation of bytes; its target and residual may be float32."""
    operation = draw(floats)
    dtype = activation_type(dot)

    def of(frames):
        quantization = Quantization(draw(st.sampled_from([0.02, 0.1, 0.37])), draw(ZEROS[dtype]))
        return replace(frames, block=LANES[dot], dtype=dtype, quantization=quantization)

    target = replace(operation.target, block=LANES[dot])
    return replace(
        operation,
        source=of(operation.source),
        target=of(target) if draw(st.booleans()) else target,
        residual=None if operation.residual is None else of(target) if draw(st.booleans()) else target,
    )


def check(family, operation, tile, dot):
    weights, values = parameters(operation), arguments(operation)
    constants = family.pack(operation, weights, dot)
    source, *skip = packed(operation, values)
    function = family.build(without_values(operation), tile, dot, "kernel")
    result = unpack(run(function, [source, *constants, *skip], operation.target), operation.target)
    np.testing.assert_array_equal(result, expected(operation, weights, *values))


@pytest.mark.parametrize("dot", DOTS)
class TestOnThisMachine:
    @stable
    @given(st.data())
    def test_pointwise_kernels_are_exact(self, dot, data):
        strided = st.tuples(st.just(1), st.integers(1, 2), st.just(0), st.just(1), st.integers(1, 9)).map(
            lambda g: (*g, (g[4] - 1) // g[1] + 1)
        )
        axes = (geometry(), strided, strided)
        floats = convolutions(axes, st.integers(1, 22), st.integers(1, 40), space=False)
        operation = data.draw(quantized(dot, floats))
        assert int8_pointwise.fits(operation)
        tile = data.draw(st.sampled_from(int8_pointwise.tiles(operation, 32, dot)))
        check(int8_pointwise, operation, tile, dot)

    @stable
    @given(st.data())
    def test_spatial_kernels_are_exact(self, dot, data):
        axes = (st.one_of(ALONE, geometry()), geometry(), geometry())
        operation = data.draw(quantized(dot, convolutions(axes, st.integers(1, 30), st.integers(1, 40))))
        tile = data.draw(st.sampled_from(int8_spatial.tiles(operation, 32, dot)))
        check(int8_spatial, operation, tile, dot)

    @stable
    @given(st.data())
    def test_depthwise_kernels_are_exact(self, dot, data):
        axes = (st.one_of(ALONE, geometry()), geometry(5), geometry(5))
        floats = convolutions(axes, st.integers(1, 30), None, depthwise=True, shifted=False)
        operation = data.draw(quantized(dot, floats))
        assert int8_depthwise.fits(operation)
        tile = data.draw(st.sampled_from(int8_depthwise.tiles(operation, 32, dot)))
        check(int8_depthwise, operation, tile, dot)


@pytest.mark.parametrize("dot", DOTS)
@stable
@given(st.data())
def test_dense_layers_are_exact(dot, data):
    dtype, block = activation_type(dot), LANES[dot]
    inputs, outputs, rows = (data.draw(st.integers(1, most)) for most in (50, 40, 20))
    quantization = Quantization(0.02, data.draw(ZEROS[dtype]))
    operation = Dense(
        Frames(rows, 1, inputs, 1, 1, block, dtype, quantization),
        Frames(rows, 1, outputs, 1, 1, block),
        data.draw(st.sampled_from([(None, None), (0.0, None)])),
    )
    if data.draw(st.booleans()):
        operation = replace(
            operation, target=replace(operation.target, dtype=dtype, quantization=quantization)
        )
    weights, (source,) = parameters(operation), arguments(operation)
    constants = int8_dense.pack(operation, weights, dot)
    function = int8_dense.build(without_values(operation), dot, "kernel")
    result = unpack(
        run(function, [*packed(operation, [source]), *constants], operation.target), operation.target
    )
    np.testing.assert_array_equal(result, expected(operation, weights, source))
