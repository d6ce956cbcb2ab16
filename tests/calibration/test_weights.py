import numpy as np
import pytest

from edgevid.calibration.weights import least_scale, quantize_bias, quantize_weight, scale_of
from edgevid.errors import GraphError


@pytest.mark.parametrize("bits", [7, 8])
@pytest.mark.parametrize("axis", [0, 1])
def test_weights_are_within_half_a_step_of_their_channel(bits, axis):
    weight = np.random.default_rng(0).standard_normal((5, 7, 3, 3)).astype(np.float32)
    numbers, scale = quantize_weight(weight, axis, bits)
    along = scale.reshape([-1 if each == axis else 1 for each in range(4)])
    assert abs(numbers * along - weight).max() <= 0.5001 * scale.max()
    assert abs(numbers).max() == 2 ** (bits - 1) - 1


def test_nothing_but_zeros_stays_exact():
    assert scale_of(0.0, 255) == 1
    numbers, scale = quantize_weight(np.zeros((2, 3, 1, 1), np.float32), 0)
    assert not numbers.any()
    assert (scale == 1).all()


def test_a_bias_fits_even_where_the_weights_of_a_channel_are_almost_nothing():
    weight = np.full((2, 4, 1, 1), 1e-15, np.float32)
    weight[1] = 0.5
    bias, input_scale = np.array([3.0, -2.0], np.float32), np.float32(0.02)
    without = quantize_bias(bias, quantize_weight(weight, 0)[1], input_scale)
    assert abs(without[0] * without[1].astype(np.float64) - bias).max() > 1
    _, scale = quantize_weight(weight, 0, least=least_scale(bias, input_scale))
    sums, steps = quantize_bias(bias, scale, input_scale)
    assert abs(sums * steps.astype(np.float64) - bias).max() < 1e-4
    assert scale[1] == quantize_weight(weight, 0)[1][1]


def test_scales_that_multiply_to_more_than_float32_holds_are_refused():
    with pytest.raises(GraphError, match="more than float32 holds"):
        quantize_bias(np.ones(1, np.float32), np.full(1, 1e20, np.float32), np.float32(1e20))


def test_a_bias_of_zero_stays_zero_where_the_scales_multiply_to_nothing():
    sums, scale = quantize_bias(np.zeros(1, np.float32), np.full(1, 1e-30, np.float32), np.float32(1e-30))
    assert (sums, scale > 0) == (0, True)
