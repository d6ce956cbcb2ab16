"""Early recognition: what is right when the rest of a video is still to come (TSM, ICCV 2019, fig. 7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgevid.calibration.comparison import Beginning
from edgevid.calibration.contestants import Contestant
from edgevid.calibration.journal import Answered
from edgevid.calibration.pairs import Answers, accuracy
from edgevid.calibration.statistics import Estimate
from edgevid.contract import Sampling
from edgevid.video.sample import beginning, sample_indices

__all__ = ["by_share", "early_recognition", "repeat_notes"]


def by_share(answered: Sequence[Answered], shares: Sequence[float]) -> list[list[Answered]]:
    """What was said of each beginning, from logits ``[networks, shares * views, classes]``.

    Without shares the answers themselves; else the last ones are of whole videos.
    """
    count = max(len(shares), 1)
    parts = [np.split(entry.logits, count, axis=1) for entry in answered]
    return [
        [replace(entry, logits=part[index]) for entry, part in zip(answered, parts, strict=True)]
        for index in range(count)
    ]


def early_recognition(
    contestants: Sequence[Contestant],
    parts: Sequence[Sequence[Answered]],
    shares: Sequence[float],
    sampling: Sampling,
) -> tuple[Beginning, ...]:
    """Accuracy of each network on each beginning; none if no video has a label.

    Args:
        contestants: in the order of the logits.
        parts: from `by_share`.
        shares: of the videos, one a part.
        sampling: of the clips.
    """
    found = []
    for share, part in zip(shares, parts, strict=True):
        truth = np.array([-1 if entry.label is None else entry.label for entry in part], np.int64)
        answers = [
            Answers([entry.logits[index] for entry in part], contestant.bundle.manifest.sampling)
            for index, contestant in enumerate(contestants)
        ]
        top1, top5 = (_accuracies(answers, truth, top) for top in (1, 5))
        if top1:
            repeating = sum(_repeats(entry.frames, share, sampling) for entry in part)
            found.append(Beginning(share=share, repeating=repeating, top1=top1, top5=top5))
    return tuple(found)


def repeat_notes(early: Sequence[Beginning], sampling: Sampling, videos: int) -> list[str]:
    """Of which beginnings there are too few frames, in words."""
    return [
        f"the first {100 * part.share:g} % of {part.repeating} of {videos} videos are too short for "
        f"{sampling.segments} frames: their clips repeat some"
        for part in early
        if part.repeating
    ]


def _accuracies(answers: Sequence[Answers], truth: NDArray[np.int64], top: int) -> tuple[Estimate, ...]:
    found = [accuracy(given, truth, top) for given in answers]
    return tuple(estimate for estimate in found if estimate is not None)


def _repeats(frames: int | None, share: float, sampling: Sampling) -> bool:
    if not frames:
        return False
    return bool((np.diff(sample_indices(beginning(frames, share), sampling), axis=1) <= 0).any())
