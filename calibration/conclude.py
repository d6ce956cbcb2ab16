"""From what the networks said to a `Comparison`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone

import numpy as np
from numpy.typing import NDArray

from edgevid import __version__
from edgevid.bench.own_command import own_command
from edgevid.bench.statistics import median, median_interval
from edgevid.bench.summary import Estimate as Timing
from edgevid.calibration.comparison import Comparison, DataRecord, SkippedVideo, Variant, VideoRecord
from edgevid.calibration.contestants import Contestant
from edgevid.calibration.data import Data, shares_of
from edgevid.calibration.early import by_share, early_recognition
from edgevid.calibration.journal import Answered, Journal, Skipped
from edgevid.calibration.latency import Latency
from edgevid.calibration.logits import MeasuredLogits
from edgevid.calibration.pairs import Answers, accuracy, compare_pair
from edgevid.calibration.shards import Pack

__all__ = ["conclude"]


def conclude(
    contestants: Sequence[Contestant],
    measured: Mapping[str, MeasuredLogits],
    journal: Journal,
    data: Data,
    latency: Latency,
    max_drop: float | None,
    labels: Sequence[str],
) -> Comparison:
    """All figures from what the networks said, the reference first, then bundles, then logits of others.

    Args:
        contestants: bundles; their sessions may be closed.
        measured: logits of other devices, by name.
        journal: what the bundles said.
        data: the videos.
        latency: of the bundles.
        max_drop: allowed drop of top-1, from 0 to 1.
        labels: names of the classes instead of the reference's.
    """
    shares = shares_of(data)
    parts = by_share([entry for entry in journal.entries if isinstance(entry, Answered)], shares)
    answered = parts[-1]
    skipped = [entry for entry in journal.entries if isinstance(entry, Skipped)]
    reference = contestants[0]
    names = tuple(labels or reference.bundle.manifest.labels or ())
    answers = _answers(contestants, measured, answered, data)
    truth = np.array([-1 if entry.label is None else entry.label for entry in answered], np.int64)
    return Comparison(
        edgevid=__version__,
        created=datetime.now(timezone.utc),
        command=own_command(),
        data=DataRecord(
            source=data.source,
            sha256=data.sha256,
            packed=isinstance(data, Pack),
            sampling=data.sampling,
            videos=len(answered),
            labelled=int((truth >= 0).sum()),
            views=sum(entry.logits.shape[1] for entry in answered),
        ),
        max_drop=max_drop,
        labels=names,
        variants=_variants(contestants, measured, answers, truth, latency),
        pairs=tuple(
            compare_pair(
                name,
                answers[reference.name],
                given,
                videos=[entry.name for entry in answered],
                labels=truth,
                class_names=names,
                max_drop=max_drop,
            )
            for name, given in list(answers.items())[1:]
        ),
        videos=tuple(
            VideoRecord(
                name=entry.name,
                label=entry.label,
                views=entry.logits.shape[1],
                answers=tuple(tuple(given.ranked[index].tolist()) for given in answers.values()),
            )
            for index, entry in enumerate(answered)
        ),
        skipped=tuple(
            SkippedVideo(name=entry.name, reason=entry.reason, error=entry.error) for entry in skipped
        ),
        early=early_recognition(contestants, parts, shares, data.sampling) if shares else (),
        latency=latency.result,
    )


def _answers(
    contestants: Sequence[Contestant],
    measured: Mapping[str, MeasuredLogits],
    answered: Sequence[Answered],
    data: Data,
) -> dict[str, Answers]:
    """What each network says, by name, the reference first."""
    found = {
        contestant.name: Answers(
            [entry.logits[index] for entry in answered], contestant.bundle.manifest.sampling
        )
        for index, contestant in enumerate(contestants)
    }
    if isinstance(data, Pack):
        average = contestants[0].bundle.manifest.sampling
        for name, file in measured.items():
            rows = [file.logits[video.first :][: video.views] for video in data.index.videos]
            found[name] = Answers(rows, average)
    return found


def _variants(
    contestants: Sequence[Contestant],
    measured: Mapping[str, MeasuredLogits],
    answers: Mapping[str, Answers],
    truth: NDArray[np.int64],
    latency: Latency,
) -> tuple[Variant, ...]:
    variants = [
        Variant(
            name=one.name,
            label=one.label,
            note=one.note,
            source=str(one.bundle.path),
            sha256=one.sha256,
            device=one.bundle.manifest.device_title,
            precision=one.bundle.manifest.precision,
            bytes=one.bytes,
            latency_ms=latency.wall_ms.get(one.name),
            ratio=latency.ratio.get(one.name),
            frame_ms=_of_a_frame(latency.wall_ms.get(one.name), one.steps),
        )
        for one in contestants
    ]
    for name, file in measured.items():
        samples = file.latency_ms
        timed = Timing(median=median(samples), interval=median_interval(samples)) if samples else None
        where = file.device or "another device"
        variants.append(
            Variant(
                name=name,
                label="measured",
                note=f"measured on {where}, of which the file {file.path} tells",
                source=str(file.path),
                sha256=file.sha256,
                device=file.device,
                latency_ms=timed,
            )
        )
    return tuple(
        variant.model_copy(
            update={f"top{top}": accuracy(answers[variant.name], truth, top) for top in (1, 5)}
        )
        for variant in variants
    )


def _of_a_frame(run: Timing | None, steps: int | None) -> Timing | None:
    """A run's time over the frames that it computes in turn."""
    if run is None or steps is None:
        return None
    interval = run.interval
    if interval is not None:
        interval = replace(interval, low=interval.low / steps, high=interval.high / steps)
    return Timing(median=run.median / steps, interval=interval)
