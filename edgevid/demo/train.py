"""Train the demonstration's networks on generated clips: ``python -m edgevid.demo.train``.

All are the same narrow MobileNetV2 over 8 frames of 48x48 pixels: with TSM's bidirectional
shift of a quarter of the channels (Lin et al., ICCV 2019), without it, and with a quarter
taken from the past alone (see `edgevid.demo.online`). They are trained alike: fresh clips in
every step, first plain ones, then half of them easy and half difficult. The result depends
on the seed and, through the order of floating-point sums, on the number of threads; each
network takes about 9 minutes of one CPU core, the last one 12.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch

from edgevid.contract import Normalization, Sampling
from edgevid.demo.evaluate import normalized, report, segment_centres
from edgevid.demo.hints import HINTS, hint_loss, hints
from edgevid.demo.online import (
    FRAME_INTERVAL,
    earlier,
    follow_report,
    frame_loss,
    in_a_row,
    is_online,
    shuffled,
)
from edgevid.models import NetworkConfig, ShiftConfig
from edgevid.models.mobilenet_v2 import MobileNetV2
from edgevid.models.network import VideoNetwork
from edgevid.video.synthetic import MOTIONS, SPLITS, Scene, Split, draw_scene

__all__ = ["NETWORKS", "RECIPES", "Recipe", "published_state", "save_checkpoint", "train"]

SEGMENTS = 8
SIZE = 48
CHANNELS = (16, 8, 16, 24, 32, 48, 64, 96, 256)
TRAINING_SEED = 20_240

_TSM = NetworkConfig(
    backbone="mobilenet_v2",
    classes=len(MOTIONS),
    segments=SEGMENTS,
    size=SIZE,
    channels=CHANNELS,
    shift=ShiftConfig(),
    dropout=0.05,
)
NETWORKS: Mapping[str, NetworkConfig] = {
    "tsm": _TSM,
    "tsn": _TSM.without_shift(),
    # As many channels move as in both directions together: an eighth would be two of 16.
    "online": _TSM.model_copy(update={"shift": ShiftConfig(direction="unidirectional")}),
}
"""The shipped networks by the name of their file."""


WARM_UP = Split(
    number=2,
    travel=(0.4, 1.0),
    contrast=(80.0, 120.0),
    texture=(0.0, 0.0),
    noise=(0.0, 4.0),
    shake=(0.0, 0.0),
    flicker=(0.0, 0.0),
    hidden=(0.0, 0.0),
    still=(0, 0),
    roaming=(0, 0),
)
"""What training begins with: nothing but the sprite."""

BROAD = replace(SPLITS["hard"], number=3)
"""The difficult half of the clips that it goes on with; the other half is easy."""


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        steps: updates of the weights.
        warm_up: of these, how many see clips of `WARM_UP` only.
        batch: clips an update.
        rate: highest learning rate; it rises for 30 steps and falls along a cosine to 0.
        decay: weight decay of AdamW (Loshchilov and Hutter, ICLR 2019).
        hint: weight of the hints' loss at the start; it falls to 0 (see `edgevid.demo.hints`).
        seed: of the initial weights and of the clips.
    """

    steps: int = 2400
    warm_up: int = 700
    batch: int = 16
    rate: float = 4e-3
    decay: float = 0.01
    hint: float = 0.5
    seed: int = TRAINING_SEED


RECIPES: Mapping[str, Recipe] = {
    "tsm": Recipe(),
    "tsn": Recipe(),
    "online": Recipe(steps=3200, warm_up=1200),
}
"""Of the shipped networks."""


def training_scenes(recipe: Recipe, step: int) -> list[Scene]:
    """The scenes of one step, of one length from 24 to 32 frames."""
    length = 24 + step % 9
    scenes = []
    for index in range(recipe.batch):
        split = WARM_UP if step < recipe.warm_up else BROAD if index % 16 < 8 else SPLITS["easy"]
        # Classes take turns with the index, so that each half holds all of them.
        scenes.append(draw_scene(split, recipe.seed, step * recipe.batch + index, length=length, size=SIZE))
    return scenes


