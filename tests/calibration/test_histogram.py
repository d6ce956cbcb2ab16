import hypothesis.extra.numpy as arrays
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevid.calibration.histogram import BINS, Histogram

VALUES = arrays.arrays(np.float32, st.integers(1, 40), elements=st.floats(-(2.0**100), 2.0**100, width=32))
STABLE = settings(derandomize=True, deadline=None, max_examples=100)


def counted(parts):
    """A histogram that is told the largest value so far, as calibration does it."""
    histogram, largest = Histogram(), 0.0
    for part in parts:
        largest = max(largest, float(np.abs(part).max()))
        histogram.add(part, largest)
    return histogram


@STABLE
@given(st.lists(VALUES, min_size=1, max_size=6), st.randoms())
def test_neither_the_order_nor_the_division_into_parts_matters(parts, random):
    mixed = list(parts)
    random.shuffle(mixed)
    whole = counted([np.concatenate(parts)])
    for other in (counted(parts), counted(mixed)):
        assert other.exponent == whole.exponent
        np.testing.assert_array_equal(other.counts, whole.counts)
        assert other.digest == whole.digest


@STABLE
@given(st.lists(VALUES, min_size=1, max_size=6))
def test_every_value_lies_in_the_bin_of_its_magnitude(parts):
    histogram = counted(parts)
    values = np.abs(np.concatenate(parts)).astype(np.float64)
    np.testing.assert_array_equal(histogram.counts, np.histogram(values, histogram.edges)[0])


@STABLE
@given(VALUES)
def test_the_largest_value_lies_in_the_upper_half(values):
    histogram, largest = counted([values]), float(np.abs(values).max())
    assert largest < histogram.edges[-1]
    if largest > 1e-30:
        assert np.flatnonzero(histogram.counts).max() >= BINS // 2


def test_zeros_alone_lie_in_the_first_bin():
    histogram = counted([np.zeros(5, np.float32)])
    assert histogram.counts[0] == 5
    assert histogram.counts.sum() == 5


def test_another_width_is_another_digest():
    values = np.array([0.25, 0.5, 1.0], np.float32)
    assert counted([values]).digest != counted([values * 2]).digest
