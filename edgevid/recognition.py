"""Recognize videos with a bundle: sample, run, average, rank."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgevid.contract import RunSettings, Sampling
from edgevid.errors import VideoError
from edgevid.graph.verify import run_all

if TYPE_CHECKING:
    from edgevid.bundle import Bundle
    from edgevid.video.datasets import Item

__all__ = ["Answer", "Failure", "Recognition", "find_items", "recognize", "scores"]

_LISTS = {".txt", ".list"}


@dataclass(frozen=True)
class Answer:
    """One class and its probability."""

    index: int
    name: str
    probability: float


@dataclass(frozen=True)
class Recognition:
    """What a network sees in one video.

    Attributes:
        path: of the video.
        top: answers, the most probable first.
        label: the class that the list or folder says, if any.
        frames: of the video.
        views: clips times crops that were averaged.
        seconds: spent on decoding and resizing, and on the network.
        warnings: about the video, in words.
    """

    path: Path
    top: tuple[Answer, ...]
    label: int | None
    frames: int
    views: int
    seconds: tuple[float, float]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Failure:
    """A video that could not be read, and why."""

    path: Path
    error: VideoError


def find_items(
    places: Sequence[str | Path],
    *,
    frame_template: str | None = None,
    labels: Sequence[str] | None = None,
    classes: int | None = None,
) -> list[Item]:
    """Videos, annotation lists (``.txt``, ``.list``), folders of classes, of videos or of frames.

    A place that does not exist is kept as an item: reading it gives the error, and the others
    are not lost. Hidden files and folders are passed over.

    Args:
        places: on disk.
        frame_template: names of the frames, where videos are folders of frames.
        labels: the network's class names; folders of classes must then be named after them,
            and are numbered by the alphabet otherwise.
        classes: how many the network has; a larger label in a list is refused.

    Raises:
        VideoError: a list or a folder that cannot be understood.
    """
    from edgevid.video.datasets import VIDEO_SUFFIXES, Item, read_class_folders, read_list

    items: list[Item] = []
    for place in map(Path, places):
        entries = sorted(place.iterdir()) if place.is_dir() else []
        entries = [entry for entry in entries if not entry.name.startswith(".")]
        videos = [entry for entry in entries if entry.suffix.lower() in VIDEO_SUFFIXES]
        if any(entry.is_dir() for entry in entries):
            items += read_class_folders(place, classes=labels, frame_template=frame_template)[0]
        elif videos and frame_template is None:
            items += [Item(video, None) for video in videos]
        elif place.is_file() and place.suffix.lower() in _LISTS:
            items += read_list(place, frame_template=frame_template, classes=classes, labels_required=False)
        else:
            items.append(Item(place, None, frame_template=frame_template))
    return items


def recognize(
    bundle: Bundle,
    items: Iterable[Item],
    *,
    labels: Sequence[str] | None = None,
    top: int = 5,
    sampling: Sampling | None = None,
    settings: RunSettings | None = None,
) -> Iterator[Recognition | Failure]:
    """Run every item; one that cannot be read gives a `Failure` and the others go on.

    Args:
        bundle: opened.
        items: from `find_items`.
        labels: names instead of the bundle's.
        top: how many answers a video.
        sampling: instead of the bundle's.
        settings: threads, streams and hint instead of the bundle's.
    """
    from edgevid.video.read import read_clips

    how = sampling or bundle.manifest.sampling
    views = how.clips * how.crops
    names = labels or bundle.manifest.labels
    with ExitStack() as stack:
        batch = max((size for size in bundle.batches if size <= views), default=bundle.batches[0])
        session = stack.enter_context(bundle.session(batch, settings))
        for item in items:
            start = perf_counter()
            try:
                clips = read_clips(item.path, how, frame_template=item.frame_template, frames=item.frames)
            except VideoError as error:
                yield Failure(item.path, error)
                continue
            read = perf_counter()
            probabilities = scores(run_all(session, clips.pixels), how)
            done = perf_counter()
            best = np.argsort(-probabilities, kind="stable")[:top]
            yield Recognition(
                path=item.path,
                top=tuple(
                    Answer(int(i), names[i] if names else f"class {i}", float(probabilities[i])) for i in best
                ),
                label=item.label,
                frames=clips.frames,
                views=len(clips.pixels),
                seconds=(read - start, done - read),
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
