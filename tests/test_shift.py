import itertools
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevid.errors import ShiftError
from edgevid.shift import Layout, Move, ShiftSpec, shift_numpy, shift_torch


def naive(clips, spec):
    """The definition, one number at a time, for a volume."""
    shifted = clips.copy()
    batch, _, *lengths = clips.shape
    for move in spec.moves:
        channels = range(move.start, move.stop)
        for n, c, t, h, w in itertools.product(range(batch), channels, *map(range, lengths)):
            source = (t - move.dt, h - move.dh, w - move.dw)
            inside = all(0 <= at < length for at, length in zip(source, lengths, strict=True))
            shifted[n, c, t, h, w] = clips[(n, c, *source)] if inside else 0
    return shifted


@st.composite
def specs(draw, max_channels=7):
    edges = sorted(draw(st.sets(st.integers(0, max_channels), max_size=5)))
    step = st.integers(-3, 3)
    moves = []
    for start, stop in itertools.pairwise(edges):
        displacement = draw(st.tuples(step, step, step))
        if any(displacement) and draw(st.booleans()):
            moves.append(Move(start, stop, *displacement))
    return ShiftSpec(draw(st.integers(1, 5)), tuple(moves), Layout.VOLUME)


@st.composite
def shifted_clips(draw):
    spec = draw(specs())
    channels = max(spec.channels_needed, 1) + draw(st.integers(0, 2))
    shape = (
        draw(st.integers(1, 3)),
        channels,
        spec.segments,
        draw(st.integers(1, 4)),
        draw(st.integers(1, 4)),
    )
    values = np.random.default_rng(draw(st.integers(0, 99))).normal(size=shape).astype(np.float32)
    return spec, values


@given(shifted_clips())
@settings(max_examples=100, deadline=None)
def test_numpy_torch_and_the_definition_agree(drawn):
    spec, clips = drawn
    expected = naive(clips, spec)
    assert np.array_equal(shift_numpy(clips, spec), expected)
    assert np.array_equal(shift_torch(torch.from_numpy(clips), spec).numpy(), expected)


@given(shifted_clips())
@settings(max_examples=50, deadline=None)
def test_both_layouts_mean_the_same(drawn):
    spec, clips = drawn
    frames = clips.swapaxes(1, 2).reshape(-1, clips.shape[1], *clips.shape[3:])
    expected = naive(clips, spec).swapaxes(1, 2).reshape(frames.shape)
    stacked = spec.with_layout(Layout.FRAMES)
    assert np.array_equal(shift_numpy(frames, stacked), expected)
    assert np.array_equal(shift_torch(torch.from_numpy(frames), stacked).numpy(), expected)


@given(shifted_clips())
@settings(max_examples=30, deadline=None)
def test_a_shift_leaves_its_input_alone_and_returns_a_new_array(drawn):
    spec, clips = drawn
    before = clips.copy()
    shift_numpy(clips, spec)[:] = 7
    shift_torch(torch.from_numpy(clips), spec).fill_(7)
    assert np.array_equal(clips, before)


@given(specs())
@settings(deadline=None)
def test_a_spec_is_equal_to_itself_written_in_another_way(spec):
    split = [
        Move(channel, channel + 1, *move.displacement)
        for move in reversed(spec.moves)
        for channel in range(move.start, move.stop)
    ]
    other = ShiftSpec(spec.segments, tuple(split), spec.layout)
    assert other == spec
    assert hash(other) == hash(spec)
    assert ShiftSpec.from_flat(spec.segments, spec.flat, str(spec.layout)) == spec
    assert spec.swapped().swapped() == spec
    assert spec.without_moves().is_identity


@given(specs(), st.integers(0, 3))
@settings(deadline=None)
def test_the_pieces_of_a_spec_cover_every_channel_once(spec, extra):
    channels = spec.channels_needed + extra
    pieces = spec.pieces(channels)
    assert [c for start, stop, _ in pieces for c in range(start, stop)] == list(range(channels))
    moved = [(start, stop, by) for start, stop, by in pieces if any(by)]
    assert moved == [(move.start, move.stop, move.displacement) for move in spec.moves]


def test_specs_that_differ_are_not_equal():
    spec = ShiftSpec.tsm(16, 8)
    different = [
        ShiftSpec.tsm(16, 4),
        ShiftSpec.tsm(16, 8, Fraction(1, 2)),
        ShiftSpec.tsm(16, 8, first="past"),
        ShiftSpec.tsm(16, 8, direction="unidirectional"),
        spec.with_layout(Layout.VOLUME),
        spec.without_moves(),
    ]
    assert len({spec, *different}) == 7


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.float16, np.float64, np.int64])
def test_any_element_type_is_moved_unchanged(dtype):
    clips = np.arange(4 * 8).reshape(4, 8, 1, 1).astype(dtype)
    spec = ShiftSpec.tsm(8, 4, Fraction(1, 2))
    assert shift_numpy(clips, spec).dtype == dtype
    assert np.array_equal(shift_torch(torch.from_numpy(clips), spec).numpy(), shift_numpy(clips, spec))


