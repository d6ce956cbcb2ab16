"""From a video's file to its logits, each stage apart and the whole by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from edgevid.bench.bundles import names_of
from edgevid.bench.fresh_process import Keep, Told, call_apart
from edgevid.bench.opening import OpenBundle, Opening
from edgevid.bench.protocol import Progress, ProgressEvent, order_of_round
from edgevid.bench.results import STAGES, Samples, Stage
from edgevid.bench.settings import Settings
from edgevid.bench.timing import no_garbage_collection, timed
from edgevid.contract import Sampling
from edgevid.graph.verify import run_all
from edgevid.video.read import Clips, open_source, read_clips, wanted_frames

__all__ = ["StageSamples", "measure_stages", "time_stages"]

StageSamples = dict[str, dict[Stage, Samples]]
"""By the name of the variant."""

_T = TypeVar("_T")

STAGE = "stages"
WARM_UP = 1
_SAMPLES: TypeAdapter[StageSamples] = TypeAdapter(StageSamples)


def time_stages(
    bundles: Sequence[Path],
    how: Opening,
    video: Path,
    settings: Settings,
    *,
    together: Mapping[str, int] | None = None,
    progress: Progress | None = None,
) -> tuple[StageSamples, bool]:
    """Measure in a fresh process, the variants in turn; ``settings.rounds`` and the budget are looked at.

    ``decode`` reads the file and the frames that the variant looks at, ``preprocess`` resizes and crops them,
    ``flow`` computes the optical flow between them, if a network looks at that, ``inference`` runs all
    clips of the video, and ``whole`` does all of that once more in one go.

    Args:
        bundles: their folders.
        how: they are opened.
        video: a file that each can read.
        settings: of the protocol.
        together: variants that run several bundles, which share what is decoded: by its name, how many from
            the first. Each bundle is a variant if None.
        progress: called for each step.

    Returns:
        The samples, and whether Ctrl-C ended it with what was finished.

    Raises:
        EdgevidError: a bundle cannot be opened, or the video cannot be read.
        KeyboardInterrupt: Ctrl-C before the first round was finished.
    """

    def told(step: dict[str, Any]) -> None:
        if progress is not None:
            progress(ProgressEvent(**step))

    answer = call_apart(
        f"{__name__}:measure_stages",
        {
            "paths": [str(path.absolute()) for path in bundles],
            "together": together,
            "opening": how.model_dump(),
            "video": str(video.absolute()),
            "rounds": settings.rounds,
            "seconds": settings.budget_seconds,
        },
        label=f"stages of {video}",
        told=told,
    )
    return _SAMPLES.validate_json(answer.text), answer.interrupted


def measure_stages(
    paths: Sequence[str],
    opening: dict[str, Any],
    video: str,
    rounds: int,
    seconds: float | None,
    together: Mapping[str, int] | None = None,
    *,
    keep: Keep,
    tell: Told,
) -> None:
    """What the fresh process calls."""
    how = Opening.model_validate(opening)
    folders = [Path(path) for path in paths]
    names = list(together or names_of(folders))
    found: dict[str, list[dict[Stage, tuple[int, int]]]] = {name: [] for name in names}
    with ExitStack() as stack:
        opened = [stack.enter_context(how.open(folder)) for folder in folders]
        groups = [opened[:count] for count in together.values()] if together else [[one] for one in opened]
        calls = [_Stages(group, Path(video)) for group in groups]
        stack.enter_context(no_garbage_collection())
        began = time.perf_counter()
        try:
            for index in range(-WARM_UP, rounds):
                if index > 0 and seconds is not None and time.perf_counter() - began >= seconds:
                    break
                tell({"stage": STAGE, "done": max(index, 0), "total": rounds})
                row = {place: calls[place].measure() for place in order_of_round(abs(index), len(calls))}
                if index >= 0:
                    for place, name in enumerate(names):
                        found[name].append(row[place])
        except KeyboardInterrupt:
            if not found[names[-1]]:
                raise
        # Ctrl-C may fall between two variants of one round.
        whole = min(map(len, found.values()))
        keep(_SAMPLES.dump_json({name: _samples(rows[:whole]) for name, rows in found.items()}).decode())


def _samples(rows: Sequence[dict[Stage, tuple[int, int]]]) -> dict[Stage, Samples]:
    return {
        stage: Samples(
            wall_ns=tuple(row[stage][0] for row in rows), cpu_ns=tuple(row[stage][1] for row in rows)
        )
        for stage in STAGES
        if all(stage in row for row in rows)
    }


@dataclass(frozen=True)
class _Decoded:
    """The frames of a video that were wanted, as a source of frames."""

    count: int
    frames: Mapping[int, NDArray[np.uint8]]
    warnings: tuple[str, ...] = ()

    def select(
        self, choose: Callable[[int], Iterable[int]], convert: Callable[[NDArray[np.uint8]], _T]
    ) -> tuple[int, dict[int, _T]]:
        return self.count, {index: convert(self.frames[index]) for index in set(choose(self.count))}


class _Stages:
    """What `edgevid run` does with one video, in pieces."""

    def __init__(self, opened: Sequence[OpenBundle], video: Path) -> None:
        self.samplings: list[Sampling] = [each.bundle.manifest.sampling for each in opened]
        self.sessions = [each.session for each in opened]
        self.video = video

    def measure(self) -> dict[Stage, tuple[int, int]]:
        """Nanoseconds of wall and CPU time of each stage."""
        decoded, decode = _with_result(self._decode)
        clips, prepared = _with_result(lambda: self._clips(decoded))
        flow: dict[Stage, tuple[int, int]] = {}
        if any(how.flow is not None for how in self.samplings):
            flow["flow"] = clips.flow_ns
        return {
            "decode": decode,
            "preprocess": (prepared[0] - clips.flow_ns[0], prepared[1] - clips.flow_ns[1]),
            **flow,
            "inference": timed(lambda: self._run(clips)),
            "whole": timed(self._whole),
        }

    def _decode(self) -> _Decoded:
        def wanted(count: int) -> list[int]:
            return [index for how in self.samplings for index in wanted_frames(count, how)]

        return _Decoded(*open_source(self.video).select(wanted, lambda frame: frame))

    def _clips(self, source: _Decoded | Path) -> Clips:
        first, *others = self.samplings
        return read_clips(source, first, also=others)

    def _run(self, clips: Clips) -> None:
        for session, look in zip(self.sessions, (clips, *clips.also), strict=True):
            run_all(session, look.pixels)

    def _whole(self) -> None:
        self._run(self._clips(self.video))


def _with_result(call: Callable[[], _T]) -> tuple[_T, tuple[int, int]]:
    results: list[_T] = []
    times = timed(lambda: results.append(call()))
    return results[0], times
