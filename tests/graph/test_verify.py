import re
import warnings

import numpy as np
import pytest

from edgevid.contract import PRECISIONS, TOLERANCES, TensorSpec
from edgevid.errors import VerificationError
from edgevid.graph.verify import (
    Expectation,
    compare,
    expectations,
    random_clips,
    run_all,
    verify,
)

SHAPE = (4, 8, 8, 3)
CLASSES = 5
WEIGHT = np.random.default_rng(0).standard_normal((int(np.prod(SHAPE)), CLASSES)) / 100


def linear(clips):
    """Logits that depend on every pixel, each clip for itself."""
    return clips.reshape(len(clips), -1).astype(np.float64) @ WEIGHT


class FakeSession:
    """``network`` is any function from clips to logits."""

    def __init__(self, network=linear, batch=1, dtype="uint8"):
        self.input = TensorSpec("clips", (batch, *SHAPE), dtype)
        self.output = TensorSpec("logits", (batch, CLASSES), "float32")
        self.network = network

    def run(self, clip):
        assert clip.shape == self.input.shape
        assert str(clip.dtype) == self.input.dtype
        return np.asarray(self.network(clip), np.float32)


def expected(count=2):
    reference = FakeSession()
    return expectations(reference, random_clips(reference.input, 2, seed=9), count=count, seed=1)


