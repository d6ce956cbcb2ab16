"""How well the demonstration's networks do: ``python -m edgevid.demo.evaluate``.

Measures what the generated clips are made for: top-1 on both splits, and how often a clip
played backwards is given the partner class.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from edgevid.contract import Normalization
from edgevid.models.network import VideoNetwork
from edgevid.video.synthetic import MOTIONS, SPLITS, make_clips, partner

__all__ = ["Scores", "evaluate", "normalized", "segment_centres"]

LENGTH = 28
SEED = 977


@dataclass(frozen=True)
class Scores:
    """Shares from 0 to 1 of a number of clips.

    Attributes:
        top1: answered right.
        reversal: given the partner of the first answer when played backwards.
    """

    top1: float
    reversal: float


def segment_centres(length: int, segments: int) -> list[int]:
    """The centre frame of each of ``segments`` equal parts (TSN, Wang et al., ECCV 2016)."""
    return [(2 * part + 1) * length // (2 * segments) for part in range(segments)]


def normalized(clips: NDArray[np.uint8], normalization: Normalization) -> torch.Tensor:
    """``uint8`` RGB ``[N, T, H, W, 3]`` as a network takes it, float32 ``[N, T, 3, H, W]``."""
    mean, std = (np.asarray(values, np.float32) for values in (normalization.mean, normalization.std))
    return torch.from_numpy((clips - mean) / std).permute(0, 1, 4, 2, 3)


def predict(
    network: VideoNetwork, clips: NDArray[np.uint8], normalization: Normalization
) -> NDArray[np.int64]:
    """Classes ``[N]`` of RGB clips ``uint8 [N, T, H, W, 3]``, a few clips at a time."""
    answers = []
    with torch.inference_mode():
        for start in range(0, len(clips), 16):
            logits = network(normalized(clips[start : start + 16], normalization))
            answers.append(logits.argmax(1).numpy())
    return np.concatenate(answers)


def evaluate(
    network: VideoNetwork,
    split: str,
    count: int,
    seed: int = SEED,
    normalization: Normalization | None = None,
) -> Scores:
    """Scores of a network in evaluation mode on ``count`` fresh clips of a split.

    Raises:
        ConfigError: an unknown split, or fewer than one clip.
    """
    norm = normalization or Normalization()
    config = network.config
    frames = segment_centres(LENGTH, config.segments)
    clips, labels = make_clips(split, count, seed, length=LENGTH, size=config.size, frames=frames)
    forwards = predict(network, clips, norm)
    backwards = predict(network, clips[:, ::-1], norm)
    mirrored = [MOTIONS.index(partner(MOTIONS[answer])) for answer in forwards]
    return Scores(float((forwards == labels).mean()), float((backwards == mirrored).mean()))


def report(name: str, network: VideoNetwork, count: int, normalization: Normalization | None = None) -> str:
    """One line a split, fit to print."""
    lines = []
    for split in SPLITS:
        scores = evaluate(network, split, count, normalization=normalization)
        lines.append(
            f"{name}  {split}: top-1 {100 * scores.top1:.1f} %, "
            f"reversed clips given the partner class {100 * scores.reversal:.1f} % ({count} clips)"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the scores of the shipped checkpoints, or of those given."""
    from edgevid.checkpoints import read
    from edgevid.demo import checkpoint

    parser = argparse.ArgumentParser(prog="python -m edgevid.demo.evaluate", description=main.__doc__)
    parser.add_argument("checkpoints", nargs="*", type=Path, help="default: the shipped ones")
    parser.add_argument("--count", type=int, default=400, help="clips of each split")
    chosen = parser.parse_args(arguments)
    for path in chosen.checkpoints or [checkpoint("tsm"), checkpoint("tsn"), checkpoint("online")]:
        loaded = read(path)
        print(report(path.stem, loaded.network(), chosen.count, loaded.normalization))


if __name__ == "__main__":
    main()
