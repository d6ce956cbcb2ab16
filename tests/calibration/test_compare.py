"""Comparing networks whose answers are known: every figure, every refusal, and going on after an end."""

import json
from dataclasses import replace

import numpy as np
import pytest
from compare_fakes import CLASSES, SAMPLING, SHAPE, Numbered, WrittenBundle, one_hot

from edgevid.bench.environment import look_around
from edgevid.calibration.compare import compare, partial_of
from edgevid.calibration.comparison import load_comparison
from edgevid.calibration.logits import read_logits
from edgevid.calibration.pack import pack
from edgevid.errors import ConfigError, VerificationError, VideoError

LABELS = [0, 1, 2] * 40


@pytest.fixture
def run(tmp_path):
    """Compares bundles of the given logits; ``made`` holds them by name afterwards."""

    def call(data, reference, *candidates, bundles=None, **options):
        call.made = bundles or {}
        for index, logits in enumerate((reference, *candidates)):
            if logits is not None:
                name = "reference" if index == 0 else f"candidate{index}"
                call.made.setdefault(name, WrittenBundle(tmp_path / name, logits))
        paths = {bundle.path: bundle for bundle in call.made.values()}
        return compare(list(paths), data, opener=paths.__getitem__, **{"timing": None, **options})

    return call


def test_a_network_agrees_with_itself(run):
    answers = one_hot(LABELS)
    found = run(Numbered(LABELS), answers, answers, max_drop=0.05)
    (pair,) = found.pairs
    assert pair.agreement.value == 1
    assert (pair.sqnr, pair.cosine, pair.flips) == (None, 1, ())
    assert (pair.top1.lost, pair.top1.gained, pair.top1.drop.value, pair.top1.p) == (0, 0, 0, 1)
    assert pair.verdict == "within"
    assert not found.exceeded
    assert [variant.top1.value for variant in found.variants] == [1, 1]


def test_changed_answers_are_counted_listed_and_told_by_class(run):
    wrong = list(LABELS)
    wrong[0] = 1  # the reference errs at 0, the candidate at 4, 7, 8
    changed = list(LABELS)
    for index in (4, 7, 8):
        changed[index] = 0
    found = run(Numbered(LABELS), one_hot(wrong), one_hot(changed))
    (pair,) = found.pairs
    assert (pair.top1.lost, pair.top1.gained, pair.top1.count) == (3, 1, 120)
    assert pair.top1.drop.value == pytest.approx(2 / 120)
    assert pair.top1.p == pytest.approx(2 * (1 + 4) / 16)
    assert pair.agreement.value == pytest.approx(116 / 120)
    assert [(flip.video, flip.kind) for flip in pair.flips] == [
        ("video 0", "gained"),
        ("video 4", "lost"),
        ("video 7", "lost"),
        ("video 8", "lost"),
    ]
    assert [(change.videos, change.reference, change.candidate) for change in pair.classes] == [
        (40, 39, 40),
        (40, 40, 38),
        (40, 40, 39),
    ]
    assert [change.change for change in pair.classes] == [1, -2, -1]
    # Each clip has one logit of 4; a changed answer differs by 4 in two places.
    assert pair.sqnr == pytest.approx(10 * np.log10(120 * 16 / (4 * 32)), abs=1e-6)
    assert [variant.bytes for variant in found.variants] == [1000, 1000]
    assert found.videos[4].answers[0][0] == 1
    assert found.videos[4].answers[1][0] == 0


@pytest.mark.parametrize(
    ("lost", "max_drop", "verdict"), [(40, 0.1, "exceeded"), (1, 0.1, "within"), (3, 0.02, "too few to tell")]
)
def test_the_verdict_needs_the_whole_interval_on_one_side(run, lost, max_drop, verdict):
    changed = [(label + 1) % 3 if index < lost else label for index, label in enumerate(LABELS)]
    found = run(Numbered(LABELS), one_hot(LABELS), one_hot(changed), max_drop=max_drop)
    (pair,) = found.pairs
    assert pair.verdict == verdict
    assert bool(found.exceeded) == (verdict == "exceeded")
    assert ("labelled videos would tell" in pair.remark) == (verdict == "too few to tell")


def test_without_labels_only_the_answers_are_compared(run):
    found = run(Numbered([None] * 120), one_hot(LABELS), one_hot(LABELS, strength=3))
    (pair,) = found.pairs
    assert [variant.top1 for variant in found.variants] == [None, None]
    assert (pair.top1, pair.top5, pair.classes, pair.verdict) == (None, None, (), None)
    assert pair.agreement.value == 1
    assert pair.sqnr == pytest.approx(20 * np.log10(4), abs=1e-5)
    with pytest.raises(ConfigError, match="without labels"):
        run(Numbered([None] * 120), one_hot(LABELS), one_hot(LABELS), max_drop=0.01)


