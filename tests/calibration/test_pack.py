"""Packed clips: what goes in comes out, interruptions are taken up, damage is named."""

import hashlib
import json

import numpy as np
import pytest
from compare_fakes import SAMPLING, SHAPE, Numbered

from edgevid.calibration.data import Sample
from edgevid.calibration.pack import pack
from edgevid.calibration.shards import is_pack, open_pack
from edgevid.errors import ConfigError, VideoError

LABELS = [0, 1, None, 2, 1, 0, 2]
CLIP = int(np.prod(SHAPE))


def content(data):
    return [(sample.name, sample.label, np.asarray(sample.clips).tolist()) for sample in data.read()]


@pytest.mark.parametrize("shard_bytes", [1, 3 * CLIP, 5 * CLIP, 10**9])
@pytest.mark.parametrize("views", [1, 2])
def test_clips_come_out_as_they_went_in_whatever_the_shards(tmp_path, shard_bytes, views):
    data = Numbered(LABELS, views=views)
    made = pack(data, tmp_path / "clips", shard_bytes=shard_bytes)
    again = open_pack(tmp_path / "clips")
    assert content(again) == content(made) == content(data)
    assert again.labels == LABELS
    assert again.index.clips == 7 * views
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clips"]
    for shard in again.index.shards:
        assert shard.clips * CLIP <= max(shard_bytes, views * CLIP)


def test_reading_can_begin_anywhere(tmp_path):
    made = pack(Numbered(LABELS, views=2), tmp_path / "clips", shard_bytes=3 * CLIP)
    whole = content(made)
    for start in range(len(LABELS) + 1):
        rest = [(s.name, s.label, np.asarray(s.clips).tolist()) for s in made.read(start)]
        assert rest == whole[start:]


def test_the_shards_can_be_read_without_edgevid(tmp_path):
    made = pack(Numbered(LABELS), tmp_path / "clips", shard_bytes=3 * CLIP)
    index = json.loads((tmp_path / "clips" / "index.json").read_text())
    parts = []
    for shard in index["shards"]:
        path = tmp_path / "clips" / shard["file"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == shard["sha256"]
        parts.append(np.load(path))
    clips = np.concatenate(parts)
    assert clips.shape == (7, *index["shape"])
    assert clips.dtype == np.uint8
    hashes = [hashlib.sha256(clip.tobytes()).hexdigest() for clip in clips]
    assert hashlib.sha256("".join(hashes).encode()).hexdigest() == index["clips_sha256"]
    assert index["sampling"]["resize"] == SAMPLING.resize
    assert made.index.clips_sha256 == index["clips_sha256"]


def test_the_hash_of_the_clips_does_not_depend_on_the_shards_but_on_the_pixels(tmp_path):
    one = pack(Numbered(LABELS), tmp_path / "one", shard_bytes=CLIP)
    two = pack(Numbered(LABELS), tmp_path / "two")
    fewer = pack(Numbered(LABELS[:-1]), tmp_path / "fewer")
    relabelled = pack(Numbered([0] * 7), tmp_path / "relabelled")
    assert one.index.clips_sha256 == two.index.clips_sha256 == relabelled.index.clips_sha256
    assert fewer.index.clips_sha256 != one.index.clips_sha256
    assert one.sha256 == two.sha256 != relabelled.sha256


def test_broken_videos_are_left_out_by_name(tmp_path):
    made = pack(Numbered(LABELS, broken=(0, 3)), tmp_path / "clips")
    assert set(made.index.skipped) == {"video 0", "video 3"}
    assert [video.name for video in made.index.videos] == [
        "video 1",
        "video 2",
        "video 4",
        "video 5",
        "video 6",
    ]
    with pytest.raises(VideoError, match="no video could be read: torn"):
        pack(Numbered([0], broken=(0,)), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def interrupt_after(count):
    def progress(stage, done, total):
        if done == count:
            raise KeyboardInterrupt

    return progress


def test_an_interrupted_run_is_taken_up_after_its_last_whole_shard(tmp_path):
    whole = pack(Numbered(LABELS, broken=(1,)), tmp_path / "whole", shard_bytes=2 * CLIP)
    with pytest.raises(KeyboardInterrupt):
        pack(
            Numbered(LABELS, broken=(1,)),
            tmp_path / "clips",
            shard_bytes=2 * CLIP,
            progress=interrupt_after(5),
        )
    assert not (tmp_path / "clips").exists()
    data = Numbered(LABELS, broken=(1,))
    made = pack(data, tmp_path / "clips", shard_bytes=2 * CLIP)
    assert data.opened[0] == 3, "two clips and the broken one are done"
    assert made.index == whole.index
    assert content(made) == content(whole)


def test_what_is_left_of_other_videos_is_not_taken_up(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        pack(Numbered([0] * 7), tmp_path / "clips", shard_bytes=CLIP, progress=interrupt_after(5))
    data = Numbered(LABELS[:2], sha256="others")
    made = pack(data, tmp_path / "clips")
    assert data.opened == [0, 1]
    assert sorted(path.name for path in made.folder.iterdir()) == ["index.json", "shard-00000.npy"]


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="something already"):
        pack(Numbered(LABELS), tmp_path / "clips")
    (tmp_path / "empty").mkdir()
    assert is_pack(pack(Numbered(LABELS), tmp_path / "empty").folder)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        pack(Numbered(LABELS), tmp_path / "file" / "clips")


@pytest.mark.parametrize("damage", ["changed", "cut", "missing", "other"])
def test_a_damaged_shard_is_named_when_it_is_reached(tmp_path, damage):
    made = pack(Numbered(LABELS), tmp_path / "clips", shard_bytes=3 * CLIP)
    path = made.folder / "shard-00001.npy"
    if damage == "changed":
        path.write_bytes(path.read_bytes()[:-1] + b"\x07")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:50])
    elif damage == "other":
        np.save(path, np.zeros((3, 2, 2), np.float32))
    else:
        path.unlink()
    reading = made.read()
    assert [next(reading).name for _ in range(3)] == ["video 0", "video 1", "video 2"]
    with pytest.raises(VideoError, match="a shard cannot be read") as error:
        next(reading)
    assert error.value.where == str(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema_version", 2),
        ("clips_sha256", "0" * 64),
        ("shape", [2, 4, 4]),
        ("videos", []),
        ("shards", [{"file": "../shard-00000.npy", "clips": 7, "sha256": ""}]),
        ("surprise", 1),
    ],
)
def test_a_damaged_index_names_the_key(tmp_path, key, value):
    made = pack(Numbered(LABELS), tmp_path / "clips")
    path = made.folder / "index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(VideoError, match="index of packed clips is damaged") as error:
        open_pack(made.folder)
    assert key in error.value.what
    path.write_text("{")
    with pytest.raises(VideoError, match="damaged"):
        open_pack(made.folder)
    path.unlink()
    with pytest.raises(VideoError, match="cannot be read"):
        open_pack(made.folder)


def test_clips_of_two_sizes_do_not_go_into_one_pack(tmp_path):
    class Changing(Numbered):
        def read(self, start=0):
            yield Sample("small", 0, np.zeros((1, 2, 4, 4, 3), np.uint8))
            yield Sample("large", 0, np.zeros((1, 2, 8, 8, 3), np.uint8))

    with pytest.raises(VideoError, match="among uint8") as error:
        pack(Changing([0, 0]), tmp_path / "clips")
    assert error.value.where == "large"
