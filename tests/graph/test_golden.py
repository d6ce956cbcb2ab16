import copy
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from shift_graphs import exported

from edgevid.contract import CompileOptions, Normalization, TensorSpec
from edgevid.errors import VerificationError
from edgevid.graph.golden import candidate_clips, choose_golden
from edgevid.graph.prelude import with_uint8_clips
from edgevid.graph.shift_op import replace_specs, shift_nodes
from edgevid.graph.verify import compare, run_all
from edgevid.shift import ShiftSpec
from edgevid.targets import onnxruntime as reference_target
from edgevid.targets._profiles import device


@pytest.fixture
def open_reference(tmp_path):
    def opener(graph):
        target = reference_target.target()
        folder = Path(tmp_path / str(len(list(tmp_path.iterdir()))))
        folder.mkdir()
        return target.open(target.compile(graph, CompileOptions(device("reference"), folder)))

    return opener


@pytest.fixture(scope="module")
def graph():
    return with_uint8_clips(exported("resnet50"), Normalization())


def without_effect(graph):
    """The same graph, in which nothing behind a shift reaches the output."""
    blind = copy.deepcopy(ir.to_proto(graph))
    blind = ir.from_proto(blind)
    for node in shift_nodes(blind):
        convolution = node.outputs[0].uses()[0].node
        weight = convolution.inputs[1]
        zeros = ir.tensor(np.zeros(weight.shape.numpy(), np.float32), name=weight.name)
        weight.const_value = zeros
    return blind


def test_golden_clips_tell_the_network_from_its_controls(graph, open_reference):
    golden = choose_golden(graph, open_reference, "fp32")
    clips, random = golden.expectations
    assert (clips.name, random.name) == ("golden input", "random input")
    assert clips.clips.dtype == np.uint8
    assert clips.clips.shape == (2, 4, 32, 32, 3)
    assert random.clips.shape == (2, 4, 32, 32, 3)
    with open_reference(graph) as session:
        for part in golden.expectations:
            assert np.array_equal(run_all(session, part.clips), part.logits)
    for change, recorded in ((ShiftSpec.without_moves, golden.removed), (ShiftSpec.swapped, golden.swapped)):
        with open_reference(replace_specs(graph, change)) as control:
            effects = [
                compare(logits[None], control.run(clip[None])).max_relative
                for clip, logits in zip(clips.clips, clips.logits, strict=True)
            ]
        assert recorded == pytest.approx(min(effects))
        assert recorded > 1e-4


def test_golden_data_is_the_same_every_time(graph, open_reference):
    first, second = (choose_golden(graph, open_reference, "fp16") for _ in range(2))
    for one, other in zip(first.expectations, second.expectations, strict=True):
        assert np.array_equal(one.clips, other.clips)
        assert np.array_equal(one.logits, other.logits)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_network_whose_shift_changes_nothing_is_refused(graph, open_reference, precision):
    with pytest.raises(VerificationError, match="with its shifts removed") as caught:
        choose_golden(without_effect(graph), open_reference, precision)
    assert f"{precision} allows" in caught.value.what
    assert "trained" in caught.value.fix


def test_a_network_without_shifts_has_nothing_to_tell_apart(graph, open_reference):
    golden = choose_golden(replace_specs(graph, ShiftSpec.without_moves), open_reference, "fp32")
    assert (golden.removed, golden.swapped) == (None, None)
    assert len(golden.expectations[0].clips) == 2


class Table:
    """A reference that answers the n-th clip with the n-th row."""

    input = TensorSpec("clips", (1, 4, 8, 8, 3), "uint8")

    def __init__(self, rows):
        self.rows = list(rows)
        clips = [clip.tobytes() for clip in candidate_clips(self.input)]
        self.number = {clip: number for number, clip in enumerate(clips)}

    def run(self, clip):
        number = self.number.get(clip.tobytes(), 0)
        return np.float32([[1.0, self.rows[number]]])

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


def chosen(graph, removed, swapped, precision="fp32"):
    """Golden data of a network whose controls change the logits of each candidate by so much."""
    tables = iter([Table([0.0] * 12), Table(removed), Table(swapped)])
    golden = choose_golden(graph, lambda _: next(tables), precision)
    number = Table([0.0] * 12).number
    return golden, [number[clip[None].tobytes()] for clip in golden.expectations[0].clips]