def test_videos_without_label_count_for_agreement_alone(run):
    labels = [0, None, 2, None]
    found = run(Numbered(labels), one_hot([0, 0, 0, 0]), one_hot([0, 1, 0, 0]))
    assert found.data.labelled == 2
    assert found.variants[0].top1.value == 0.5
    assert found.pairs[0].agreement.value == 0.75
    assert found.pairs[0].flips[0].kind == "other"


def test_a_label_beyond_the_classes_is_refused_before_anything_runs(run):
    data = Numbered([0, 1, CLASSES])
    with pytest.raises(ConfigError, match="video 3 has label 3, but the network has 3 classes"):
        run(data, one_hot([0, 1, 2]), one_hot([0, 1, 2]))
    assert data.opened == []


def test_broken_videos_are_skipped_by_name_for_all_networks(run):
    found = run(Numbered(LABELS, broken=(0, 7)), one_hot(LABELS), one_hot(LABELS), one_hot(LABELS))
    assert [(video.name, video.reason) for video in found.skipped] == [
        ("video 0", "damaged"),
        ("video 7", "damaged"),
    ]
    assert found.data.videos == 118
    assert all(bundle._session.seen.count(7) == 0 for bundle in run.made.values())
    assert [variant.top1.value for variant in found.variants] == [1, 1, 1]


def test_when_no_video_can_be_read_the_reason_is_told_and_nothing_is_left(run, tmp_path):
    with pytest.raises(VideoError, match="no video could be read: torn"):
        run(Numbered([0], broken=(0,)), one_hot([0]), one_hot([0]), output=tmp_path / "c.json")
    assert not list(tmp_path.glob("*.partial"))


class Interruption:
    """Ends a comparison after so many videos."""

    def __init__(self, after):
        self.after = after

    def __call__(self, stage, done, total):
        if done == self.after:
            raise KeyboardInterrupt


def test_an_interrupted_comparison_goes_on_where_it_stopped(run, tmp_path):
    output, changed = tmp_path / "c.json", [0] * 120
    whole = run(Numbered(LABELS, broken=(3,)), one_hot(LABELS), one_hot(changed))
    with pytest.raises(KeyboardInterrupt):
        run(
            Numbered(LABELS, broken=(3,)),
            one_hot(LABELS),
            one_hot(changed),
            output=output,
            progress=Interruption(50),
        )
    assert partial_of(output).exists()
    assert not output.exists()
    data = Numbered(LABELS, broken=(3,))
    found = run(data, one_hot(LABELS), one_hot(changed), output=output)
    assert data.opened == list(range(50, 120))
    assert any("50 videos were done by an earlier run" in note for note in found.notes)
    assert found.pairs == whole.pairs
    assert found.videos == whole.videos
    assert found.skipped == whole.skipped
    assert load_comparison(output) == found
    assert not partial_of(output).exists()


@pytest.mark.parametrize("other", ["network", "data", "threads", "instructions", "variables", "packages"])
def test_what_is_left_of_another_comparison_is_not_taken_up(run, tmp_path, monkeypatch, other):
    output = tmp_path / "c.json"
    with pytest.raises(KeyboardInterrupt):
        run(
            Numbered(LABELS),
            one_hot(LABELS),
            one_hot(LABELS),
            output=output,
            progress=Interruption(50),
        )
    data = Numbered(LABELS, sha256="others" if other == "data" else Numbered(LABELS).sha256)
    candidate = one_hot([0] * 120) if other == "network" else one_hot(LABELS)
    elsewhere = {
        "instructions": {"isa": ("avx2",)},
        "variables": {"variables": {"ONEDNN_MAX_CPU_ISA": "AVX2"}},
        "packages": {"packages": {"openvino": "1999.0"}},
    }
    machine = look_around().model_copy(update=elsewhere.get(other, {}))
    monkeypatch.setattr("edgevid.calibration.compare.look_around", lambda: machine)
    threads = 3 if other == "threads" else None
    found = run(data, one_hot(LABELS), candidate, output=output, threads=threads)
    assert len(data.opened) == 120
    assert any("another comparison" in note for note in found.notes)


