"""Generated videos of several motions in a row."""

from itertools import pairwise

import numpy as np
import pytest

from edgevid.errors import ConfigError
from edgevid.video.motion_sequence import draw_sequence
from edgevid.video.synthetic import MOTIONS, draw_scene


def test_motions_change_and_all_come_before_one_comes_again():
    motions = [scene.motion for scene in draw_sequence("easy", 3, 19, length=4, size=16)]
    assert sorted(motions[:8]) == sorted(MOTIONS)
    assert motions[8:16] == motions[:8]
    assert all(one != other for one, other in pairwise(motions))


def test_the_seed_decides_everything():
    first, again, other = (draw_sequence("hard", seed, 2, length=4, size=16) for seed in (1, 1, 2))
    assert all((one.render() == two.render()).all() for one, two in zip(first, again, strict=True))
    assert not all((one.render() == two.render()).all() for one, two in zip(first, other, strict=True))


@pytest.mark.parametrize("length", [14, 28, 112])
def test_sprites_are_as_fast_as_those_of_clips(length):
    def speeds(scenes):
        moved = [np.abs(np.diff(scene.x)).mean() for scene in scenes if scene.motion == "move_left"]
        return np.array(moved)

    found = speeds([scene for seed in range(40) for scene in draw_sequence("easy", seed, 8, length=length)])
    clips = speeds([draw_scene("easy", 0, index, motion="move_left") for index in range(40)])
    assert found.min() >= 0.4 / 28
    assert 0.8 < np.median(found) / np.median(clips) < 1.25


@pytest.mark.parametrize(
    "wrong", [{"split": "medium"}, {"seed": -1}, {"count": 0}, {"length": 1}, {"size": 8}]
)
def test_what_cannot_be_drawn_is_refused(wrong):
    with pytest.raises(ConfigError):
        draw_sequence(**{"split": "easy", "seed": 0, "count": 1, **wrong})