def test_the_first_fold_takes_the_next_frame_and_the_second_the_previous_one():
    clips = np.arange(1, 9, dtype=np.float32).repeat(8).reshape(8, 8, 1, 1)
    shifted = shift_numpy(clips, ShiftSpec.tsm(8, 8))[..., 0, 0]
    assert shifted[:, 0].tolist() == [2, 3, 4, 5, 6, 7, 8, 0]
    assert shifted[:, 1].tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert (shifted[:, 2:] == clips[:, 2:, 0, 0]).all()


@pytest.mark.parametrize(
    ("channels", "shift_div", "fold"), [(64, 8, 8), (20, 8, 2), (256, 4, 64), (24, 8, 3), (17, 8, 2)]
)
def test_a_fold_is_the_whole_quotient_of_the_published_divisor(channels, shift_div, fold):
    spec = ShiftSpec.tsm(channels, 8, Fraction(2, shift_div))
    assert spec.moves == (Move(0, fold, -1), Move(fold, 2 * fold, +1))
    online = ShiftSpec.tsm(channels, 8, Fraction(1, shift_div), direction="unidirectional")
    assert online.moves == (Move(0, fold, +1),)
    assert spec.takes_from_future
    assert not online.takes_from_future


@pytest.mark.parametrize("proportion", [0, Fraction(1, 8), Fraction(1, 4), Fraction(1, 2), 1])
@pytest.mark.parametrize("direction", ["bidirectional", "unidirectional"])
def test_the_proportion_is_the_share_of_channels_that_move(proportion, direction):
    spec = ShiftSpec.tsm(64, 8, proportion, direction=direction)
    assert spec.proportion(64) == proportion
    assert spec.is_identity == (proportion == 0)


def test_paddles_folds_end_at_cumulative_edges_and_start_with_the_past():
    spec = ShiftSpec.tsm(20, 8, Fraction(1, 4), first="past", rounding="edges")
    assert spec.moves == (Move(0, 2, +1), Move(2, 5, -1))


@pytest.mark.parametrize("channels", [64, 48, 50, 96])
def test_stsm_splits_alpha_equally_over_the_axes_and_directions(channels):
    spec = ShiftSpec.stsm(channels, 8)
    fold = channels * 3 // 8 // 6
    steps = [(-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1)]
    expected = [Move(fold * part, fold * (part + 1), *step) for part, step in enumerate(steps)]
    assert spec.moves == tuple(expected)


@pytest.mark.parametrize("channels", [16, 24, 50, 64, 96])
def test_stsm_along_time_alone_is_the_shift_of_tsm(channels):
    assert ShiftSpec.stsm(channels, 8, Fraction(1, 4), "T") == ShiftSpec.tsm(channels, 8, Fraction(1, 4))


def test_where_a_layer_has_too_few_channels_the_first_directions_of_stsm_have_one_each():
    assert ShiftSpec.stsm(24, 8, Fraction(1, 8)).moves == (
        Move(0, 1, dt=-1),
        Move(1, 2, dt=1),
        Move(2, 3, dh=-1),
    )
    assert len(ShiftSpec.stsm(24, 8, Fraction(1, 4)).moves) == 6
    assert len(ShiftSpec.stsm(4, 8, 1).moves) == 4


def test_stsm_refuses_to_move_nothing_and_says_what_is_enough():
    with pytest.raises(ShiftError, match="alpha 1/8 of 6 channels moves none") as caught:
        ShiftSpec.stsm(6, 8, Fraction(1, 8))
    assert "raise alpha to 1/6 or more" in caught.value.fix


@pytest.mark.parametrize(
    ("axes", "displacements"),
    [
        ("T", [(-1, 0, 0), (1, 0, 0)]),
        ("HW", [(0, -1, -1), (0, 1, 1)]),
        ("T+HW", [(-1, 0, 0), (1, 0, 0), (0, -1, -1), (0, 1, 1)]),
        (
            "TH+TW+HW",
            [(-1, -1, 0), (1, 1, 0), (-1, 0, -1), (1, 0, 1), (0, -1, -1), (0, 1, 1)],
        ),
    ],
)
def test_stsm_sets_of_several_axes_move_diagonally(axes, displacements):
    spec = ShiftSpec.stsm(96, 8, Fraction(1, 2), axes)
    assert [move.displacement for move in spec.moves] == displacements
    assert spec.proportion(96) == Fraction(1, 2)
    past = ShiftSpec.stsm(96, 8, Fraction(1, 2), axes, first="past")
    assert past == spec.swapped()


def test_gsm_moves_one_half_each_way():
    spec = ShiftSpec.gsm(6, 8)
    assert spec.layout is Layout.VOLUME
    assert spec.moves == (Move(0, 3, -1), Move(3, 6, +1))


