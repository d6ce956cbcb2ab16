"""How the uni-directional network is trained and judged: what needs no trained network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgevid.demo.evaluate import segment_centres
from edgevid.demo.online import (
    FRAME_INTERVAL,
    LATE,
    earlier,
    follow_report,
    followed,
    frame_loss,
    in_a_row,
    is_online,
    shuffled,
    stepped_frames,
)
from edgevid.demo.train import NETWORKS, published_state, train
from edgevid.demo.training_clips import Recipe, training_scenes
from edgevid.models import build
from edgevid.shift import shift_torch


def test_only_one_of_the_networks_takes_from_the_past_alone() -> None:
    assert [name for name, config in NETWORKS.items() if is_online(config)] == ["online"]


def test_scenes_of_a_step_follow_each_other_in_an_order_that_says_nothing() -> None:
    recipe = Recipe(batch=16)
    scenes = [training_scenes(recipe, step) for step in range(3)]
    orders = [[scene.motion for scene in shuffled(each, recipe.seed, n)] for n, each in enumerate(scenes)]
    assert all(sorted(order) == sorted(scene.motion for scene in scenes[0]) for order in orders)
    assert orders[0] != orders[1] != orders[2]
    assert orders[0] == [scene.motion for scene in shuffled(scenes[0], recipe.seed, 0)]


def test_the_second_scene_is_shifted_into_by_the_first() -> None:
    network = build(in_a_row(NETWORKS["online"]))
    _, spec = network.shift_specs()[0]
    assert spec.segments == 16
    frames = torch.arange(1.0, 33.0)[:, None, None, None].expand(32, 16, 1, 1)
    moved = shift_torch(frames, spec)[:, 0, 0, 0]
    assert moved[8] == 8, "the first frame of a second scene sees the last one of the first"
    assert moved[16] == 0, "and that of a third one nothing"


def test_the_answers_to_early_frames_do_not_count() -> None:
    logits = torch.zeros(2, 4, 3)
    logits[0, :, 1] = logits[1, :, 2] = 50
    labels = torch.tensor([1, 2])
    assert frame_loss(logits, labels).item() == pytest.approx(0, abs=1e-6)
    logits[:, :2] = torch.randn(2, 2, 3)
    assert frame_loss(logits, labels).item() == pytest.approx(0, abs=1e-6)
    assert frame_loss(logits, labels.flip(0)).item() == pytest.approx(50)


def test_hints_are_of_what_the_network_has_seen() -> None:
    frames = segment_centres(28, 8)
    assert earlier(frames)[0] == 0
    assert all(
        before < moment < frame
        for before, moment, frame in zip(frames, earlier(frames)[1:], frames[1:], strict=False)
    )


def test_steps_are_the_frames_nearest_to_multiples_of_the_interval() -> None:
    assert stepped_frames(12, 0.12, 25) == [0, 3, 6, 9]
    assert stepped_frames(11, 0.08, 25) == [0, 2, 4, 6, 8, 10]
    assert stepped_frames(1) == [0]
    steps = stepped_frames(288)
    assert set(np.diff(steps)) == {3, 4}
    assert steps[-1] <= 287
    assert np.mean(np.diff(steps)) / 25 == pytest.approx(FRAME_INTERVAL, rel=0.01)


def test_training_gives_a_network_of_single_clips_with_the_published_keys() -> None:
    network = train(NETWORKS["online"], Recipe(steps=2, warm_up=1, batch=8))
    assert network.config == NETWORKS["online"]
    assert {spec.segments for _, spec in network.shift_specs()} == {8}
    assert published_state(network).keys() == published_state(build(NETWORKS["tsm"])).keys()
    assert not network.training


def test_a_video_is_followed_step_by_step_from_change_to_change() -> None:
    torch.manual_seed(0)
    network = build(NETWORKS["online"]).eval()
    answers, labels, since = followed(network, "easy", 5)
    assert answers.shape == labels.shape == since.shape == (83,)
    starts = np.flatnonzero(since == 0)
    assert len(starts) == 6
    assert (np.diff(labels) != 0).sum() == 5
    assert (np.flatnonzero(np.diff(labels)) + 1 == starts[1:]).all()
    assert since.max() > LATE


def test_the_report_has_a_line_a_split() -> None:
    torch.manual_seed(0)
    lines = follow_report("online", build(NETWORKS["online"]).eval(), 1, seed=0).splitlines()
    assert [line.split(",")[0] for line in lines] == ["online  easy", "online  hard"]
