"""From answers to figures: a candidate against the reference, video by video."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgevid.calibration.comparison import ClassChange, Flip, Pair, Verdict
from edgevid.calibration.statistics import Estimate, Paired, cosine, paired, sqnr, wilson
from edgevid.contract import Sampling
from edgevid.errors import VerificationError
from edgevid.recognition import scores

__all__ = ["Answers", "accuracy", "compare_pair", "judge"]

KEPT = 5
"""Answers a video that are kept."""


class Answers:
    """What one network says of every video.

    Attributes:
        logits: float32 ``[views of all videos, classes]``.
        ranked: classes ``[videos, 5]``, the most probable first (fewer columns for fewer classes).
    """

    def __init__(self, logits: Sequence[NDArray[np.float32]], sampling: Sampling) -> None:
        self.logits = np.concatenate(logits)
        order = [np.argsort(-scores(views, sampling), kind="stable")[:KEPT] for views in logits]
        self.ranked: NDArray[np.int64] = np.stack(order)

    def right(self, labels: NDArray[np.int64], top: int) -> NDArray[np.bool_]:
        """Which videos have their label among the first ``top`` answers; -1 is no label and never right."""
        found: NDArray[np.bool_] = (self.ranked[:, :top] == labels[:, None]).any(axis=1)
        return found


def accuracy(answers: Answers, labels: NDArray[np.int64], top: int) -> Estimate | None:
    """Share of labelled videos answered right; ``None`` if none is labelled."""
    labelled = int((labels >= 0).sum())
    return wilson(int(answers.right(labels, top).sum()), labelled) if labelled else None


def compare_pair(
    name: str,
    reference: Answers,
    candidate: Answers,
    *,
    videos: Sequence[str],
    labels: NDArray[np.int64],
    class_names: Sequence[str] = (),
    max_drop: float | None = None,
) -> Pair:
    """Everything about one candidate.

    Args:
        name: the candidate's.
        reference, candidate: of the same videos.
        videos: their names.
        labels: their classes ``[videos]``, -1 where unknown.
        class_names: in the order of the logits; may be empty.
        max_drop: allowed drop of top-1, from 0 to 1.

    Raises:
        VerificationError: the logits have different shapes.
    """
    if reference.logits.shape != candidate.logits.shape:
        raise VerificationError(
            f"logits {list(candidate.logits.shape)} against {list(reference.logits.shape)}", where=name
        )
    noise = sqnr(reference.logits, candidate.logits)
    first, second = reference.ranked[:, 0], candidate.ranked[:, 0]
    top1 = _paired(reference, candidate, labels, 1)
    verdict, remark = judge(top1, max_drop)
    return Pair(
        name=name,
        top1=top1,
        top5=_paired(reference, candidate, labels, KEPT),
        agreement=wilson(int((first == second).sum()), len(first)),
        sqnr=noise if np.isfinite(noise) else None,
        cosine=cosine(reference.logits, candidate.logits),
        classes=_classes(reference, candidate, labels, class_names),
        flips=tuple(
            Flip(
                video=videos[index],
                label=None if labels[index] < 0 else int(labels[index]),
                reference=int(first[index]),
                candidate=int(second[index]),
            )
            for index in np.flatnonzero(first != second).tolist()
        ),
        verdict=verdict,
        remark=remark,
    )


def judge(found: Paired | None, limit: float | None) -> tuple[Verdict | None, str]:
    """Is a drop above ``limit``, and how sure is that? In one word and in a sentence."""
    if found is None or limit is None:
        return None, ""
    low, high = found.drop.low, found.drop.high
    interval = f"the top-1 drop is between {100 * low:.2f} and {100 * high:.2f} points (95 %)"
    if low > limit:
        return "exceeded", f"{interval}, above the allowed {100 * limit:g}"
    if high <= limit:
        return "within", f"{interval}, within the allowed {100 * limit:g}"
    needed = found.needed(limit)
    how_many = f"; about {needed} labelled videos would tell" if needed and needed > found.count else ""
    told = f"with {found.count} labelled videos {interval}, and {100 * limit:g} are allowed"
    return "too few to tell", told + how_many


def _paired(reference: Answers, candidate: Answers, labels: NDArray[np.int64], top: int) -> Paired | None:
    labelled = int((labels >= 0).sum())
    if not labelled:
        return None
    before, after = reference.right(labels, top), candidate.right(labels, top)
    return paired(int((before & ~after).sum()), int((after & ~before).sum()), labelled)


def _classes(
    reference: Answers, candidate: Answers, labels: NDArray[np.int64], names: Sequence[str]
) -> tuple[ClassChange, ...]:
    before, after = reference.right(labels, 1), candidate.right(labels, 1)
    return tuple(
        ClassChange(
            index=index,
            name=names[index] if names else f"class {index}",
            videos=int((labels == index).sum()),
            reference=int(before[labels == index].sum()),
            candidate=int(after[labels == index].sum()),
        )
        for index in np.unique(labels[labels >= 0]).tolist()
    )
