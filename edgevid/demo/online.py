"""How training differs for the demonstration's uni-directional network, and how well that follows a video.

It answers after every frame, while motions follow one another. Clips that are answered once, for all their
frames, and that begin with nothing before them, would not teach it that. So

* the scenes of a step stand two in a row, in a random order: the caches of the second one's first frames
  hold what is left of another motion, as after a change in a video;
* the answers to single frames count too, from the third frame of a scene on: before it there is
  hardly a motion to be seen;
* the hints tell how the sprite came to where it is, instead of where it goes, which no frame shows yet;
* it takes longer, above all with plain clips: rotations are told apart late.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from edgevid.contract import Normalization
from edgevid.demo.evaluate import LENGTH, normalized
from edgevid.demo.files import RATE
from edgevid.models import NetworkConfig, build
from edgevid.models.network import VideoNetwork
from edgevid.video.motion_sequence import draw_sequence
from edgevid.video.synthetic import MOTIONS, Scene

__all__ = [
    "FRAME_INTERVAL",
    "earlier",
    "follow_report",
    "followed",
    "frame_loss",
    "in_a_row",
    "is_online",
    "shuffled",
    "stepped_frames",
]

FRAME_INTERVAL = LENGTH / 8 / RATE
"""Seconds between the frames that training shows, on average: 0.14. A clip is 8 frames of 24 to 32."""

_IN_A_ROW = 2
_FIRST = 2
"""Number of the first frame of a scene whose own answer counts."""

LATE = 4
"""Steps after a change from which on `follow_report` expects the right answer."""


def is_online(config: NetworkConfig) -> bool:
    """The network takes from the past alone."""
    return config.shift is not None and config.shift.direction == "unidirectional"


def in_a_row(config: NetworkConfig) -> NetworkConfig:
    """The network that is trained: over several scenes, each of the frames of a clip."""
    return config.model_copy(update={"segments": _IN_A_ROW * config.segments})


def shuffled(scenes: Sequence[Scene], seed: int, step: int) -> list[Scene]:
    """Scenes in an order that tells nothing of a class by the one before it."""
    order = np.random.default_rng([seed, step]).permutation(len(scenes))
    return [scenes[index] for index in order]


def earlier(frames: Sequence[int]) -> list[int]:
    """For each frame the middle between it and the one that was seen before it."""
    return [max(frame - 2, 0) for frame in frames]


def frame_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy of the later frames' own logits; ``[N, T, classes]`` against ``[N]``."""
    own = logits[:, _FIRST:]
    return torch.nn.functional.cross_entropy(own.flatten(0, 1), labels.repeat_interleave(own.shape[1]))


def stepped_frames(frames: int, interval: float = FRAME_INTERVAL, rate: float = RATE) -> list[int]:
    """Numbers of the frames, out of so many, that stand nearest to multiples of ``interval`` seconds."""
    return [round(number) for number in np.arange(0, frames - 1 + 1e-6, interval * rate).tolist()]


def followed(
    network: VideoNetwork, split: str, seed: int, normalization: Normalization | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """What a uni-directional network answers frame by frame to six motions of 48 frames each.

    Computed as one long clip, which gives the logits that streaming gives.

    Returns:
        For each step its answer, the class of its frame, and its number since the motion changed, int64.
    """
    scenes = draw_sequence(split, seed, size=network.config.size)
    length = scenes[0].length
    steps = stepped_frames(length * len(scenes))
    pixels = np.concatenate([scene.render() for scene in scenes])[steps]
    whole = build(network.config.model_copy(update={"segments": len(steps)})).eval()
    whole.load_state_dict(network.state_dict())
    with torch.inference_mode():
        logits = whole.frame_logits(normalized(pixels[None], normalization or Normalization()))[0]
    number = np.array(steps) // length
    labels = np.array([MOTIONS.index(scene.motion) for scene in scenes])[number]
    since = np.arange(len(steps)) - np.searchsorted(number, number)
    return logits.argmax(1).numpy(), labels, since


def follow_report(
    name: str, network: VideoNetwork, count: int, seed: int, normalization: Normalization | None = None
) -> str:
    """One line a split, fit to print: how soon after a change the answer is right."""
    lines = []
    for split in ("easy", "hard"):
        found = [followed(network, split, seed + number, normalization) for number in range(count)]
        answers, labels, since = (np.concatenate(part) for part in zip(*found, strict=True))
        right = answers == labels
        by_step = [f"{100 * right[since == step].mean():.0f}" for step in range(int(since.max()) + 1)]
        lines.append(
            f"{name}  {split}, streamed: top-1 {100 * right[since >= LATE].mean():.1f} % from step {LATE} "
            f"after a change on; by step: {' '.join(by_step)} ({count} videos of 6 motions)"
        )
    return "\n".join(lines)
