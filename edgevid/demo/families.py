"""Small members of the other papers' families, trained on the generated clips as the shipped networks are.

Clips are 8 frames of 64x64 pixels: an Inception takes no smaller ones. `edgevid.demo.families_int8`
trains them and tells what int8 costs each; `edgevid.demo.families_speed` is about their full size.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from edgevid.checkpoints import write
from edgevid.contract import Normalization, Sampling
from edgevid.demo.evaluate import evaluate
from edgevid.demo.train import train
from edgevid.demo.training_clips import Recipe
from edgevid.disk import write_text
from edgevid.errors import ConfigError
from edgevid.models import NetworkConfig, ShiftConfig
from edgevid.models.config import BackboneName
from edgevid.models.gate_config import GateConfig
from edgevid.models.synthesis_config import SynthesisConfig
from edgevid.models.volume_config import VolumeConfig
from edgevid.video.synthetic import MOTIONS, SPLITS

__all__ = ["FAMILIES", "RECIPE", "Training", "trained"]

SEGMENTS = 8
SIZE = 64
CLIPS = 400
"""Of each split, for a first look at what was learned."""


def _member(backbone: BackboneName, **parts: Any) -> NetworkConfig:
    return NetworkConfig(
        backbone=backbone, classes=len(MOTIONS), segments=SEGMENTS, size=SIZE, dropout=0.05, **parts
    )


_RESNET: Mapping[str, Any] = {"blocks": (2, 2, 2, 2), "channels": (16, 12, 16, 24, 32)}

FAMILIES: Mapping[str, NetworkConfig] = {
    "stsm": _member("resnet50", **_RESNET, shift=ShiftConfig(proportion=Fraction(3, 8), axes="T+H+W")),
    "gsm": _member("bn_inception", width=Fraction(3, 16), gate=GateConfig()),
    "s3d-g": _member("inception_v1", width=Fraction(1, 4), volumes=VolumeConfig(gating="temporal")),
    "psn": _member("resnet50", **_RESNET, synthesis=SynthesisConfig()),
}
"""Each as its paper has it at its best, but narrow."""

RECIPE = Recipe(steps=2000, warm_up=600, settling=50)
"""Of all members. Their last layers see so few pixels of a batch that the batch norms have to settle."""


class Training(BaseModel):
    """How a member was trained.

    Attributes:
        recipe: the fields of `edgevid.demo.training_clips.Recipe`.
        threads: of PyTorch; one more draws the clips.
        minutes: that it took.
        top1: share of right answers in float32 by PyTorch, by the name of the split.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: dict[str, int | float]
    threads: int
    minutes: float
    top1: dict[str, float]


def trained(
    name: str, folder: Path, recipe: Recipe = RECIPE, *, threads: int = 2
) -> tuple[Path, Training | None]:
    """The checkpoint ``FOLDER/NAME.safetensors`` of a member, trained unless it is there.

    Args:
        name: of `FAMILIES`.
        folder: of checkpoints; beside each ``NAME.training.json`` says how it was trained.
        recipe: of the training.
        threads: of PyTorch, from now on.

    Returns:
        The file, and how it was trained; None of a checkpoint from elsewhere.

    Raises:
        ConfigError: what stands beside the checkpoint is damaged, or cannot be written.
    """
    path, record = folder / f"{name}.safetensors", folder / f"{name}.training.json"
    if path.exists():
        return path, _read(record) if record.exists() else None
    torch.set_num_threads(threads)
    print(f"{name}: training", file=sys.stderr)
    began = time.perf_counter()
    network = train(FAMILIES[name], recipe, log=sys.stderr)
    minutes = (time.perf_counter() - began) / 60
    top1 = {split: evaluate(network, split, CLIPS).top1 for split in SPLITS}
    training = Training(recipe=asdict(recipe), threads=threads, minutes=minutes, top1=top1)
    write_text(record, training.model_dump_json(indent=1) + "\n")
    config = network.config
    sampling = Sampling(segments=config.segments, resize=config.size, crop=config.size)
    write(path, network, normalization=Normalization(), sampling=sampling, labels=MOTIONS)
    return path, training


def _read(record: Path) -> Training:
    try:
        return Training.model_validate_json(record.read_bytes())
    except (OSError, ValidationError) as error:
        raise ConfigError(
            f"the record of a training cannot be read: {error}",
            where=record,
            fix="remove it: of the checkpoint beside it nothing is known then",
        ) from error
