"""Videos in, ranked classes out; a broken video never stops the rest."""

import json
import shutil

import numpy as np
import pytest

from edgevid.bundle import Bundle
from edgevid.cli import app
from edgevid.contract import Sampling
from edgevid.demo import LABELS, write_videos
from edgevid.errors import VideoError
from edgevid.recognition import Failure, Recognition, find_items, recognize, scores


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    write_videos(folder, "easy", 8, seed=3, length=12, size=48)
    return folder


@pytest.fixture
def invoke(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            app([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return end.value.code, printed.out, printed.err

    return call


def test_averaging_logits_and_averaging_probabilities_differ_as_the_publishers_do():
    logits = np.array([[0.0, 2.0], [3.0, 0.0]], np.float32)
    expected = np.exp([1.5, 1.0]) / np.exp([1.5, 1.0]).sum()
    np.testing.assert_allclose(scores(logits, Sampling(average="logits")), expected, rtol=1e-6)
    each = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(scores(logits, Sampling(average="softmax")), each.mean(0), rtol=1e-6)


def test_huge_logits_do_not_overflow():
    result = scores(np.array([[5000.0, -5000.0]], np.float32), Sampling())
    np.testing.assert_allclose(result, [1, 0])


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
    (copy / "jump").mkdir()
    with pytest.raises(VideoError, match="'jump' is none of the 8 classes"):
        find_items([copy], labels=LABELS)


def test_a_label_that_the_network_has_not_is_an_error(videos, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text(f"{next(videos.glob('*/*.mp4'))} 99\n")
    with pytest.raises(VideoError, match=r"99[\s\S]*list\.txt"):
        find_items([listed], classes=8)


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


def test_several_clips_and_crops_are_averaged_in_batches(tiny_bundle, videos):
    bundle = Bundle.open(tiny_bundle)
    recorded = bundle.manifest.sampling
    views = Sampling(segments=4, clips=3, crops=3, resize=recorded.resize, crop=recorded.crop)
    (found,) = recognize(bundle, find_items([next(videos.glob("*/*.mp4"))]), sampling=views)
    assert found.views == 9


def test_run_prints_five_ranked_classes_and_their_names(invoke, tiny_bundle, videos, tmp_path):
    names = tmp_path / "labels.txt"
    names.write_text("apple\nbread\ncheese\ndates\neggs\n")
    code, out, _ = invoke("run", tiny_bundle, next(videos.glob("*/*.mp4")), "--labels", names)
    assert code == 0
    ranked = [line.split() for line in out.splitlines() if line.startswith(" ")]
    assert {line[1] for line in ranked} == {"apple", "bread", "cheese", "dates", "eggs"}
    shares = [float(line[0].rstrip("%")) for line in ranked]
    assert shares == sorted(shares, reverse=True)


def test_run_prints_json_that_a_program_can_read(invoke, tiny_bundle, videos):
    code, out, _ = invoke("run", tiny_bundle, videos, "--json", "--top", 2)
    records = json.loads(out)
    assert code == 0
    assert len(records) == 8
    assert all(len(record["top"]) == 2 and record["frames"] == 12 for record in records)


def test_run_reports_what_failed_and_exits_with_one(invoke, tiny_bundle, videos, tmp_path):
    text = tmp_path / "notes.mp4"
    text.write_text("hello")
    code, out, err = invoke("run", tiny_bundle, text, next(videos.glob("*/*.mp4")))
    assert code == 1
    assert "notes.mp4" in err
    assert "1 of 2 videos could not be read" in out


def test_a_video_shorter_than_the_segments_repeats_frames(invoke, tiny_bundle, tmp_path):
    write_videos(tmp_path, "easy", 1, length=2, size=48)
    code, out, _ = invoke("run", tiny_bundle, next(tmp_path.glob("*/*.mp4")))
    assert code == 0
    assert "only 2 frames" in out
