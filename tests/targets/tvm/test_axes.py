"""What reshapes and transpositions of axes mean."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevid.targets.tvm.axes import FRAMES, VOLUME, matches, reshaped

SIZES = {"n": 2, "t": 4, "c": 6, "h": 5, "w": 1}


def test_a_batch_of_frames_splits_into_clips_and_time_and_back():
    split = reshaped(FRAMES, SIZES, (2, 4, 6, 5, 1))
    assert split == (("n",), ("t",), ("c",), ("h",), ())
    assert matches(reshaped(split, SIZES, (8, 6, 5, 1)), FRAMES, SIZES)


def test_a_batch_of_frames_is_no_volume_until_it_is_transposed():
    split = reshaped(FRAMES, SIZES, (2, 4, 6, 5, 1))
    assert not matches(split, VOLUME, SIZES)
    assert matches(tuple(split[axis] for axis in (0, 2, 1, 3, 4)), VOLUME, SIZES)


@pytest.mark.parametrize("shape", [(8, 2, 3, 5, 1), (4, 2, 6, 5, 1), (16, 3, 5, 1), (48, 5, 2)])
def test_a_reshape_that_tears_a_label_apart_is_none(shape):
    assert reshaped(FRAMES, SIZES, shape) is None


def test_axes_of_one_stand_anywhere():
    assert reshaped(FRAMES, SIZES, (1, 8, 1, 6, 5)) == ((), ("n", "t"), (), ("c",), ("h",))
    one = dict.fromkeys(SIZES, 1)
    assert matches(((), (), ()), FRAMES[:3], one)


@settings(derandomize=True, deadline=None)
@given(st.permutations(list(SIZES)), st.data())
def test_grouping_labels_and_splitting_them_again_changes_nothing(labels, data):
    axes = tuple((label,) for label in labels)
    shape, left = [], [SIZES[label] for label in labels]
    while left:
        size = 1
        for _ in range(data.draw(st.integers(1, len(left)))):
            size *= left.pop(0)
        shape.append(size)
    grouped = reshaped(axes, SIZES, shape)
    assert grouped is not None
    assert matches(reshaped(grouped, SIZES, [SIZES[label] for label in labels]), axes, SIZES)
