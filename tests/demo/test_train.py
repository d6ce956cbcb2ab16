"""Training the demonstration's networks: what a short run already shows."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from edgevid.checkpoints import read
from edgevid.contract import Normalization
from edgevid.demo import LABELS
from edgevid.demo.evaluate import normalized, segment_centres
from edgevid.demo.hints import HINTS, hint_loss, hints
from edgevid.demo.train import NETWORKS, _settle, published_state, save_checkpoint, train
from edgevid.demo.training_clips import Recipe, batches, training_scenes
from edgevid.models import build
from edgevid.video.synthetic import draw_scene

SHORT = Recipe(steps=2, warm_up=1, batch=8)


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_training_twice_gives_the_same_weights() -> None:
    first, second = (train(NETWORKS["tsm"], SHORT).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_training_changes_the_weights_tells_its_progress_and_ends_in_evaluation_mode() -> None:
    log = io.StringIO()
    network = train(NETWORKS["tsn"], SHORT, log=log)
    torch.manual_seed(SHORT.seed)
    untrained = build(NETWORKS["tsn"])
    assert not network.training
    assert not torch.equal(
        network.state_dict()["classifier.weight"], untrained.state_dict()["classifier.weight"]
    )
    assert "2/2" in log.getvalue()


def test_training_goes_from_plain_clips_to_a_mix_of_easy_and_difficult_ones() -> None:
    recipe = Recipe(steps=10, warm_up=5, batch=16)
    plain, mixed = training_scenes(recipe, 4), training_scenes(recipe, 5)
    assert max(scene.noise for scene in plain) <= 4
    assert [scene.noise > 8 for scene in mixed] == [True] * 8 + [False] * 8
    assert sorted(scene.motion for scene in mixed) == sorted(LABELS * 2)


def test_no_step_of_training_sees_the_clips_of_another() -> None:
    recipe = Recipe(steps=3, warm_up=0, batch=16)
    seeds = [scene.noise_seeds[0] for step in range(3) for scene in training_scenes(recipe, step)]
    assert len(set(seeds)) == 48


def test_batches_are_drawn_one_a_step_and_then_those_for_settling() -> None:
    recipe = Recipe(steps=2, warm_up=1, batch=8, settling=1)
    drawn = list(batches(NETWORKS["tsm"], recipe))
    assert [batch.clips.shape for batch in drawn] == [(8, 8, 3, 48, 48)] * 3
    for step, batch in enumerate(drawn):
        scenes = training_scenes(recipe, step)
        assert [LABELS[label] for label in batch.labels] == [scene.motion for scene in scenes]
        frames = segment_centres(scenes[0].length, 8)
        np.testing.assert_array_equal(batch.hints.numpy(), hints(scenes, frames))


def test_settled_batch_norms_hold_the_mean_over_all_batches() -> None:
    """Of the pixels, which the first convolution hands on as they are."""
    network, recipe = build(NETWORKS["tsm"]), Recipe(steps=0, batch=8, settling=3)
    first = network.get_submodule("features.0.0")
    torch.nn.init.constant_(first.weight, 0)
    shown = list(batches(NETWORKS["tsm"], recipe))
    with torch.no_grad():
        first.weight[:, 0, 1, 1] = 1  # the red of every second pixel
    _settle(network, shown)
    red = torch.cat([batch.clips[:, :, 0, ::2, ::2] for batch in shown])
    mean = network.get_submodule("features.0.1").running_mean
    torch.testing.assert_close(mean, red.mean().expand(16), rtol=1e-4, atol=1e-4)


def test_hints_are_the_state_of_the_sprite_and_its_change() -> None:
    scene = draw_scene("easy", 0, 1, motion="move_right", length=12, size=16)
    columns = hints([scene], [2, 5])[0]
    assert columns.shape == (2, HINTS)
    turn = np.arctan2(columns[:, 3], columns[:, 0]) / (2 * np.pi)
    np.testing.assert_allclose(turn % 1, scene.x[[2, 5]] % 1, atol=1e-5)
    np.testing.assert_allclose(columns[:, 7], 12 * np.diff(scene.x)[[2, 5]], rtol=1e-5)
    np.testing.assert_allclose(columns[:, 8:11], 0, atol=1e-6)
    np.testing.assert_allclose(columns[:, 15], columns[:, 7], rtol=1e-5)
    np.testing.assert_allclose(columns[:, 16], 0, atol=1e-6)


def test_hints_may_tell_of_speeds_at_other_moments() -> None:
    scene = draw_scene("easy", 0, 1, motion="move_right", length=12, size=16)
    later, before = hints([scene], [2, 5])[0], hints([scene], [2, 5], [0, 3])[0]
    np.testing.assert_array_equal(before[:, :7], later[:, :7])
    np.testing.assert_allclose(before[:, 7], 12 * np.diff(scene.x)[[0, 3]], rtol=1e-5)


def test_hints_of_a_size_that_starts_again_have_the_sign_of_its_growth() -> None:
    scenes = [draw_scene("easy", 0, index, motion="grow", length=12, size=16) for index in range(20)]
    assert any(np.any(np.diff(scene.radius) < 0) for scene in scenes)
    assert np.all(hints(scenes, range(11))[..., 10] > 0)


def test_the_loss_of_the_hints_is_zero_where_they_are_met() -> None:
    targets = torch.randn(2, 3, HINTS)
    assert hint_loss(targets.flatten(0, 1), targets).item() == 0
    assert hint_loss(targets.flatten(0, 1) + 1, targets).item() == pytest.approx(HINTS)


def test_the_centres_of_equal_parts_are_seen() -> None:
    assert segment_centres(24, 8) == [1, 4, 7, 10, 13, 16, 19, 22]
    assert segment_centres(8, 8) == list(range(8))


def test_pixels_are_normalized_per_channel_with_the_channels_in_front() -> None:
    clips = np.zeros((1, 2, 4, 5, 3), np.uint8)
    clips[..., 1] = 100
    tensor = normalized(clips, Normalization(mean=(0, 50, 1), std=(1, 25, 2)))
    assert tensor.shape == (1, 2, 3, 4, 5)
    assert tensor.dtype == torch.float32
    assert tensor[0, 1, :, 3, 4].tolist() == [0, 2, -0.5]


def test_weights_are_saved_under_the_keys_of_the_published_code() -> None:
    shifted, plain = (published_state(build(NETWORKS[name])) for name in ("tsm", "tsn"))
    wrapped = {key for key in shifted if ".net." in key}
    blocks = (3, 5, 6, 8, 9, 10, 12, 13, 15, 16)
    assert wrapped == {f"base_model.features.{block}.conv.0.net.weight" for block in blocks}
    assert set(plain) == {key.replace(".net.", ".") for key in shifted}
    assert {"new_fc.weight", "new_fc.bias"} < set(plain)
    assert all(key.startswith(("base_model.features.", "new_fc.")) for key in plain)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_saved_checkpoint_is_read_back_as_the_same_network(tmp_path: Path, name: str) -> None:
    torch.manual_seed(3)
    network = build(NETWORKS[name]).eval()
    path = tmp_path / f"{name}.safetensors"
    save_checkpoint(network, path)
    loaded = read(path)
    clip = torch.randn(1, 8, 3, 48, 48)
    with torch.inference_mode():
        assert torch.equal(loaded.network()(clip), network(clip))
    assert loaded.labels == LABELS
    assert (loaded.sampling.segments, loaded.sampling.resize, loaded.sampling.crop) == (8, 48, 48)
    assert loaded.normalization == Normalization()
    assert (loaded.config.shift is None) == (name == "tsn")
    assert loaded.settings["segments"].source == "file"


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tsm.safetensors"
    path.write_bytes(b"old")

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(build(NETWORKS["tsn"]), path)
    monkeypatch.undo()
    assert [file.name for file in tmp_path.iterdir()] == ["tsm.safetensors"]
    assert path.read_bytes() == b"old"


def test_settings_that_weights_cannot_say_stand_in_the_file(tmp_path: Path) -> None:
    save_checkpoint(build(NETWORKS["tsm"]), tmp_path / "tsm.safetensors")
    with safe_open(tmp_path / "tsm.safetensors", "pt") as file:
        known = json.loads(file.metadata()["edgevid"])
    assert known["labels"] == list(LABELS)
    assert (known["proportion"], known["direction"], known["segments"]) == ("1/4", "bidirectional", 8)
    assert load_file(tmp_path / "tsm.safetensors")["new_fc.bias"].shape == (8,)