def train(config: NetworkConfig, recipe: Recipe, *, log: TextIO | None = None) -> VideoNetwork:
    """A trained network in evaluation mode.

    Args:
        config: what to train; a MobileNetV2.
        recipe: how.
        log: where a line of progress goes every 50 steps; nowhere by default.
    """
    torch.manual_seed(recipe.seed)
    online = is_online(config)
    network = MobileNetV2(in_a_row(config) if online else config)
    # Depthwise convolutions are faster on a CPU with the channels last.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    hinter = torch.nn.Linear(config.widths[-1], HINTS)
    parameters = [*network.parameters(), *hinter.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.rate, weight_decay=recipe.decay)
    progress = _Progress(recipe.steps, log)
    for step in range(recipe.steps):
        scenes = training_scenes(recipe, step)
        if online:
            scenes = shuffled(scenes, recipe.seed, step)
        frames = segment_centres(scenes[0].length, config.segments)
        clips = np.stack([scene.render(frames) for scene in scenes])
        labels = torch.tensor([MOTIONS.index(scene.motion) for scene in scenes])
        images = normalized(clips, Normalization()).flatten(0, 1)
        features = network.avgpool(network.features(images)).flatten(1)
        by_frame = network.classifier(network.dropout(features)).unflatten(0, (len(scenes), -1))
        logits = by_frame.mean(1)
        loss = torch.nn.functional.cross_entropy(logits, labels)
        if online:
            loss = (loss + frame_loss(by_frame, labels)) / 2
        moments = earlier(frames) if online else frames
        hinted = hint_loss(hinter(features), torch.from_numpy(hints(scenes, frames, moments)))
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * _rate_factor(step, recipe.steps)
        optimizer.zero_grad()
        total = loss + recipe.hint * (1 - step / recipe.steps) * hinted
        total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        progress.add(loss.item(), float((logits.argmax(1) == labels).float().mean()))
    if online:
        trained = MobileNetV2(config)
        trained.load_state_dict(network.state_dict())
        return trained.eval()
    return network.eval()


def _rate_factor(step: int, steps: int) -> float:
    return min((step + 1) / 30, 0.5 + 0.5 * math.cos(math.pi * step / steps))


class _Progress:
    """One line every 50 steps: the means since the last one and the time that is left."""

    def __init__(self, steps: int, log: TextIO | None) -> None:
        self.steps = steps
        self.log = log
        self.start = time.perf_counter()
        self.step = 0
        self.recent: list[tuple[float, float]] = []

    def add(self, loss: float, top1: float) -> None:
        self.step += 1
        self.recent.append((loss, top1))
        if self.step % 50 and self.step != self.steps:
            return
        mean_loss, mean_top1 = np.mean(self.recent, axis=0)
        left = (time.perf_counter() - self.start) / self.step * (self.steps - self.step)
        line = f"  step {self.step:4d}/{self.steps}  loss {mean_loss:.3f}  top-1 {100 * mean_top1:5.1f} %"
        if self.log is not None:
            print(f"{line}  {left / 60:.1f} min left", file=self.log, flush=True)
        self.recent = []


def published_state(network: VideoNetwork) -> dict[str, torch.Tensor]:
    """The weights under the keys that TSM's authors publish for MobileNetV2."""
    shifted = {name.rsplit(".", 1)[0] for name, _ in network.shift_specs()}
    state = {}
    for key, value in network.state_dict().items():
        block, _, rest = key.partition(".conv.0.")
        if block in shifted and rest:
            key = f"{block}.conv.0.net.{rest}"
        key = key.replace("classifier.", "new_fc.") if key.startswith("classifier.") else f"base_model.{key}"
        state[key] = value.contiguous()
    return state


_SHIFT_SETTINGS = ("proportion", "direction", "first", "rounding", "placement")


def settings(config: NetworkConfig) -> dict[str, Any]:
    """What the weights cannot say, under the names of the flags that would say it."""
    interval = FRAME_INTERVAL if is_online(config) else None
    sampling = Sampling(segments=config.segments, resize=config.size, crop=config.size, interval=interval)
    known: dict[str, Any] = {
        **asdict(Normalization()),
        **asdict(sampling),
        "dropout": config.dropout,
        "labels": list(MOTIONS),
    }
    if config.shift is not None:
        known |= config.shift.model_dump(mode="json", include=set(_SHIFT_SETTINGS))
    return known


def save_checkpoint(network: VideoNetwork, path: Path) -> None:
    """Write a safetensors file whole or not at all."""
    from safetensors.torch import save

    metadata = {"format": "pt", "edgevid": json.dumps(settings(network.config))}
    beside = path.with_name(f".{path.name}.part")
    try:
        beside.write_bytes(save(published_state(network), metadata))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, save and check the networks asked for."""
    parser = argparse.ArgumentParser(prog="python -m edgevid.demo.train", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo-checkpoints"), help="folder to write to")
    parser.add_argument("--network", choices=tuple(NETWORKS), action="append", help="default: all")
    parser.add_argument("--steps", type=int, help="default: those of the shipped ones")
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--threads", type=int, default=1, help="the shipped ones were trained with 1")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    chosen.out.mkdir(parents=True, exist_ok=True)
    for name in chosen.network or NETWORKS:
        print(f"{name}: training", file=sys.stderr)
        recipe = replace(RECIPES[name], seed=chosen.seed)
        recipe = replace(recipe, steps=chosen.steps or recipe.steps)
        network = train(NETWORKS[name], recipe, log=sys.stderr)
        path = chosen.out / f"{name}.safetensors"
        save_checkpoint(network, path)
        print(f"{name}: wrote {path}, {path.stat().st_size / 1e6:.2f} MB")
        print(report(name, network, 400))
        if is_online(network.config):
            print(follow_report(name, network, 20, seed=1))


if __name__ == "__main__":
    main()
