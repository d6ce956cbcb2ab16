"""Videos decoded in threads of their own, a few ahead of whoever consumes them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Event
from time import perf_counter
from typing import Any

from edgevid.contract import Sampling
from edgevid.errors import ConfigError, VideoError
from edgevid.video.datasets import Item
from edgevid.video.deadline import Deadline
from edgevid.video.entries import leads_nowhere
from edgevid.video.read import Clips, read_clips
from edgevid.video.sample import check_sampling
from edgevid.video.skipped import SkippedVideoError

__all__ = ["PATIENCE_SECONDS", "ReadVideo", "default_workers", "read_ahead"]

PATIENCE_SECONDS = 60.0

_THREAD_NAME = "edgevid-decode"
_MOST_DEFAULT_WORKERS = 8


@dataclass(frozen=True)
class ReadVideo:
    """One video of a list, read or not.

    Attributes:
        item: the video.
        outcome: its clips, or why there are none.
        seconds: spent on decoding and resizing.
    """

    item: Item
    outcome: Clips | VideoError
    seconds: float


def default_workers() -> int:
    """Half of the processors that this process may use: the network and FFmpeg have threads too."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(max(cores // 2, 1), _MOST_DEFAULT_WORKERS)


def read_ahead(
    items: Iterable[Item],
    sampling: Sampling,
    *,
    workers: int | None = None,
    patience: float = PATIENCE_SECONDS,
    shares: Sequence[float] = (1.0,),
    also: Sequence[Sampling] = (),
) -> Generator[ReadVideo, None, None]:
    """Every item with its clips or its error, in order; a broken video never stops the rest.

    While one is consumed the next ``workers`` ones are read, and no more, so that memory holds the
    clips of at most ``workers + 1`` videos. Closing the iterator stops the threads at their next packet.

    Args:
        items: taken one by one, as far ahead as is read.
        sampling: which frames, and which part of them.
        workers: threads; `default_workers` if not given.
        patience: seconds after which a video is given up.
        shares, also: of `read_clips`.

    Raises:
        ConfigError: the sampling or a frame template contradicts itself, or a number is not positive.
    """
    for each in (sampling, *also):
        check_sampling(each)
    threads = default_workers() if workers is None else workers
    if threads < 1 or not patience > 0:
        raise ConfigError(
            f"{threads} workers and {patience:g} seconds a video",
            where="workers, timeout",
            fix="take at least 1",
        )
    cancelled = Event()
    pool = ThreadPoolExecutor(threads, thread_name_prefix=_THREAD_NAME)
    pending: deque[Callable[[], ReadVideo]] = deque()
    read = partial(_read, sampling, patience, cancelled, shares=shares, also=also)
    try:
        for item in items:
            if item.error is not None or leads_nowhere(item.path):  # what needs no thread is faster without
                pending.append(partial(read, item))
            else:
                pending.append(pool.submit(read, item).result)
            if len(pending) > threads:
                yield pending.popleft()()
        while pending:
            yield pending.popleft()()
    finally:
        cancelled.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _read(sampling: Sampling, patience: float, cancelled: Event, item: Item, **options: Any) -> ReadVideo:
    start = perf_counter()
    outcome: Clips | VideoError
    try:
        if item.error is not None:
            raise item.error
        outcome = read_clips(
            item.path,
            sampling,
            frame_template=item.frame_template,
            frames=item.frames,
            deadline=Deadline(item.path, patience, cancelled),
            **options,
        )
    except VideoError as error:
        if error is not item.error:
            error.where = f"{error.where or item.path}{_listed(item)}"
        outcome = error
    except MemoryError:
        outcome = SkippedVideoError(
            "the video does not fit into the memory",
            reason="too large",
            where=f"{item.path}{_listed(item)}",
            fix="scale it down",
        )
    return ReadVideo(item, outcome, perf_counter() - start)


def _listed(item: Item) -> str:
    return "" if item.source is None else f" ({item.source}, line {item.source_line})"
