"""Videos that several networks look at: decoded once, answered together."""

import numpy as np
import pytest

from edgevid.contract import Sampling
from edgevid.demo import write_videos
from edgevid.ensemble import Ensemble
from edgevid.errors import ConfigError
from edgevid.recognition import Failure, find_items, recognize
from edgevid.video import read_clips
from edgevid.video.decode import Video


@pytest.fixture(scope="module")
def pair(tiny_ensemble):
    return Ensemble.open(tiny_ensemble)


def test_a_video_is_decoded_once_for_all_networks(pair, videos, monkeypatch):
    opened, init = [], Video.__init__

    def counted(self, path, *arguments):
        opened.append(path)
        init(self, path, *arguments)

    monkeypatch.setattr(Video, "__init__", counted)
    paths = [*sorted(videos.glob("*/*.mp4"))[:2], videos / "missing.mp4"]
    found = list(recognize(pair, find_items(paths)))
    assert sorted(opened) == sorted(paths)
    assert [outcome.views for outcome in found[:2]] == [2, 2]
    assert [list(outcome.members) for outcome in found[:2]] == [["tiny, 4 frames", "tiny, 8 frames"]] * 2
    assert all(0 < sum(outcome.members.values()) <= outcome.seconds[1] for outcome in found[:2])
    assert isinstance(found[2], Failure)


def test_a_video_is_recognized_by_what_the_members_see_of_it_together(pair, video):
    (found,) = recognize(pair, find_items([video]))
    with pair.session() as session:
        expected = session.run([read_clips(video, member.sampling).pixels for member in pair.members])
    told = {answer.index: answer.probability for answer in found.top}
    np.testing.assert_allclose([told[index] for index in range(5)], expected, rtol=1e-4)


def test_what_is_wrong_with_a_video_is_told_once_for_all_networks(pair, tmp_path):
    write_videos(tmp_path, "easy", 1, length=2, size=48)
    (found,) = recognize(pair, find_items([next(tmp_path.glob("*/*.mp4"))]))
    assert found.warnings == ("the video has only 2 frames, so that a clip repeats some",)


def test_one_sampling_for_several_networks_is_refused(pair):
    with pytest.raises(ConfigError, match="one sampling"):
        next(recognize(pair, [], sampling=Sampling()))
