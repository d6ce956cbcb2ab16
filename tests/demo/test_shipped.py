"""The shipped checkpoints, on clips and files of seeds that they were not trained on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from warm_command import edgevid

from edgevid.checkpoints import Checkpoint, read
from edgevid.demo import LABELS, checkpoint, write_sequence, write_videos
from edgevid.demo.evaluate import Scores, evaluate, main, predict
from edgevid.demo.online import FRAME_INTERVAL, LATE, followed
from edgevid.demo.train import NETWORKS
from edgevid.demo.training_clips import TRAINING_SEED
from edgevid.models import build
from edgevid.video import read_class_folders, read_clips, read_list
from edgevid.video.synthetic import draw_scene

SEED = 5_081
COUNT = 320


@pytest.fixture(scope="module")
def tsm() -> Checkpoint:
    return read(checkpoint("tsm"))


@pytest.fixture(scope="module")
def tsn() -> Checkpoint:
    return read(checkpoint("tsn"))


@pytest.fixture(scope="module")
def easy(tsm: Checkpoint) -> Scores:
    return evaluate(tsm.network(), "easy", COUNT, SEED, tsm.normalization)


@pytest.fixture(scope="module")
def online() -> Checkpoint:
    return read(checkpoint("online"))


@pytest.mark.parametrize("name", ["tsm", "tsn", "online"])
def test_a_checkpoint_is_small_and_says_all_that_its_weights_cannot(name: str) -> None:
    path = checkpoint(name)
    assert path.stat().st_size <= 4_000_000
    loaded = read(path)
    assert loaded.layout == "mit"
    assert loaded.labels == LABELS
    assert loaded.config.shift == NETWORKS[name].shift
    assert loaded.config.widths == NETWORKS[name].widths
    told = {"segments", "labels", "mean", "std", "color", "resize", "crop"}
    assert {loaded.settings[setting].source for setting in told} == {"file"}


def test_these_clips_were_not_trained_on() -> None:
    assert SEED != TRAINING_SEED


def test_the_shift_tells_the_easy_motions_apart(easy: Scores) -> None:
    assert easy.top1 >= 0.95


def test_a_clip_played_backwards_is_given_the_partner_class(easy: Scores) -> None:
    assert easy.reversal >= 0.9


def test_the_twin_without_shift_cannot_tell_a_motion_from_its_reversal(tsn: Checkpoint) -> None:
    scores = evaluate(tsn.network(), "easy", COUNT, SEED, tsn.normalization)
    assert scores.top1 <= 0.55
    assert scores.reversal <= 0.05, "it gives a reversed clip the same answer"


def test_the_weights_with_the_shift_taken_out_are_useless(tsm: Checkpoint) -> None:
    network = build(tsm.config.without_shift()).eval()
    network.load_state_dict(tsm.state)
    assert evaluate(network, "easy", 80, SEED, tsm.normalization).top1 <= 0.55


def test_the_hard_motions_leave_room_for_losses_to_be_seen(tsm: Checkpoint) -> None:
    assert 0.8 <= evaluate(tsm.network(), "hard", COUNT, SEED, tsm.normalization).top1 <= 0.9


def test_the_uni_directional_network_tells_the_easy_motions_apart_too(online: Checkpoint) -> None:
    scores = evaluate(online.network(), "easy", COUNT, SEED, online.normalization)
    assert scores.top1 >= 0.95
    assert scores.reversal >= 0.9
    assert 0.8 <= evaluate(online.network(), "hard", COUNT, SEED, online.normalization).top1 <= 0.9


def test_the_interval_of_its_frames_stands_in_the_checkpoint(online: Checkpoint) -> None:
    assert online.sampling.interval == FRAME_INTERVAL
    assert online.settings["interval"].source == "file"


def test_frame_by_frame_it_is_right_most_of_the_time_from_a_few_steps_after_a_change_on(
    online: Checkpoint,
) -> None:
    found = [followed(online.network(), "easy", SEED + n, online.normalization) for n in range(10)]
    answers, labels, since = (np.concatenate(part) for part in zip(*found, strict=True))
    assert (answers == labels)[since >= LATE].mean() >= 0.97


def test_the_label_follows_a_streamed_video_of_several_motions(tmp_path: Path) -> None:
    from edgevid.compiler import compile_checkpoint

    video = write_sequence(tmp_path, "easy", SEED)
    told = json.loads(video.with_suffix(".json").read_text())
    bundle = compile_checkpoint(checkpoint("online"), tmp_path / "online.bundle", streaming=True)
    done = edgevid("stream", bundle.path, video, "--json")
    assert done.returncode == 0, done.stderr
    *answers, last = map(json.loads, done.stdout.splitlines())
    assert last["summary"]["answers"] == len(answers) >= len(told["motions"]) * 3 * LATE
    for motion in told["motions"]:
        end = motion["first"] + motion["frames"]
        labels = [each["label"] for each in answers if motion["first"] <= each["time"] * told["rate"] < end]
        assert np.mean([label == motion["name"] for label in labels[LATE:]]) > 0.5, motion


@pytest.mark.parametrize(("split", "count"), [("easy", 24), ("hard", 24)])
def test_videos_read_from_files_are_answered_like_the_clips_they_were_made_of(
    tsm: Checkpoint, tmp_path: Path, split: str, count: int
) -> None:
    items = read_list(write_videos(tmp_path, split, count, SEED))
    from_files = np.concatenate([read_clips(item.path, tsm.sampling).pixels for item in items])
    frames = read_clips(items[0].path, tsm.sampling).indices[0]
    drawn = np.stack([draw_scene(split, SEED, index).render(frames) for index in range(count)])
    assert from_files.shape == drawn.shape
    network = tsm.network()
    answers = predict(network, from_files, tsm.normalization)
    assert (answers == predict(network, drawn, tsm.normalization)).mean() >= 0.95
    assert (answers == [item.label for item in items]).mean() >= (0.9 if split == "easy" else 0.6)


def test_folders_of_class_names_and_the_list_give_the_same_labels(tmp_path: Path) -> None:
    listed = read_list(write_videos(tmp_path, "easy", 8, length=4, size=32))
    items, names = read_class_folders(tmp_path, classes=LABELS)
    assert tuple(names) == LABELS
    assert {item.path: item.label for item in items} == {item.path: item.label for item in listed}


def test_the_scores_are_printed_for_each_network_and_split(capsys: pytest.CaptureFixture[str]) -> None:
    main([str(checkpoint("tsm")), "--count", "8"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["tsm  easy", "tsm  hard"]
