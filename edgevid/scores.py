"""From logits to the probabilities of one video: averaged over its views, and over networks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgevid.contract import Sampling

__all__ = ["ensemble_scores", "scores"]


def scores(logits: NDArray[np.float32], sampling: Sampling) -> NDArray[np.float64]:
    """Probabilities ``[classes]`` of one video from the logits ``[views, classes]`` of its views.

    The publishers differ: TSM's code averages logits, mmaction2 probabilities.
    """
    if sampling.average == "logits":
        logits = logits.mean(axis=0, keepdims=True)
    averaged: NDArray[np.float64] = _softmax(logits).mean(axis=0)
    return averaged


def ensemble_scores(
    logits: Sequence[NDArray[np.float32]], samplings: Sequence[Sampling], weights: Sequence[float]
) -> NDArray[np.float64]:
    """Probabilities ``[classes]`` of one video from the logits ``[views, classes]`` of several networks.

    Logits are averaged where every network averages those of its views, as TSM's test code does over
    networks too; otherwise probabilities, since the logits need not have one scale.

    Args:
        logits: of each network, of as many views as it has.
        samplings: of each.
        weights: of each, above 0; only their ratios count.
    """
    shares = np.asarray(weights, np.float64) / np.sum(weights)
    if all(sampling.average == "logits" for sampling in samplings):
        means = np.stack([each.mean(axis=0).astype(np.float64) for each in logits])
        together: NDArray[np.float64] = _softmax((shares @ means)[None])[0]
        return together
    each_of = np.stack([scores(each, how) for each, how in zip(logits, samplings, strict=True)])
    weighted: NDArray[np.float64] = shares @ each_of
    return weighted


def _softmax(logits: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each row."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    rows: NDArray[np.float64] = shifted / shifted.sum(axis=1, keepdims=True)
    return rows
