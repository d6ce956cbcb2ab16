"""Videos in, ranked classes out; a broken video never stops the rest."""

import os
import shutil
import threading

import numpy as np
import pytest

from edgevid import ensemble
from edgevid.bundle import Bundle
from edgevid.contract import Sampling
from edgevid.demo import LABELS
from edgevid.recognition import Failure, Recognition, find_items, recognize, scores
from edgevid.video import Item, prefetch, reason_of


def test_averaging_logits_and_averaging_probabilities_differ_as_the_publishers_do():
    logits = np.array([[0.0, 2.0], [3.0, 0.0]], np.float32)
    expected = np.exp([1.5, 1.0]) / np.exp([1.5, 1.0]).sum()
    np.testing.assert_allclose(scores(logits, Sampling(average="logits")), expected, rtol=1e-6)
    each = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(scores(logits, Sampling(average="softmax")), each.mean(0), rtol=1e-6)


def test_huge_logits_do_not_overflow():
    result = scores(np.array([[5000.0, -5000.0]], np.float32), Sampling())
    np.testing.assert_allclose(result, [1, 0])


def test_folders_that_are_not_as_many_as_the_classes_are_not_numbered(videos):
    warnings = []
    items = find_items([videos], classes=9, warn=warnings.append)
    assert [item.label for item in items] == [None] * 8
    (warning,) = warnings
    assert f"{videos} has 8 class folders and the network 9 classes without names" in warning
    assert "--labels" in warning
    assert {item.label for item in find_items([videos], classes=8, warn=warnings.append)} == set(range(8))
    assert len(find_items([videos], classes=9, labels=LABELS, warn=warnings.append)) == 8
    assert len(warnings) == 1


def test_an_empty_folder_holds_no_videos(tmp_path):
    (tmp_path / "notes.md").touch()
    (place,) = find_items([tmp_path])
    assert (place.path, place.error.what) == (tmp_path, "the folder holds no videos")
    assert "--frame-template" in place.error.fix


def test_links_to_nothing_and_pipes_in_a_flat_folder_are_items(tmp_path):
    (tmp_path / "gone.mp4").symlink_to("nothing")
    os.mkfifo(tmp_path / "pipe.mp4")
    assert [item.path.name for item in find_items([tmp_path])] == ["gone.mp4", "pipe.mp4"]


def test_folders_lists_and_files_are_all_items(videos):
    in_folder, in_list = find_items([videos]), find_items([videos / "list.txt"])
    assert {item.path.name for item in in_folder} == {item.path.name for item in in_list}
    assert len(in_folder) == 8
    assert all(item.label is not None for item in in_folder + in_list)
    single = find_items([in_list[0].path])
    assert single[0].label is None


def test_class_folders_are_numbered_by_the_networks_labels(videos):
    labels = ["zebra", *sorted(path.name for path in videos.iterdir() if path.is_dir())]
    assert {item.label for item in find_items([videos], labels=labels)} == set(range(1, 9))
    assert {item.label for item in find_items([videos])} == set(range(8))


def test_hidden_folders_change_no_label(videos, tmp_path):
    copy = shutil.copytree(videos, tmp_path / "videos")
    (copy / ".cache").mkdir()
    found = [(item.path.name, item.label) for item in find_items([copy], labels=LABELS)]
    assert sorted(found) == sorted((item.path.name, item.label) for item in find_items([copy / "list.txt"]))


def test_a_folder_that_is_no_class_is_an_error_rather_than_a_wrong_number(videos, tmp_path):
    copy = shutil.copytree(videos, tmp_path / "videos")
    shutil.copytree(copy / "grow", copy / "jump")
    items = find_items([copy], labels=LABELS)
    assert "'jump' is none of the 8 classes" in items[-1].error.what
    assert items[-1].path == copy / "jump"
    assert sorted(item.label for item in items[:-1]) == list(range(8))


def test_that_no_folder_is_a_class_is_one_error(videos):
    (place,) = find_items([videos], labels=["walk", "run"])
    assert "not one of 8 folders" in place.error.what
    assert place.path == videos


