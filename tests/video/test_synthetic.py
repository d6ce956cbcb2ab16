"""Generated clips: what they are, and that only the order of the frames tells the class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgevid.errors import ConfigError
from edgevid.video.synthetic import LARGEST, MOTIONS, SMALLEST, SPLITS, Scene, draw_scene, make_clips, partner

SMALL = {"length": 6, "size": 16}


def test_clips_are_rgb_bytes_of_the_asked_shape_and_the_classes_take_turns() -> None:
    clips, labels = make_clips("easy", 10, seed=1, length=5, size=24)
    assert clips.dtype == np.uint8
    assert clips.shape == (10, 5, 24, 24, 3)
    assert labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 0, 1]


@pytest.mark.parametrize("split", SPLITS)
def test_a_seed_gives_the_same_clips_again(split: str) -> None:
    first, _ = make_clips(split, 4, seed=5, **SMALL)
    second, _ = make_clips(split, 4, seed=5, **SMALL)
    np.testing.assert_array_equal(first, second)


def test_another_seed_split_or_index_gives_other_clips() -> None:
    reference = draw_scene("easy", 5, 0, **SMALL).render()
    others = [("easy", 6, 0), ("hard", 5, 0), ("easy", 5, 8)]
    for split, seed, index in others:
        assert not np.array_equal(reference, draw_scene(split, seed, index, **SMALL).render())


def test_a_clip_does_not_depend_on_the_clips_drawn_before_it() -> None:
    all_of_them, labels = make_clips("hard", 6, seed=3, **SMALL)
    last, last_labels = make_clips("hard", 2, seed=3, first=4, **SMALL)
    np.testing.assert_array_equal(last, all_of_them[4:])
    np.testing.assert_array_equal(last_labels, labels[4:])


@pytest.mark.parametrize("split", SPLITS)
def test_some_frames_drawn_alone_equal_those_of_the_whole_clip(split: str) -> None:
    scene = draw_scene(split, 2, 3, length=9, size=32)
    np.testing.assert_array_equal(scene.render([7, 0, 3, 3]), scene.render()[[7, 0, 3, 3]])


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("motion", MOTIONS)
def test_a_clip_played_backwards_is_a_clip_of_the_partner_class(split: str, motion: str) -> None:
    scene = draw_scene(split, 11, 4, motion=motion, **SMALL)
    mirrored = draw_scene(split, 11, 4, motion=partner(motion), **SMALL)
    assert scene.motion == motion
    assert scene.reversed().motion == partner(motion)
    np.testing.assert_array_equal(scene.render()[::-1], scene.reversed().render())
    np.testing.assert_array_equal(scene.render()[::-1], mirrored.render())


def test_every_class_has_one_partner_and_is_the_partner_of_it() -> None:
    assert len(MOTIONS) == 8
    assert all(partner(motion) != motion and partner(partner(motion)) == motion for motion in MOTIONS)


MEASURED = {
    "move_left": ("x", -1),
    "move_right": ("x", 1),
    "move_up": ("y", -1),
    "move_down": ("y", 1),
    "rotate_clockwise": ("angle", 1),
    "rotate_counterclockwise": ("angle", -1),
}


@pytest.mark.parametrize("motion", MEASURED)
def test_the_quantity_of_a_class_changes_one_way_and_the_others_stay(motion: str) -> None:
    scene = draw_scene("hard", 0, 0, motion=motion, length=20, size=16)
    moving, sign = MEASURED[motion]
    assert np.all(np.diff(getattr(scene, moving)) * sign > 0)
    for name in {"x", "y", "angle", "radius"} - {moving}:
        assert np.ptp(getattr(scene, name)) == 0


@pytest.mark.parametrize(("motion", "sign"), [("grow", 1), ("shrink", -1)])
def test_a_size_changes_one_way_until_it_starts_again(motion: str, sign: int) -> None:
    steps = np.stack(
        [
            np.diff(np.log(draw_scene("easy", 0, index, motion=motion, length=20, size=16).radius))
            for index in range(20)
        ]
    )
    with_sign = steps * sign > 0
    assert with_sign.sum(axis=1).min() >= 17, "at most two new starts in a clip"
    assert not with_sign.all(), "some clip starts again"


def _alone(**quantities: float) -> Scene:
    """One sprite, bright in front and dark behind, on a flat background without distractions."""
    scene = draw_scene("easy", 0, 0, length=2, size=64)
    flat = {name: np.full(2, value) for name, value in quantities.items()}
    return replace(
        scene,
        background=np.full((3, 64, 64), 100, np.float32),
        shape=2,
        colors=np.array([[200.0] * 3, [20.0] * 3]),
        visible=np.ones(2, bool),
        camera=np.zeros((2, 2), np.int64),
        discs=np.zeros((0, 2, 2)),
        disc_radii=np.zeros(0),
        disc_colors=np.zeros((0, 3)),
        brightness=np.zeros(2),
        noise=0.0,
        **flat,
    )


def _front(scene: Scene) -> tuple[float, float]:
    """Column and row of the centre of the bright pixels, from the frame's centre."""
    rows, columns = np.nonzero(scene.render([0])[0, :, :, 0] > 150)
    return float(columns.mean()) - 31.5, float(rows.mean()) - 31.5