def failures(network, batch=1, precision="fp32"):
    """The names of the checks that fail, after the error has told them."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = verify(FakeSession(network, batch), expected(), precision)
    assert not result.passed
    failed = [check for check in result.checks if not check.passed]
    with pytest.raises(VerificationError) as caught:
        result.raise_if_failed("the bundle")
    assert "where: the bundle" in str(caught.value)
    assert all(f"{check.name}: {check.detail}" in caught.value.what for check in failed)
    return {check.name: check.detail for check in failed}


@pytest.mark.parametrize("batch", [1, 2, 3, 16])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_equal_sessions_pass_at_every_batch_and_precision(batch, precision):
    result = verify(FakeSession(batch=batch), expected(), precision)
    result.raise_if_failed("nowhere")
    assert result.passed
    names = [check.name for check in result.checks]
    assert names[:2] == ["golden input", "random input"]
    assert ("clips of one batch do not touch" in names) == (batch > 1)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_error_just_inside_the_tolerance_passes_and_one_outside_fails(precision):
    def off_by(share):
        return lambda clips: linear(clips) * (1 + share)

    inside, outside = TOLERANCES[precision] * 0.95, TOLERANCES[precision] * 1.1
    assert verify(FakeSession(off_by(inside)), expected(), precision).passed
    assert set(failures(off_by(outside), precision=precision)) == {"golden input", "random input"}


def test_the_report_names_every_error_the_worst_element_and_the_tolerance():
    def one_wrong(clips):
        logits = linear(clips)
        logits[:, 3] += 1000
        return logits

    detail = failures(one_wrong)["golden input"]
    for words in (
        "relative max",
        "absolute max 1.00e+03",
        "mean",
        "worst at [",
        ", 3]:",
        "top-1 agreement 0%",
    ):
        assert words in detail
    assert "allowed for fp32: at most 1e-04" in detail


def test_one_wrong_logit_in_one_clip_is_enough():
    clips = np.concatenate([part.clips for part in expected()])

    def sometimes(given):
        logits = linear(given)
        logits[[bool((clip == clips[3]).all()) for clip in given], 0] += 1
        return logits

    assert set(failures(sometimes)) == {"random input"}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_logits_that_are_no_numbers_fail_without_a_warning(bad, precision):
    def broken(clips):
        logits = linear(clips)
        logits[0, 0] = bad
        return logits

    found = failures(broken, precision=precision)
    assert found["output depends on the input"] == "some logits are not finite"
    assert {"golden input", "random input"} <= set(found)


def test_a_constant_output_is_called_that():
    found = failures(lambda clips: np.tile(np.arange(CLASSES), (len(clips), 1)))
    assert "does not depend on the input" in found["output depends on the input"]


def test_a_constant_output_fails_even_where_it_is_within_the_tolerance():
    logits = np.float32([[1000, 0], [1000, 0.01], [1000, 0.02], [1000, 0.03]])
    clips = random_clips(TensorSpec("clips", (1, *SHAPE), "uint8"), 4, seed=0)
    parts = [Expectation("golden input", clips, logits)]
    result = verify(FakeSession(lambda clips: np.tile(logits[:1], (len(clips), 1))), parts)
    assert [check.name for check in result.checks if not check.passed] == ["output depends on the input"]


def test_an_output_that_hardly_depends_on_the_input_fails():
    mean = linear(expected()[0].clips)[0]
    found = failures(lambda clips: mean + 1e-4 * (linear(clips) - mean))
    assert "hardly depends on the input" in found["output depends on the input"]


@pytest.mark.parametrize("batch", [2, 3, 16])
def test_a_clip_that_leaks_into_the_next_of_its_batch_is_named(batch):
    def leaking(clips):
        logits = linear(clips)
        logits[1:] += 1e-5 * logits[:-1]
        return logits

    (detail,) = failures(leaking, batch).values()
    guilty, victim = re.search(
        r"leak into each other: clip (\d+) changes the logits of clip (\d+)", detail
    ).groups()
    assert int(victim) == int(guilty) + 1


def test_a_leak_from_the_last_clip_to_the_first_is_seen():
    def leaking(clips):
        logits = linear(clips)
        logits[0] += 1e-5 * logits[-1]
        return logits

    assert "of clip 0" in failures(leaking, 3)["clips of one batch do not touch"]


def test_a_batch_that_is_averaged_fails():
    found = failures(lambda clips: np.repeat(linear(clips).mean(0, keepdims=True), len(clips), 0), 2)
    assert {"clips of one batch do not touch", "full batch", "golden input"} <= set(found)


@pytest.mark.parametrize("place", [2, 5, 15])
def test_a_wrong_result_in_one_place_of_a_large_batch_is_seen(place):
    def last_is_wrong(clips):
        logits = linear(clips)
        logits[place] = -logits[place]
        return logits

    assert "full batch" in failures(last_is_wrong, 16)


@pytest.mark.parametrize("batch", [1, 2])
def test_a_session_that_remembers_the_clip_before_is_found_out(batch):
    memory = np.zeros(CLASSES)

    def remembering(clips):
        logits = linear(clips) + 1e-5 * memory
        memory[:] = linear(clips)[-1]
        return logits

    found = failures(remembering, batch)
    assert "an earlier clip changes the answer" in found["clips do not leak into later runs"]


def test_a_session_that_counts_its_runs_is_found_out():
    runs = []

    def drifting(clips):
        runs.append(1)
        return linear(clips) * (1 + 4e-6 * len(runs))

    assert set(failures(drifting)) == {"clips do not leak into later runs"}


def test_logits_of_another_shape_are_an_error_in_words():
    with pytest.raises(VerificationError, match=r"shape \(2, 4\) for a reference of \(2, 5\)"):
        verify(FakeSession(lambda clips: linear(clips)[:, :4]), expected())


def test_a_single_clip_proves_nothing_and_is_refused():
    (golden, _) = expected()
    with pytest.raises(VerificationError, match="fewer than two clips"):
        verify(FakeSession(), [Expectation("golden input", golden.clips[:1], golden.logits[:1])])


def test_differences_are_what_their_names_say():
    reference = np.float32([[1, -2, 4], [0, 8, -1]])
    candidate = np.float32([[1, -2, 5], [0, 6, 7]])
    found = compare(reference, candidate)
    assert found.max_absolute == 8
    assert found.mean_absolute == pytest.approx(11 / 6)
    assert found.max_relative == 1
    assert found.mean_relative == pytest.approx(11 / 16)
    assert found.worst == (1, 2)
    assert found.worst_values == (7, -1)
    assert found.top1_agreement == 0.5
    assert found.sqnr == pytest.approx(10 * np.log10(86 / 69))


def test_equal_logits_differ_by_nothing_even_when_they_are_zero_or_infinite():
    for values in (np.zeros((2, 3)), np.full((2, 3), np.inf), np.ones((2, 3))):
        found = compare(values.astype(np.float32), values.astype(np.float32))
        assert (found.max_absolute, found.max_relative, found.mean_relative) == (0, 0, 0)
        assert found.within("fp32")


def test_noise_is_held_to_20_db_for_int8():
    reference = np.random.default_rng(0).standard_normal((8, 100)).astype(np.float32)
    noise = np.random.default_rng(1).standard_normal((8, 100)).astype(np.float32)
    noise *= np.sqrt((reference**2).mean() / (noise**2).mean())
    for decibels, passes in ((20.1, True), (19.9, False)):
        found = compare(reference, reference + noise * 10 ** (-decibels / 20))
        assert found.sqnr == pytest.approx(decibels, abs=0.01)
        assert found.within("int8") is passes


def test_clips_are_run_in_batches_and_the_last_one_is_filled_up():
    clips = random_clips(TensorSpec("clips", (1, *SHAPE), "uint8"), 5, seed=0)
    seen = []

    def counting(given):
        seen.append(len(given))
        return linear(given)

    assert np.array_equal(run_all(FakeSession(counting, 3), clips), linear(clips).astype(np.float32))
    assert seen == [3, 3]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_random_clips_are_reproducible_and_differ_from_each_other(dtype):
    spec = TensorSpec("clips", (16, *SHAPE), dtype)
    clips = random_clips(spec, 4, seed=3)
    assert clips.shape == (4, *SHAPE)
    assert clips.dtype == dtype
    assert np.array_equal(clips, random_clips(spec, 4, seed=3))
    assert not np.array_equal(clips, random_clips(spec, 4, seed=4))
    assert len({clip.tobytes() for clip in clips}) == 4


def test_half_of_the_random_clips_move_smoothly():
    clips = random_clips(TensorSpec("clips", (1, 8, 32, 32, 3), "uint8"), 4, seed=0).astype(float)
    steps = np.abs(np.diff(clips, axis=2)).mean((1, 2, 3, 4))
    assert (steps[1::2] < steps[::2] / 2).all()
    assert all(np.ptp(clip.mean((1, 2, 3))) > 1 for clip in clips[1::2])