def test_copies_of_a_video_are_no_further_trials(run):
    class Copied(Numbered):
        def read(self, start=0):
            for sample in super().read(start):
                yield replace(sample, clips=np.zeros_like(sample.clips)) if sample.label == 0 else sample

    found = run(Copied(LABELS), one_hot(LABELS), one_hot(LABELS))
    assert any("39 of 120 videos show the same pixels as others" in note for note in found.notes)
    assert not any("same pixels" in note for note in run(Numbered(LABELS), *[one_hot(LABELS)] * 2).notes)


def test_a_simulated_network_is_labelled_so_and_not_timed(run, tmp_path, monkeypatch):
    timed = []

    def measure(paths, **options):
        timed.extend(paths)
        raise ConfigError("stop here")

    monkeypatch.setattr("edgevid.calibration.latency.bench_bundles", measure)
    simulated = WrittenBundle(tmp_path / "trt", one_hot(LABELS), simulated=True)
    with pytest.raises(ConfigError, match="stop here"):
        run(Numbered(LABELS), one_hot(LABELS), bundles={"trt": simulated}, timing=object())
    assert timed == [tmp_path / "reference"]
    found = run(Numbered(LABELS), one_hot(LABELS), bundles={"trt": simulated})
    assert {variant.name: variant.label for variant in found.variants} == {
        "trt": "simulated",
        "reference": "measured",
    }
    assert next(v for v in found.variants if v.name == "trt").title == "trt [simulated]"


def test_logits_that_are_no_numbers_name_the_network_and_the_video(run):
    bad = one_hot(LABELS)
    bad[5, 1] = np.nan
    with pytest.raises(VerificationError, match="candidate1 gives logits that are not finite") as error:
        run(Numbered(LABELS), one_hot(LABELS), bad)
    assert error.value.where == "video 5"


def test_what_a_simulated_network_imitates_is_told(run, tmp_path):
    bundle = WrittenBundle(tmp_path / "trt", one_hot([0]))
    bundle.simulated = "tensorrt"
    found = run(Numbered([0]), one_hot([0]), bundles={"trt": bundle})
    assert (found.variants[0].label, found.variants[0].note) == ("simulated", "imitates tensorrt")


def test_networks_of_other_classes_are_refused(run, tmp_path):
    with pytest.raises(ConfigError, match="candidate1 has classes 2, reference has 3"):
        run(Numbered([0, 1]), one_hot([0, 1]), np.zeros((2, 2)))
    named = WrittenBundle(tmp_path / "named", one_hot([0]), labels=["a", "b", "c"])
    renamed = WrittenBundle(tmp_path / "renamed", one_hot([0]), labels=["b", "a", "c"])
    with pytest.raises(ConfigError, match="different names"):
        run(Numbered([0]), None, bundles={"named": named, "renamed": renamed})


def test_one_network_alone_is_nothing_to_compare(run):
    with pytest.raises(ConfigError, match="nothing to compare"):
        run(Numbered([0]), one_hot([0]))


def test_clips_of_another_size_are_refused(run):
    class Larger(Numbered):
        def read(self, start=0):
            for sample in super().read(start):
                yield type(sample)(sample.name, sample.label, np.zeros((1, 2, 8, 8, 3), np.uint8))

    with pytest.raises(ConfigError, match=r"clips \[2, 8, 8, 3\] for a network that takes \[2, 4, 4, 3\]"):
        run(Larger([0]), one_hot([0]), one_hot([0]))


@pytest.mark.parametrize(("average", "answer"), [("logits", 0), ("softmax", 1)])
def test_views_of_a_video_are_averaged_as_the_network_says(run, tmp_path, average, answer):
    # One view is very sure of 0, two are fairly sure of 1.
    logits = [[30.0, 0, 0], [0, 6.0, 0], [0, 6.0, 0]]
    sampling = type(SAMPLING)(segments=2, resize=4, crop=4, clips=3, average=average)
    made = {name: WrittenBundle(tmp_path / name, logits, sampling=sampling) for name in ("one", "two")}
    found = run(Numbered([1], views=3), None, bundles=made)
    assert found.data.views == found.videos[0].views == 3
    assert found.videos[0].answers[0][0] == answer


def test_what_a_network_was_compiled_for_and_does_not_see_is_noted(run, tmp_path):
    other = WrittenBundle(
        tmp_path / "o", one_hot([0]), sampling=type(SAMPLING)(segments=2, resize=5, crop=4), digest="b"
    )
    found = run(
        Numbered([0]), one_hot([0]), bundles={"r": WrittenBundle(tmp_path / "r", one_hot([0])), "o": other}
    )
    assert "o was made for resize 5 but sees 4" in found.notes
    assert any("o comes from another file" in note for note in found.notes)


