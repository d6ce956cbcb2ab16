"""From videos to ranked classes: the next ones are decoded while the network looks at one."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from edgevid.contract import RunSettings, Sampling
from edgevid.ensemble import Ensemble
from edgevid.errors import ConfigError, VideoError
from edgevid.recognition.outcomes import Answer, Failure, Recognition
from edgevid.video.prefetch import PATIENCE_SECONDS, read_ahead

if TYPE_CHECKING:
    from edgevid.bundle import Bundle
    from edgevid.video.datasets import Item

__all__ = ["recognize"]


def recognize(
    bundle: Bundle | Ensemble,
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
        bundle: opened; or several networks, which look at each video one after the other.
        items: from `find_items`.
        labels: names instead of the bundle's.
        top: how many answers a video.
        sampling: instead of the bundle's; members of an ensemble have their own.
        settings: threads, streams and hint, likewise.
        workers: threads that decode ahead, by default one for two processors.
        patience: seconds of decoding after which a video is given up.

    Raises:
        ConfigError: settings that fit no video, see `read_ahead`; or one sampling for several networks.
        BundleError, TargetError: the bundle cannot be opened or run.
    """
    ensemble = _as_ensemble(bundle, sampling, settings)
    names = labels or ensemble.labels
    titles = [member.title for member in ensemble.members]
    first, *others = [member.sampling for member in ensemble.members]
    with (
        ensemble.session() as session,
        closing(read_ahead(items, first, also=others, workers=workers, patience=patience)) as reading,
    ):
        for read in reading:
            item, clips = read.item, read.outcome
            if isinstance(clips, VideoError):
                yield Failure(item, clips, read.seconds)
                continue
            looks = (clips, *clips.also)
            start = perf_counter()
            probabilities = session.run([look.pixels for look in looks])
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
                views=sum(len(look.pixels) for look in looks),
                seconds=(read.seconds, seconds),
                warnings=tuple(dict.fromkeys(warning for look in looks for warning in look.warnings)),
                members=dict(zip(titles, session.seconds, strict=True)) if others else {},
                flow=clips.flow_ns[0] / 1e9 if clips.flow_ns[0] else None,
            )


def _as_ensemble(
    bundle: Bundle | Ensemble, sampling: Sampling | None, settings: RunSettings | None
) -> Ensemble:
    if not isinstance(bundle, Ensemble):
        return Ensemble.of(bundle).with_members(
            lambda member: replace(
                member, sampling=sampling or member.sampling, settings=settings or member.settings
            )
        )
    if sampling is not None or settings is not None:
        raise ConfigError(
            "one sampling, or one way to use the device, for several networks",
            where=bundle.path,
            fix="give each its own: ensemble.with_members(lambda member: replace(member, ...))",
        )
    return bundle
