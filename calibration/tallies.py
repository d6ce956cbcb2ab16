"""What variants of a network answered so far, in a size that does not depend on the number of clips."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevid.calibration.chunks import Chunk
from edgevid.calibration.ranking import Effect
from edgevid.calibration.statistics import Estimate, paired, wilson
from edgevid.disk import write_text

__all__ = ["Tallies"]

_COUNTS = ("lost", "gained", "agreed")
_NUMBERS = ("signal", "clips", "labelled", "right", "videos", "variants")


@dataclass
class Tallies:
    """Sums over clips.

    Attributes:
        noise: of squared differences to the reference's logits, ``[variants]``, as the next three.
        lost: clips that only the reference answers right.
        gained: clips that only the variant answers right.
        agreed: clips with the same first answer.
        signal: of the reference's squared logits.
        clips: of the chunks that all variants are done with.
        labelled: those with a label.
        right: those that the reference answers right.
        videos: that were read for them.
        variants: that are done with the chunk after them.
        skipped: names of videos that could not be read, and why.
    """

    noise: NDArray[np.float64]
    lost: NDArray[np.int64]
    gained: NDArray[np.int64]
    agreed: NDArray[np.int64]
    signal: float = 0.0
    clips: int = 0
    labelled: int = 0
    right: int = 0
    videos: int = 0
    variants: int = 0
    skipped: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, variants: int) -> Tallies:
        """Nothing seen."""
        lost, gained, agreed = (np.zeros(variants, np.int64) for _ in range(3))
        return cls(np.zeros(variants), lost, gained, agreed)

    def add(
        self,
        number: int,
        reference: NDArray[np.float32],
        logits: NDArray[np.float32],
        labels: Sequence[int | None],
    ) -> None:
        """Count what variant ``number``, the next one, says of a chunk; logits are ``[clips, classes]``."""
        first, second = reference.argmax(axis=1), logits.argmax(axis=1)
        truth = np.array([-1 if label is None else label for label in labels])
        self.noise[number] += np.sum((reference.astype(np.float64) - logits) ** 2)
        self.agreed[number] += np.sum(first == second)
        self.lost[number] += np.sum((first == truth) & (second != truth))
        self.gained[number] += np.sum((first != truth) & (second == truth))
        self.variants = number + 1

    def finish(self, reference: NDArray[np.float32], chunk: Chunk) -> None:
        """All variants are done with a chunk."""
        self.signal += float(np.sum(reference.astype(np.float64) ** 2))
        self.clips += len(chunk.clips)
        self.labelled += sum(label is not None for label in chunk.labels)
        self.right += sum(
            label == answer for label, answer in zip(chunk.labels, reference.argmax(1).tolist(), strict=True)
        )
        self.videos += chunk.videos
        self.skipped |= chunk.skipped
        self.variants = 0

    @property
    def top1(self) -> Estimate | None:
        """Of the reference; None without labels."""
        return wilson(self.right, self.labelled) if self.labelled else None

    def effect(self, number: int) -> Effect:
        """Of a variant, when all chunks are done."""
        noise = float(self.noise[number])
        lost, gained = int(self.lost[number]), int(self.gained[number])
        return Effect(
            sqnr=10 * math.log10(max(self.signal, 1e-300) / noise) if noise else None,
            agreement=wilson(int(self.agreed[number]), self.clips),
            top1=paired(lost, gained, self.labelled) if self.labelled else None,
        )

    def save(self, path: Path, key: str) -> None:
        """Write all of it; ``key`` says what it belongs to.

        Raises:
            ConfigError: it cannot be written.
        """
        record: dict[str, Any] = {name: getattr(self, name).tolist() for name in ("noise", *_COUNTS)}
        record |= {name: getattr(self, name) for name in _NUMBERS}
        write_text(path, json.dumps(record | {"key": key, "skipped": self.skipped}))

    @classmethod
    def load(cls, path: Path, key: str) -> Tallies | None:
        """What `save` wrote, or None if nothing of that key is there."""
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if record["key"] != key:
                return None
            lost, gained, agreed = (np.array(record[name], np.int64) for name in _COUNTS)
            rest = {name: record[name] for name in (*_NUMBERS, "skipped")}
            return cls(np.array(record["noise"], np.float64), lost, gained, agreed, **rest)
        except (OSError, ValueError, KeyError, TypeError):
            return None