@pytest.fixture
def packed(tmp_path):
    return pack(Numbered(LABELS), tmp_path / "clips", shard_bytes=50 * int(np.prod(SHAPE)))


def write_logits(path, packed, **changes):
    content = {"logits": one_hot(LABELS).tolist(), "clips_sha256": packed.index.clips_sha256, **changes}
    path.write_text(json.dumps(content))
    return path


def test_logits_of_another_device_are_measured_results(run, tmp_path, packed):
    logits = one_hot(LABELS)
    logits[0] = (0, 9, 0)
    np.savez(
        tmp_path / "tx2.npz",
        logits=logits,
        clips_sha256=packed.index.clips_sha256,
        device="a Jetson TX2",
        latency_ms=[10.0, 11, 12, 11, 11, 10],
    )
    as_json = write_logits(tmp_path / "again.json", packed, logits=logits.tolist())
    files = {"tx2": tmp_path / "tx2.npz", "again": as_json}
    found = run(packed, one_hot(LABELS), logits=files)
    assert [pair.name for pair in found.pairs] == ["tx2", "again"]
    assert found.pairs[0].top1.lost == found.pairs[1].top1.lost == 1
    device = found.variants[1]
    assert (device.label, device.device, device.latency_ms.median) == ("measured", "a Jetson TX2", 11)
    assert device.speedup is None, "another device's time is no speed-up"
    assert found.data.packed


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"clips_sha256": "0" * 64}, "of other clips"),
        ({"logits": [[0, 0, 0]]}, r"logits \[1, 3\] for 120 clips"),
        ({"logits": [[0.0, float("nan"), 0.0]] * 120}, "clip 0 are not finite"),
        ({"logits": "none"}, "cannot be read"),
        ({"latency_ms": [-1]}, "latency_ms"),
    ],
)
def test_logits_that_do_not_belong_to_the_clips_are_refused(run, tmp_path, packed, change, told):
    path = write_logits(tmp_path / "bad.json", packed, **change)
    with pytest.raises(ConfigError, match=told) as error:
        run(packed, one_hot(LABELS), logits={"bad": path})
    assert error.value.where == str(path)


def test_damaged_logits_name_what_is_missing(run, tmp_path, packed):
    path = tmp_path / "bad.json"
    path.write_text('{"logits": []}')
    with pytest.raises(ConfigError, match="no 'clips_sha256'"):
        run(packed, one_hot(LABELS), logits={"bad": path})
    for content in (b"", b"[]", b"PK\x03\x04"):
        for name in ("bad.json", "bad.npz"):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(ConfigError, match="cannot be read"):
                run(packed, one_hot(LABELS), logits={"bad": tmp_path / name})
    with pytest.raises(ConfigError, match="cannot be read"):
        run(packed, one_hot(LABELS), logits={"bad": tmp_path / "missing.npz"})


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_changed_byte_of_a_logits_file_is_refused_or_changes_nothing(tmp_path, packed, save):
    path = tmp_path / "l.npz"
    save(path, logits=one_hot(LABELS), clips_sha256=packed.index.clips_sha256)
    content = path.read_bytes()
    for place in range(0, len(content), 11):
        for byte in (content[place] ^ 0xFF, 12, 14):
            path.write_bytes(content[:place] + bytes([byte]) + content[place + 1 :])
            try:
                found = read_logits(path, packed, CLASSES)
            except ConfigError:
                continue
            assert np.array_equal(found.logits, one_hot(LABELS))


@pytest.mark.parametrize("logits", [one_hot(LABELS) * 1j, one_hot(LABELS) > 0])
def test_logits_that_are_no_real_numbers_are_refused(tmp_path, packed, logits):
    np.savez(tmp_path / "l.npz", logits=logits, clips_sha256=packed.index.clips_sha256)
    with pytest.raises(ConfigError, match="no numbers"):
        read_logits(tmp_path / "l.npz", packed, CLASSES)


def test_a_number_that_no_float_holds_is_refused(tmp_path, packed):
    logits = [[10**400, 0, 0]] * 120
    with pytest.raises(ConfigError, match="cannot be read"):
        read_logits(write_logits(tmp_path / "l.json", packed, logits=logits), packed, CLASSES)


def test_logits_need_the_clips_they_are_of(run, tmp_path, packed):
    path = write_logits(tmp_path / "l.json", packed)
    with pytest.raises(ConfigError, match="packed clips, not to videos"):
        run(Numbered(LABELS), one_hot(LABELS), logits={"l": path})
    with pytest.raises(ConfigError, match="two networks are named reference"):
        run(packed, one_hot(LABELS), logits={"reference": path})
