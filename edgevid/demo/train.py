"""Train the demonstration's networks on generated clips: ``python -m edgevid.demo.train``.

All that are shipped are the same narrow MobileNetV2 over 8 frames of 48x48 pixels: with TSM's
bidirectional shift of a quarter of the channels (Lin et al., ICCV 2019), without it, and with a
quarter taken from the past alone (see `edgevid.demo.online`). They are trained alike, and so are
those of `edgevid.demo.families`: fresh clips in every step, first plain ones, then half of them
easy and half difficult. The result depends on the seed and, through the order of floating-point
sums, on the number of threads; each of the shipped ones takes about 9 minutes of one CPU core, the
last one 12.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch

from edgevid.contract import Normalization, Sampling
from edgevid.demo.evaluate import report
from edgevid.demo.hints import HINTS, hint_loss
from edgevid.demo.online import FRAME_INTERVAL, follow_report, frame_loss, in_a_row, is_online
from edgevid.demo.training_clips import SIZE, Batch, Recipe, batches
from edgevid.models import NetworkConfig, ShiftConfig, build
from edgevid.models.network import VideoNetwork, VolumeNetwork
from edgevid.video.synthetic import MOTIONS

__all__ = ["NETWORKS", "RECIPES", "Recipe", "published_state", "save_checkpoint", "train"]

SEGMENTS = 8
CHANNELS = (16, 8, 16, 24, 32, 48, 64, 96, 256)

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

RECIPES: Mapping[str, Recipe] = {
    "tsm": Recipe(),
    "tsn": Recipe(),
    "online": Recipe(steps=3200, warm_up=1200),
}
"""Of the shipped networks."""


def train(config: NetworkConfig, recipe: Recipe, *, log: TextIO | None = None) -> VideoNetwork:
    """A trained network in evaluation mode.

    Args:
        config: what to train, of any family; its classes are the motions.
        recipe: how.
        log: where a line of progress goes every 50 steps; nowhere by default.
    """
    torch.manual_seed(recipe.seed)
    online = is_online(config)
    network = build(in_a_row(config) if online else config)
    volumes = isinstance(network, VolumeNetwork)
    # Depthwise convolutions are faster on a CPU with the channels last.
    layout = torch.channels_last_3d if volumes else torch.channels_last
    network.to(memory_format=layout)  # type: ignore[call-overload]
    # One vector of features tells of a frame, or of all frames of a volume.
    hinter = torch.nn.Linear(_classifier(network).in_features, HINTS * (config.segments if volumes else 1))
    parameters = [*network.parameters(), *hinter.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.rate, weight_decay=recipe.decay)
    progress = _Progress(recipe.steps, log)
    with closing(batches(config, recipe)) as coming:
        for step, batch in enumerate(islice(coming, recipe.steps)):
            with _features_of(network) as features:
                answers = _answers(network, batch.clips)
            logits = answers.mean(1)
            loss = torch.nn.functional.cross_entropy(logits, batch.labels)
            if online:
                loss = (loss + frame_loss(answers, batch.labels)) / 2
            hinted = hint_loss(hinter(features[0]).reshape(-1, HINTS), batch.hints)
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate * _rate_factor(step, recipe.steps)
            optimizer.zero_grad()
            total = loss + recipe.hint * (1 - step / recipe.steps) * hinted
            total.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            progress.add(loss.item(), float((logits.argmax(1) == batch.labels).float().mean()))
        if recipe.settling:
            _settle(network, coming)
    if online:
        trained = build(config)
        trained.load_state_dict(network.state_dict())
        return trained.eval()
    return network.eval()


def _classifier(network: VideoNetwork) -> torch.nn.Linear:
    """The last layer of all families."""
    *_, last = (layer for layer in network.modules() if isinstance(layer, torch.nn.Linear))
    return last


@contextmanager
def _features_of(network: VideoNetwork) -> Iterator[list[torch.Tensor]]:
    """Takes what each run gives to the dropout in front of the classifier."""
    seen: list[torch.Tensor] = []
    dropout = network.get_submodule("dropout")
    handle = dropout.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        yield seen
    finally:
        handle.remove()


def _answers(network: VideoNetwork, clips: torch.Tensor) -> torch.Tensor:
    """Logits ``[N, T, classes]`` of the frames of ``[N, T, 3, H, W]``; of volumes ``[N, 1, classes]``."""
    if isinstance(network, VolumeNetwork):
        answers: torch.Tensor = network(clips)[:, None]
        return answers
    # Of the online network several clips are one.
    in_rows = clips.reshape(-1, network.config.segments, *clips.shape[2:])
    return network.frame_logits(in_rows).reshape(*clips.shape[:2], -1)


def _settle(network: VideoNetwork, shown: Iterable[Batch]) -> None:
    """Batch norms take the mean statistics of whole batches, of the weights as they are now.

    Those of the last ten steps, which they have, are few where a layer sees few pixels of a batch.
    """
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
            layer.reset_running_stats()
            layer.momentum = None  # the average of all that it sees
    with torch.no_grad():
        for batch in shown:
            _answers(network, batch.clips)


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
