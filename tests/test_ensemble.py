"""Several networks as one bundle: compiled together, checked as a whole, and averaged."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from edgevid.bundle import Bundle
from edgevid.calibration.clips import Arrays
from edgevid.compiler import compile_checkpoint
from edgevid.contract import Sampling
from edgevid.ensemble import Ensemble, Member, check_members, is_ensemble
from edgevid.ensemble_compiler import compile_ensemble
from edgevid.errors import BundleError, BundleIntegrityError, BundleVersionError, CheckpointError, ConfigError
from edgevid.int8 import Int8, partial_of
from edgevid.new_bundle import new_bundle
from edgevid.plan import plan
from edgevid.scores import ensemble_scores


@pytest.fixture(scope="module")
def pair(tiny_ensemble):
    return Ensemble.open(tiny_ensemble)


@pytest.fixture
def copy(pair, tmp_path):
    return shutil.copytree(pair.path, tmp_path / "copy.bundle")


def rewrite(ensemble, change):
    file = ensemble / "ensemble.json"
    manifest = json.loads(file.read_text())
    change(manifest)
    file.write_text(json.dumps(manifest))


def clips_of(ensemble):
    return [member.bundle.golden_clip for member in ensemble.members]


def test_an_ensemble_says_who_its_members_are(pair):
    assert [member.title for member in pair.members] == ["tiny, 4 frames", "tiny, 8 frames"]
    assert [member.weight for member in pair.members] == [1, 3]
    assert [member.bundle.clip_shape[0] for member in pair.members] == [4, 8]
    assert [member.bundle.batches for member in pair.members] == [(1, 2), (1,)]
    assert (pair.classes, pair.labels, pair.simulated) == (5, None, "")


def test_every_member_is_a_bundle_that_can_be_used_by_itself(pair, tiny_bundle):
    first, second = (Bundle.open(pair.path / "members" / name) for name in "12")
    assert first.manifest == Bundle.open(tiny_bundle).manifest
    assert all(check.passed for check in second.manifest.artifacts[0].checks)


def test_scores_are_the_weighted_mean_of_what_the_members_compute(pair):
    clips = clips_of(pair)
    logits = []
    for member, clip in zip(pair.members, clips, strict=True):
        with member.bundle.session(1) as session:
            logits.append(session.run(clip))
    with pair.session() as session:
        probabilities = session.run(clips)
        expected = ensemble_scores(logits, [Sampling(), Sampling()], [1, 3])
        np.testing.assert_allclose(probabilities, expected, rtol=1e-4)
        assert probabilities.shape == (5,)
        assert len(session.seconds) == 2
        assert all(seconds > 0 for seconds in session.seconds)


@pytest.mark.parametrize("device", ["reference", "host-tvm"])
def test_networks_of_other_runtimes_run_side_by_side_too(pair, tiny_checkpoint, tmp_path, device):
    one = compile_checkpoint(tiny_checkpoint, tmp_path / "one", device=device)
    made = compile_ensemble([one.path, one.path], tmp_path / "made", device=device)
    clip = one.golden_clip
    with made.session() as session, pair.members[0].bundle.session(1) as other:
        expected = ensemble_scores([other.run(clip)], [Sampling()], [1])
        np.testing.assert_allclose(session.run([clip, clip]), expected, rtol=1e-3)


def test_views_of_a_video_fill_the_batches_that_were_compiled(pair):
    several = pair.with_members(lambda member: replace(member, sampling=replace(member.sampling, clips=3)))
    assert [member.batch for member in several.members] == [2, 1]
    views = [np.repeat(clip, 3, axis=0) for clip in clips_of(pair)]
    with several.session() as session, pair.session() as one:
        np.testing.assert_allclose(session.run(views), one.run(clips_of(pair)), rtol=1e-4)


def test_clips_for_too_few_members_are_refused(pair):
    with (
        pair.session() as session,
        pytest.raises(ConfigError, match="clips for 1 networks, of which there are 2"),
    ):
        session.run(clips_of(pair)[:1])


def test_a_bundle_opens_as_an_ensemble_of_one(tiny_bundle):
    (member,) = Ensemble.open(tiny_bundle).members
    assert (member.title, member.weight, member.bundle.path) == ("tiny.bundle", 1.0, tiny_bundle)
    assert not is_ensemble(tiny_bundle)


def test_what_takes_one_network_says_which_folders_hold_one(pair):
    with pytest.raises(BundleError, match=r"ensemble of several networks[\s\S]*members/1"):
        Bundle.open(pair.path)


@pytest.mark.parametrize("place", ["nowhere", ".", "x" * 300])
def test_a_folder_without_either_manifest_is_neither(tmp_path, place):
    with pytest.raises(BundleError):
        Ensemble.open(tmp_path / place)


def test_a_changed_file_of_a_member_is_noticed(copy):
    file = copy / "members" / "2" / "artifacts" / "batch1" / "model.bin"
    file.write_bytes(file.read_bytes()[:-1] + b"\0\1")
    with pytest.raises(BundleIntegrityError, match=r"model\.bin has changed"):
        Ensemble.open(copy)


def test_another_bundle_in_the_place_of_a_member_is_noticed(copy):
    shutil.rmtree(copy / "members" / "2")
    shutil.copytree(copy / "members" / "1", copy / "members" / "2")
    with pytest.raises(BundleIntegrityError, match="members/2 is another bundle"):
        Ensemble.open(copy)


def test_a_missing_or_linked_member_is_named(copy):
    (copy / "members" / "2").rename(copy.parent / "elsewhere")
    with pytest.raises(BundleIntegrityError, match="lacks members/2"):
        Ensemble.open(copy)
    (copy / "members" / "2").symlink_to(copy.parent / "elsewhere")
    with pytest.raises(BundleIntegrityError, match="lacks members/2"):
        Ensemble.open(copy)


@pytest.mark.parametrize("name", ["notes.txt", "members/3", "members/notes.txt"])
def test_what_the_ensemble_does_not_know_is_refused_and_never_deleted(copy, name):
    (copy / name).write_text("mine")
    with pytest.raises(BundleIntegrityError, match=f"does not know {name}"):
        Ensemble.open(copy)
    with pytest.raises(BundleError), new_bundle(copy):
        pass
    assert (copy / name).read_text() == "mine"


def test_a_newer_schema_asks_for_a_newer_edgevid(copy):
    rewrite(copy, lambda manifest: manifest.update(schema_version=2, something_new=1))
    with pytest.raises(BundleVersionError, match="pip install --upgrade edgevid"):
        Ensemble.open(copy)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["members"].pop(),
        lambda m: m["members"][0].update(weight=0),
        lambda m: m["members"][0].update(weight=float("nan")),
        lambda m: m["members"][0].update(title=m["members"][1]["title"]),
        lambda m: m["members"].append(m["members"][0]),
        lambda m: m["members"][0].update(folder="../outside"),
        lambda m: m["members"][0].pop("manifest_sha256"),
        lambda m: m.pop("schema_version"),
    ],
)
def test_a_damaged_manifest_is_named(copy, change):
    rewrite(copy, change)
    with pytest.raises(BundleError, match=r"manifest is damaged[\s\S]*ensemble\.json"):
        Ensemble.open(copy)


def member_with(bundle, title, **changes):
    manifest = bundle.manifest.model_copy(update=changes)
    return Member.of(replace(bundle, manifest=manifest), title)


def of_classes(bundle, count):
    record = bundle.manifest.artifacts[0]
    return record.model_copy(update={"output": replace(record.output, shape=(1, count))})


def test_networks_that_do_not_fit_together_are_refused_by_name(pair):
    bundle = pair.members[0].bundle
    plain = Member.of(bundle, "plain")
    check_members([plain, member_with(bundle, "named", labels=list("abcde"))])
    wrong = [
        ({"device": "xeon-icelake"}, "compiled for host, another one for xeon-icelake"),
        ({"artifacts": [of_classes(bundle, 7)]}, "knows 5 classes, another one 7"),
        ({"streaming": object()}, "frame by frame"),
    ]
    for changes, what in wrong:
        with pytest.raises(ConfigError, match=what) as caught:
            check_members([plain, member_with(bundle, "other", **changes)])
        assert "other" in caught.value.where
    names = [member_with(bundle, text, labels=list(text)) for text in ("abcde", "abced")]
    with pytest.raises(ConfigError, match="in another order"):
        check_members([plain, *names])


def test_members_of_one_name_are_numbered_and_a_bundle_is_replaced_by_the_ensemble(tiny_bundle, tmp_path):
    place = shutil.copytree(tiny_bundle, tmp_path / "b")
    made = compile_ensemble([place, tiny_bundle, tiny_bundle], place)
    titles = ["tiny, 4 frames", "tiny, 4 frames #2", "tiny, 4 frames #3"]
    assert [member.title for member in made.members] == titles
    assert sorted(path.name for path in place.iterdir()) == ["ensemble.json", "members"]
    with new_bundle(place) as draft:
        shutil.copytree(tiny_bundle, draft, dirs_exist_ok=True)
    assert Bundle.open(place).manifest == Bundle.open(tiny_bundle).manifest
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"segments": [4, 4, 4]}, "3 numbers of frames for 2 networks"),
        ({"segments": [8]}, "clips of 4 frames, where 8 are asked for"),
        ({"weights": [1]}, "the weights 1 for 2 networks"),
        ({"weights": [1, 0]}, "the weights 1, 0 for 2"),
        ({"weights": [1, float("inf")]}, "the weights 1, inf for 2"),
        ({"streaming": True}, "take frame by frame"),
        ({"device": "xeon-icelake"}, "a bundle for host in an ensemble for xeon-icelake"),
    ],
)
def test_what_makes_no_sense_is_told_before_anything_is_compiled(tiny_bundle, tmp_path, changes, what):
    with pytest.raises(ConfigError, match=what):
        compile_ensemble([tiny_bundle, tiny_bundle], tmp_path / "b", **changes)
    assert list(tmp_path.iterdir()) == []


def test_one_network_is_no_ensemble(tiny_bundle, tmp_path):
    with pytest.raises(ConfigError, match="an ensemble of 1 networks"):
        compile_ensemble([tiny_bundle], tmp_path / "b")


def test_a_file_that_cannot_be_read_is_told_before_the_first_one_is_compiled(tiny_checkpoint, tmp_path):
    steps = []
    with pytest.raises(CheckpointError, match="no such file"):
        compile_ensemble([tiny_checkpoint, tmp_path / "none.pth"], tmp_path / "b", say=steps.append)
    assert steps == [f"reading {tiny_checkpoint}", f"reading {tmp_path / 'none.pth'}"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif("int8" not in plan().capability.precisions, reason="this processor has no int8")
def test_every_network_is_calibrated_by_itself(tiny_checkpoint, tiny_bundle, tmp_path):
    clips = Arrays(np.random.default_rng(0).integers(0, 256, (6, 4, 32, 32, 3)).astype(np.uint8))
    place = tmp_path / "b"
    request = {"precision": "int8", "int8": Int8(clips, partial=partial_of(place)), "lowering": "fused_pad"}
    flags = {"first": "past"}
    made = compile_ensemble([tiny_checkpoint, tiny_checkpoint, tiny_bundle], place, flags=flags, **request)
    assert [member.bundle.manifest.precision for member in made.members] == ["int8", "int8", "fp32"]
    assert [path.name for path in tmp_path.iterdir()] == ["b"], "what calibration wrote down is gone"
    table = Int8(place / "members" / "1" / "calibration.json")
    with pytest.raises(ConfigError, match="one table of ranges for several networks"):
        compile_ensemble([tiny_checkpoint] * 2, tmp_path / "c", precision="int8", int8=table)