def test_the_most_telling_clips_are_kept_and_judged_by_their_weaker_control(graph):
    removed = [2e-4, 9.0, 2.1e-4, 3e-5, 2.2e-4, 1e-4] + [0.0] * 6
    swapped = [2e-4, 1e-5, 2.1e-4, 3e-5, 1.0, 1e-4] + [0.0] * 6
    golden, kept = chosen(graph, removed, swapped)
    assert kept == [4, 2]
    assert golden.removed == pytest.approx(2.1e-4)
    assert golden.swapped == pytest.approx(2.1e-4)


def test_the_search_ends_once_two_clips_are_ample(graph):
    _, kept = chosen(graph, [0, 1e-3, 0, 1e-3, 1.0, *[0] * 7], [0, 1e-3, 0, 1e-3, 1.0, *[0] * 7])
    assert sorted(kept) == [1, 3]


@pytest.mark.parametrize(
    ("removed", "swapped", "words"),
    [(0.5, 1e-4, "swapped in direction"), (1e-4, 0.5, "removed"), (1e-4, 1e-4, "removed")],
)
def test_a_control_within_the_tolerance_is_named(graph, removed, swapped, words):
    with pytest.raises(VerificationError, match=words):
        chosen(graph, [removed] * 12, [swapped] * 12)


def test_what_is_enough_for_float32_can_be_too_little_for_half_precision(graph):
    effects = [1e-2] * 12
    chosen(graph, effects, effects, "fp32")
    with pytest.raises(VerificationError, match="bf16 allows 2e-02"):
        chosen(graph, effects, effects, "bf16")


def test_candidates_are_reproducible_bytes_whose_frames_differ():
    spec = TensorSpec("clips", (1, 8, 16, 16, 3), "uint8")
    first, second = (list(candidate_clips(spec)) for _ in range(2))
    assert len(first) == 12
    assert [clip.tobytes() for clip in first] == [clip.tobytes() for clip in second]
    for clip in first:
        assert clip.shape == (1, 8, 16, 16, 3)
        assert clip.dtype == np.uint8
        assert not (clip[:, 1:] == clip[:, :1]).all()


class Ordered:
    """A reference whose logits change by so much with the order of the frames."""

    input = TensorSpec("clips", (1, 4, 8, 8, 3), "uint8")

    def __init__(self, weight):
        self.weight = weight

    def run(self, clip):
        moments = clip.mean(axis=(0, 2, 3, 4)) / 255
        return np.float32([[1.0, self.weight * moments @ [1, 2, 4, 8]]])

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


@pytest.mark.parametrize("mixes_time", [True, None])
def test_without_shifts_the_control_is_the_clip_reversed_in_time(graph, mixes_time):
    plain, session = replace_specs(graph, ShiftSpec.without_moves), Ordered(1.0)
    golden = choose_golden(plain, lambda _: session, "fp32", mixes_time=mixes_time)
    assert (golden.removed, golden.swapped) == (None, None)
    effects = [
        compare(session.run(clip[None]), session.run(clip[None, ::-1])).max_relative
        for clip in golden.expectations[0].clips
    ]
    assert golden.reversed == pytest.approx(min(effects))
    assert golden.reversed > 1e-4


def test_a_network_that_should_see_the_order_of_frames_and_does_not_is_refused(graph):
    plain = replace_specs(graph, ShiftSpec.without_moves)
    with pytest.raises(VerificationError, match="on the clip reversed in time"):
        choose_golden(plain, lambda _: Ordered(0.0), "fp32", mixes_time=True)


@pytest.mark.parametrize("mixes_time", [False, None])
def test_a_network_that_need_not_see_the_order_of_frames_has_no_such_control(graph, mixes_time):
    plain = replace_specs(graph, ShiftSpec.without_moves)
    golden = choose_golden(plain, lambda _: Ordered(0.0), "fp32", mixes_time=mixes_time)
    assert golden.reversed is None
    assert len(golden.expectations[0].clips) == 2