def test_a_label_that_the_network_has_not_is_an_error(videos, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text(f"{next(videos.glob('*/*.mp4'))} 99\n")
    (item,) = find_items([listed], classes=8)
    assert "99" in item.error.what
    assert "list.txt, line 1" in item.error.where


def test_a_flat_folder_of_videos_is_taken_without_labels(videos, tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    for video in videos.glob("*/*.mp4"):
        shutil.copy(video, flat)
    (flat / "notes.txt").write_text("hello")
    items = find_items([flat])
    assert len(items) == 8
    assert all(item.label is None for item in items)


def test_a_broken_video_never_stops_the_rest(tiny_bundle, videos, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video")
    good = next(videos.glob("*/*.mp4"))
    items = find_items([broken, tmp_path / "missing.mp4", good])
    outcomes = list(recognize(Bundle.open(tiny_bundle), items))
    assert [type(outcome) for outcome in outcomes] == [Failure, Failure, Recognition]
    assert "missing.mp4" in str(outcomes[1].error)
    assert sum(answer.probability for answer in outcomes[2].top) == pytest.approx(1)


def test_a_broken_list_folder_or_line_never_stops_the_rest(tiny_bundle, videos, tmp_path):
    (tmp_path / "empty.txt").touch()
    (tmp_path / "no_class").mkdir()
    (tmp_path / "no_class" / "jump").mkdir()
    good = next(videos.glob("*/*.mp4"))
    listed = tmp_path / "list.txt"
    listed.write_text(f"{good} 99\n{good} 1\nv/one 12 3\n")
    places = [tmp_path / "empty.txt", tmp_path / "missing.txt", tmp_path / "no_class", "x" * 400, listed]
    outcomes = list(recognize(Bundle.open(tiny_bundle), find_items(places, classes=5)))
    kinds = [reason_of(o.error) if isinstance(o, Failure) else o.label for o in outcomes]
    assert kinds == ["list", "list", "folder", "other", "list line", 1, "list line"]
    assert "--frame-template" in outcomes[-1].error.fix


def test_the_next_video_is_decoded_while_the_network_looks_at_the_present_one(
    tiny_bundle, videos, monkeypatch
):
    begun = [threading.Event() for _ in range(4)]
    real, looked = prefetch.read_clips, []

    def read_clips(path, *arguments, **settings):
        begun[paths.index(path)].set()
        return real(path, *arguments, **settings)

    def run_all(session, clips):
        if len(looked) + 1 < len(begun):
            assert begun[len(looked) + 1].wait(30), "nothing is decoded while the network runs"
        looked.append(len(clips))
        return np.zeros((len(clips), 5), np.float32)

    paths = sorted(videos.glob("*/*.mp4"))[:4]
    monkeypatch.setattr(prefetch, "read_clips", read_clips)
    monkeypatch.setattr(ensemble, "run_all", run_all)
    outcomes = list(recognize(Bundle.open(tiny_bundle), find_items(paths), workers=1))
    assert [outcome.path for outcome in outcomes] == paths
    assert looked == [1] * 4


def test_leaving_early_ends_the_threads_that_decode(tiny_bundle, videos):
    outcomes = recognize(Bundle.open(tiny_bundle), find_items([videos]), workers=2)
    next(outcomes)
    outcomes.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("edgevid-decode")]


def test_the_rank_of_the_labelled_class_is_told(tiny_bundle, videos):
    good = next(videos.glob("*/*.mp4"))
    items = [Item(good, label) for label in (*range(5), None, 7)]
    outcomes = list(recognize(Bundle.open(tiny_bundle), items, top=5))
    ranks = [outcome.rank for outcome in outcomes]
    assert [answer.index for answer in outcomes[0].top] == [ranks.index(place) for place in range(1, 6)]
    assert ranks[5:] == [None, None]


def test_several_clips_and_crops_are_averaged_in_batches(tiny_bundle, videos):
    bundle = Bundle.open(tiny_bundle)
    recorded = bundle.manifest.sampling
    views = Sampling(segments=4, clips=3, crops=3, resize=recorded.resize, crop=recorded.crop)
    (found,) = recognize(bundle, find_items([next(videos.glob("*/*.mp4"))]), sampling=views)
    assert found.views == 9
