"""From videos to ranked classes: the next ones are decoded while the network looks at one."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgevid.contract import RunSettings, Sampling
from edgevid.errors import VideoError
from edgevid.graph.verify import run_all
from edgevid.recognition.outcomes import Answer, Failure, Recognition
from edgevid.video.prefetch import PATIENCE_SECONDS, read_ahead

if TYPE_CHECKING:
    from edgevid.bundle import Bundle
    from edgevid.video.datasets import Item

__all__ = ["recognize", "scores"]


def recognize(
    bundle: Bundle,
    items: Iterable[Item],
    *,
    labels: Sequence[str] | None = None,
    top: int = 5,
    sampling: Sampling | None = None,
    settings: RunSettings | None = None,
    workers: int | None = None,
    patience: float = PATIENCE_SECONDS,
) -> Generator[Recognition | Failure, None, None]:
    """Run every item, in order; one that cannot be read gives a `Failure` and the others go on.

    Args:
        bundle: opened.
        items: from `find_items`.
        labels: names instead of the bundle's.
        top: how many answers a video.
        sampling: instead of the bundle's.
        settings: threads, streams and hint instead of the bundle's.
        workers: threads that decode ahead, by default one for two processors.
        patience: seconds of decoding after which a video is given up.

    Raises:
        ConfigError: settings that fit no video; see `read_ahead`.
        BundleError, TargetError: the bundle cannot be opened or run.
    """
    how = sampling or bundle.manifest.sampling
    views = how.clips * how.crops
    names = labels or bundle.manifest.labels
    batch = max((size for size in bundle.batches if size <= views), default=bundle.batches[0])
    with (
        bundle.session(batch, settings) as session,
        closing(read_ahead(items, how, workers=workers, patience=patience)) as reading,
    ):
        for read in reading:
            item, clips = read.item, read.outcome
            if isinstance(clips, VideoError):
                yield Failure(item, clips, read.seconds)
                continue
            start = perf_counter()
            probabilities = scores(run_all(session, clips.pixels), how)
            seconds = perf_counter() - start
            order = np.argsort(-probabilities, kind="stable")
            places = np.flatnonzero(order == item.label)
            yield Recognition(
                path=item.path,
                top=tuple(
                    Answer(int(i), names[i] if names else f"class {i}", float(probabilities[i]))
                    for i in order[:top]
                ),
                label=item.label,
                rank=int(places[0]) + 1 if places.size else None,
                frames=clips.frames,
                views=len(clips.pixels),
                seconds=(read.seconds, seconds),
                warnings=clips.warnings,
            )


def scores(logits: NDArray[np.float32], sampling: Sampling) -> NDArray[np.float64]:
    """Probabilities ``[classes]`` of one video from the logits ``[views, classes]`` of its views.

    The publishers differ: TSM's code averages logits, mmaction2 probabilities.
    """
    if sampling.average == "logits":
        logits = logits.mean(axis=0, keepdims=True)
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = (shifted / shifted.sum(axis=1, keepdims=True)).mean(axis=0)
    return probabilities
