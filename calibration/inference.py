"""Every network looks at every video."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import closing

import numpy as np

from edgevid.calibration.contestants import Contestant
from edgevid.calibration.data import Data, Sample
from edgevid.calibration.journal import Answered, Journal, Skipped
from edgevid.errors import ConfigError, VerificationError, VideoError
from edgevid.graph.verify import run_all
from edgevid.video.skipped import reason_of

__all__ = ["Progress", "show_all"]

Progress = Callable[[str, int, int], None]
"""Called with the stage, and how much of it is done and to be done."""


def show_all(
    contestants: Sequence[Contestant], data: Data, journal: Journal, progress: Progress | None
) -> None:
    """Show the videos that the journal lacks to every network; they are decoded meanwhile.

    Raises:
        ConfigError: clips of another shape than the networks take, or a full disk.
        VerificationError: logits that are not finite.
    """
    total = len(data.labels)
    with closing(data.read(len(journal.entries))) as reading:
        for sample in reading:
            journal.append(_show(contestants, sample))
            if progress:
                progress("comparing", len(journal.entries), total)


def _show(contestants: Sequence[Contestant], sample: Sample) -> Answered | Skipped:
    if isinstance(sample.clips, VideoError):
        return Skipped(sample.name, str(sample.clips), reason_of(sample.clips))
    rows = []
    for contestant in contestants:
        if sample.clips.shape[1:] != contestant.clip:
            raise ConfigError(
                f"clips {list(sample.clips.shape[1:])} for a network that takes {list(contestant.clip)}",
                where=sample.name,
                fix=f"pack them with --bundle {contestant.bundle.path}",
            )
        logits = run_all(contestant.session, sample.clips)
        if not np.isfinite(logits).all():
            raise VerificationError(
                f"{contestant.name} gives logits that are not finite",
                where=sample.name,
                fix="do not deploy it; compile with another precision or calibration",
            )
        rows.append(logits)
    digest = hashlib.sha256(sample.clips.tobytes()).hexdigest()
    return Answered(sample.name, sample.label, np.stack(rows), digest, sample.frames)
