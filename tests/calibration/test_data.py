"""Which videos a comparison sees."""

import numpy as np
import pytest

from edgevid.calibration.data import check_labels, find_videos
from edgevid.contract import Sampling
from edgevid.demo import LABELS, write_videos
from edgevid.errors import ConfigError, VideoError

SAMPLING = Sampling(segments=4, resize=32, crop=32)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return write_videos(tmp_path_factory.mktemp("videos"), "easy", 3, length=8, size=32)


def test_videos_come_in_the_order_of_the_list_with_their_labels(videos):
    data = find_videos(videos, SAMPLING)
    samples = list(data.read())
    assert [sample.label for sample in samples] == list(data.labels) == [0, 1, 2]
    assert all(sample.clips.shape == (1, 4, 32, 32, 3) for sample in samples)
    rest = list(data.read(2))
    assert [sample.name for sample in rest] == [samples[2].name]
    np.testing.assert_array_equal(rest[0].clips, samples[2].clips)


def test_a_folder_of_classes_takes_the_numbers_of_the_networks_names(videos):
    data = find_videos(videos.parent, SAMPLING, labels=LABELS)
    assert sorted(data.labels) == [0, 1, 2]


def test_the_hash_changes_with_the_videos_the_labels_and_the_sampling(tmp_path):
    place = write_videos(tmp_path, "easy", 2, length=8, size=32)
    before = find_videos(place, SAMPLING).sha256
    assert find_videos(place, SAMPLING).sha256 == before
    assert find_videos(place, Sampling(segments=4, resize=40, crop=32)).sha256 != before
    place.write_text(place.read_text().replace(" 1", " 0"))
    relabelled = find_videos(place, SAMPLING).sha256
    assert relabelled != before
    video = next(tmp_path.glob("*/*.mp4"))
    video.write_bytes(video.read_bytes()[:-10])
    assert find_videos(place, SAMPLING).sha256 != relabelled


def test_an_empty_list_is_an_error(tmp_path):
    (tmp_path / "list.txt").write_text("")
    with pytest.raises(VideoError, match=r"empty|no video"):
        find_videos(tmp_path / "list.txt", SAMPLING)
    with pytest.raises(VideoError):
        find_videos(tmp_path / "missing.txt", SAMPLING)


def test_a_broken_video_and_a_broken_line_do_not_stop_the_rest(videos, tmp_path):
    (tmp_path / "bad.mp4").write_text("no video")
    good = next(videos.parent.glob("*/*.mp4"))
    (tmp_path / "list.txt").write_text(f"bad.mp4 0\nwhat is this\n{good} 2\n")
    found = [
        isinstance(sample.clips, VideoError) for sample in find_videos(tmp_path / "list.txt", SAMPLING).read()
    ]
    assert found == [True, True, False]


def test_labels_beyond_the_classes_name_the_video(videos):
    data = find_videos(videos, SAMPLING)
    check_labels(data, 3)
    with pytest.raises(ConfigError, match="video 3 has label 2, but the network has 2 classes, 0 to 1"):
        check_labels(data, 2)


def test_a_name_that_is_no_text_is_written_so_that_json_can_hold_it(videos, tmp_path):
    strange = tmp_path / "a\udcff.mp4"
    strange.symlink_to(next(videos.parent.glob("*/*.mp4")))
    (sample,) = find_videos(strange, SAMPLING).read()
    sample.name.encode("utf-8")
    assert "\\xff" in sample.name or "\\udcff" in sample.name