def test_a_shift_longer_than_the_clip_leaves_zeros():
    clips = np.ones((2, 4, 2, 2), np.float32)
    spec = ShiftSpec(2, (Move(0, 1, 5), Move(1, 2, 0, -3, 0)))
    for shifted in (shift_numpy(clips, spec), shift_torch(torch.from_numpy(clips), spec).numpy()):
        assert not shifted[:, :2].any()
        assert shifted[:, 2:].all()


def test_a_shift_is_differentiable():
    clips = torch.randn(4, 8, 2, 2, requires_grad=True)
    shift_torch(clips, ShiftSpec.tsm(8, 4, 1)).sum().backward()
    assert clips.grad[0, :4].abs().sum() == 0
    assert clips.grad[1:, :4].min() == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: Move(3, 3, 1),
        lambda: Move(4, 3, 1),
        lambda: Move(-1, 3, 1),
        lambda: Move(0, 3, 0),
        lambda: Move(0, 3, 0.5),
        lambda: Move(0, 3, True),
        lambda: Move("0", 3, 1),
        lambda: ShiftSpec(0),
        lambda: ShiftSpec(True),
        lambda: ShiftSpec(2.0),
        lambda: ShiftSpec(8, (Move(0, 3, 1), Move(2, 4, -1))),
        lambda: ShiftSpec.tsm(64, 8, -0.1),
        lambda: ShiftSpec.tsm(64, 8, 1.1),
        lambda: ShiftSpec.tsm(64, 8, "lots"),
        lambda: ShiftSpec.tsm(64, 8, float("nan")),
        lambda: ShiftSpec.tsm(64, 8, float("inf")),
        lambda: ShiftSpec.tsm(0, 8),
        lambda: ShiftSpec.tsm(4, 8, Fraction(1, 4)),
        lambda: ShiftSpec.tsm(64, 0),
        lambda: ShiftSpec.tsm(64, 8, direction="sideways"),
        lambda: ShiftSpec.stsm(64, 8, 2),
        lambda: ShiftSpec.stsm(64, 8, axes="X"),
        lambda: ShiftSpec.stsm(64, 8, axes="TT"),
        lambda: ShiftSpec.stsm(64, 8, axes=""),
        lambda: ShiftSpec.stsm(2, 8, Fraction(1, 100)),
        lambda: ShiftSpec.gsm(5, 8),
        lambda: ShiftSpec.gsm(0, 8),
        lambda: ShiftSpec.from_flat(8, (0, 1, 1, 0), "[N*T,C,H,W]"),
        lambda: ShiftSpec.from_flat(8, (0, 1, 0, 0, 0), "[N*T,C,H,W]"),
    ],
)
def test_a_shift_that_is_impossible_is_refused(make):
    with pytest.raises(ShiftError):
        make()


@pytest.mark.parametrize("layout", ["[T,N,C,H,W]", "", None])
def test_an_unknown_layout_is_refused(layout):
    with pytest.raises((ShiftError, ValueError)):
        ShiftSpec(8, (), layout)


@pytest.mark.parametrize(
    ("layout", "shape"),
    [
        (Layout.FRAMES, (1, 8, 8, 4, 4)),
        (Layout.FRAMES, (9, 8, 4, 4)),
        (Layout.FRAMES, (8, 1, 4, 4)),
        (Layout.VOLUME, (8, 8, 4, 4)),
        (Layout.VOLUME, (1, 8, 7, 4, 4)),
        (Layout.VOLUME, (1, 1, 8, 4, 4)),
    ],
)
def test_a_tensor_that_does_not_fit_is_refused(layout, shape):
    spec = ShiftSpec.tsm(8, 8, layout=layout)
    for shift, clips in ((shift_numpy, np.zeros(shape)), (shift_torch, torch.zeros(shape))):
        with pytest.raises(ShiftError):
            shift(clips, spec)


def test_a_spec_prints_what_moves_where():
    assert str(ShiftSpec.tsm(64, 8)) == "Shift(T=8 [N*T,C,H,W]: 0:8 t-1, 8:16 t+1)"
    assert str(ShiftSpec(8)) == "Shift(T=8 [N*T,C,H,W]: nothing moves)"


@pytest.mark.parametrize("wrong", [{"first": "bogus"}, {"rounding": "bogus"}, {"direction": "bogus"}])
def test_a_word_that_is_no_choice_is_never_taken_for_another(wrong):
    with pytest.raises(ShiftError, match=r"unknown \w+ 'bogus'"):
        ShiftSpec.tsm(16, 8, **wrong)


@pytest.mark.parametrize("proportion", ["1/0", None, [], "a"])
def test_a_proportion_that_is_no_number_is_a_shift_error(proportion):
    with pytest.raises(ShiftError, match="not a number"):
        ShiftSpec.tsm(16, 8, proportion)


def test_numbers_of_numpy_are_numbers():
    assert ShiftSpec.tsm(np.int64(16), np.int32(8), np.float32(0.25)) == ShiftSpec.tsm(16, 8, 0.25)
