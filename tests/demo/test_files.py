"""Generated clips as H.264 files."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest

from edgevid.demo import LABELS, write_sequence, write_videos
from edgevid.demo.files import LIST_NAME, main, write_h264
from edgevid.errors import ConfigError, VideoError
from edgevid.video.motion_sequence import draw_sequence
from edgevid.video.synthetic import draw_scene


def _decoded(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.parametrize("split", ["easy", "hard"])
def test_files_decode_to_the_drawn_clips_within_a_few_grey_levels(tmp_path: Path, split: str) -> None:
    listing = write_videos(tmp_path, split, 8, seed=4)
    lines = [line.split() for line in listing.read_text().splitlines()]
    for index, (name, label) in enumerate(lines):
        scene = draw_scene(split, 4, index)
        drawn = scene.render()
        decoded = _decoded(tmp_path / name)
        assert decoded.shape == drawn.shape
        assert int(label) == LABELS.index(scene.motion)
        luma = (decoded.astype(float) - drawn) @ (0.299, 0.587, 0.114)
        assert np.abs(luma).mean() < 4
        assert abs(luma.mean()) < 2, "FFmpeg rounds down"


def test_files_are_h264_in_folders_of_their_classes_beside_a_list(tmp_path: Path) -> None:
    listing = write_videos(tmp_path / "clips", "easy", 9, seed=1, length=5, size=32)
    assert listing == tmp_path / "clips" / LIST_NAME
    names = [line.split()[0] for line in listing.read_text().splitlines()]
    assert len(names) == len(set(names)) == 9
    assert [name.split("/")[0] for name in names] == [*LABELS, LABELS[0]]
    assert sorted(str(path.relative_to(listing.parent)) for path in listing.parent.rglob("*.mp4")) == sorted(
        names
    )
    with av.open(str(listing.parent / names[0])) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert (stream.width, stream.height, stream.frames) == (32, 32, 5)


def test_the_same_seed_writes_the_same_files(tmp_path: Path) -> None:
    """Whatever the memory held before: decoding in between leaves something there."""
    found = set()
    for number in range(20):
        listing = write_videos(tmp_path / str(number), "hard", 1, seed=3, length=6, size=32)
        (video,) = listing.parent.rglob("*.mp4")
        found.add((video.name, video.read_bytes()))
        _decoded(video)
    assert len(found) == 1


def test_clips_of_two_splits_live_in_one_folder(tmp_path: Path) -> None:
    for split in ("easy", "hard"):
        write_videos(tmp_path, split, 1, length=4, size=32)
    assert len(list((tmp_path / LABELS[0]).iterdir())) == 2


def test_motions_in_a_row_are_one_video_and_a_list_of_where_each_begins(tmp_path: Path) -> None:
    video = write_sequence(tmp_path / "live", "hard", 3, motions=4, length=9, size=32)
    assert video == tmp_path / "live" / "sequence_hard_3.mp4"
    told = json.loads(video.with_suffix(".json").read_text())
    assert told["rate"] == 25
    scenes = draw_sequence("hard", 3, 4, length=9, size=32)
    decoded = _decoded(video).astype(float)
    assert len(decoded) == 36
    for motion, scene in zip(told["motions"], scenes, strict=True):
        assert motion["name"] == scene.motion == LABELS[motion["label"]]
        shown = decoded[motion["first"] : motion["first"] + motion["frames"]]
        assert np.abs((shown - scene.render()) @ (0.299, 0.587, 0.114)).mean() < 4


def test_a_sequence_that_cannot_be_written_is_an_error_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VideoError, match="file"):
        write_sequence(tmp_path / "file", motions=1, length=2, size=16)
    with pytest.raises(ConfigError, match="motions"):
        write_sequence(tmp_path, motions=0)


def test_odd_sides_are_refused_because_h264_cannot_hold_them(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="even"):
        write_h264(tmp_path / "clip.mp4", np.zeros((2, 33, 32, 3), np.uint8))
    assert not (tmp_path / "clip.mp4").exists()


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    obstacle = tmp_path / "obstacle"
    obstacle.write_text("")
    with pytest.raises(VideoError, match="obstacle"):
        write_videos(obstacle, count=1, length=4, size=32)


def test_an_unknown_split_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="medium"):
        write_videos(tmp_path / "clips", "medium")
    assert not (tmp_path / "clips").exists()


def test_the_command_writes_what_it_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(tmp_path), "--split", "hard", "--count", "2", "--seed", "9"])
    assert capsys.readouterr().out.strip() == str(tmp_path / LIST_NAME)
    assert {path.name for path in tmp_path.rglob("*.mp4")} == {"hard_9_0000.mp4", "hard_9_0001.mp4"}