def test_positions_turns_and_sizes_appear_on_the_screen_as_their_names_say() -> None:
    across, down = _front(_alone(x=0.5, y=0.5, radius=0.3, angle=0.0))
    assert across > 3
    assert down == pytest.approx(0, abs=0.3)
    below = _front(_alone(x=0.5, y=0.5, radius=0.3, angle=0.25))
    assert below == pytest.approx((0, across), abs=0.5), "a quarter turn clockwise"
    moved = _front(_alone(x=0.6, y=0.4, radius=0.3, angle=0.0))
    assert moved == pytest.approx((across + 6.4, -6.4), abs=0.5)
    large, small = (
        int((_alone(x=0.5, y=0.5, radius=radius, angle=0.0).render([0]) != 100).sum())
        for radius in (0.3, 0.15)
    )
    assert large == pytest.approx(4 * small, rel=0.1)


def test_what_leaves_on_one_side_enters_on_the_other() -> None:
    centre = _alone(x=0.5, y=0.5, radius=0.3, angle=0.1).render([0])[0]
    corner = _alone(x=1.0, y=0.0, radius=0.3, angle=0.1).render([0])[0]
    np.testing.assert_array_equal(np.roll(centre, (32, 32), (0, 1)), corner)


def test_a_hidden_sprite_leaves_the_background() -> None:
    scene = replace(_alone(x=0.5, y=0.5, radius=0.3, angle=0.0), visible=np.array([False, True]))
    hidden, shown = scene.render()
    assert np.all(hidden == 100)
    assert np.any(shown != 100)


def _distance_from_uniform(values: np.ndarray) -> float:
    """The Kolmogorov-Smirnov statistic of values on a cycle of 1."""
    ordered = np.sort(values % 1)
    steps = np.arange(len(ordered) + 1) / len(ordered)
    return float(max(np.abs(ordered - steps[:-1]).max(), np.abs(ordered - steps[1:]).max()))


@pytest.mark.parametrize("motion", MOTIONS[::2])
def test_in_every_class_each_frame_alone_has_the_same_distribution(motion: str) -> None:
    count = 300
    scenes = [draw_scene("hard", 8, index, motion=motion, length=4, size=16) for index in range(count)]
    bound = 1.95 / np.sqrt(count)  # exceeded with a probability of 0.1 %
    for name in ("x", "y", "angle"):
        values = np.array([getattr(scene, name) for scene in scenes])
        assert all(_distance_from_uniform(values[:, frame]) < bound for frame in range(4)), name
    radii = np.array([scene.radius for scene in scenes])
    cycle = np.log(radii / SMALLEST) / np.log(LARGEST / SMALLEST)
    assert all(_distance_from_uniform(cycle[:, frame]) < bound for frame in range(4))


def test_a_linear_classifier_of_single_frames_is_at_chance() -> None:
    clips, labels = make_clips("easy", 1600, seed=21, length=2, size=16, frames=[0])
    features = clips.reshape(len(clips), -1).astype(np.float64)
    features = np.concatenate([features / 255, np.ones((len(clips), 1))], axis=1)
    gram = features[:1200].T @ features[:1200] + np.eye(features.shape[1])
    weights = np.linalg.solve(gram, features[:1200].T @ np.eye(8)[labels[:1200]])
    accuracy = float(((features[1200:] @ weights).argmax(1) == labels[1200:]).mean())
    assert accuracy < 0.2, "one of eight classes is 0.125"


def test_the_hard_split_has_more_noise_and_less_contrast() -> None:
    easy, hard = ([draw_scene(split, 0, index, **SMALL) for index in range(40)] for split in ("easy", "hard"))
    assert np.mean([scene.noise for scene in hard]) > 2 * np.mean([scene.noise for scene in easy])
    assert all(scene.visible.all() for scene in easy)
    assert not all(scene.visible.all() for scene in hard)
    assert max(len(scene.discs) for scene in easy) == 0
    assert max(len(scene.discs) for scene in hard) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "medium"}, "medium"),
        ({"motion": "jump"}, "jump"),
        ({"length": 1}, "length"),
        ({"size": 8}, "size"),
        ({"seed": -1}, "seed"),
        ({"index": -1}, "index"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, object], message: str) -> None:
    known: dict[str, object] = {"split": "easy", "seed": 0, "index": 0}
    with pytest.raises(ConfigError, match=message):
        draw_scene(**{**known, **arguments})


def test_no_clips_at_all_are_refused() -> None:
    with pytest.raises(ConfigError, match="count"):
        make_clips("easy", 0, seed=0)
