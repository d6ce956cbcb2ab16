"""What is measured of bundles beside their latencies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from edgevid.bench.bundles import factory_of, names_of
from edgevid.bench.factory import Factory
from edgevid.bench.layer_profile import layer_times
from edgevid.bench.load import LoadMeter
from edgevid.bench.memory import peak_memory
from edgevid.bench.opening import Opening
from edgevid.bench.protocol import Progress, ProgressEvent
from edgevid.bench.results import INVALID, Result
from edgevid.bench.settings import Settings
from edgevid.bench.stages import time_stages
from edgevid.bench.sustained import sustain
from edgevid.bench.validity import LOAD_LIMIT
from edgevid.contract import LayerTime
from edgevid.errors import ConfigError, EdgevidError

__all__ = ["Extras", "check_extras", "with_extras"]

_S = TypeVar("_S")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Extras:
    """What is measured beside latencies, each in fresh processes of its own.

    Attributes:
        memory: the peak of each bundle alone.
        layers: what each operation takes.
        video: a file to time the stages on.
        sustained_seconds: how long the bundle is run without a pause.
    """

    memory: bool = True
    layers: bool = False
    video: Path | None = None
    sustained_seconds: float | None = None


def check_extras(bundles: Sequence[Path], how: Opening, extras: Extras, *, of_ensemble: bool = False) -> None:
    """See what would fail after hours of other measurements.

    Args:
        bundles: that are measured.
        how: they are opened.
        extras: what is asked for.
        of_ensemble: they are the networks of one, of which a sustained run runs all.

    Raises:
        ConfigError: a sustained run of several bundles.
        BundleError: a bundle that cannot be opened.
        VideoError: the video cannot be read.
    """
    if extras.sustained_seconds is not None and len(bundles) != 1 and not of_ensemble:
        raise ConfigError(
            f"a sustained run of {len(bundles)} bundles", where="--sustained", fix="give one bundle"
        )
    if extras.video is not None:
        _check_video(extras.video, how.bundle(bundles[0]).manifest.sampling)


def with_extras(
    result: Result,
    bundles: Sequence[Path],
    how: Opening,
    extras: Extras,
    *,
    progress: Progress | None = None,
    keep: Callable[[Result], None] | None = None,
    alone: Mapping[str, Factory] | None = None,
) -> tuple[Result, bool]:
    """The result with what else was asked for, and whether Ctrl-C ended it with what was finished.

    What fails becomes a note, so that nothing that was measured is lost.

    Args:
        result: the latencies.
        bundles: that they are of; of an ensemble its networks.
        how: the bundles are opened.
        extras: what else is asked for.
        progress: called for each step.
        keep: is given, before each part, what is there by then, which says what it lacks.
        alone: of an ensemble: opens each variant by itself, by its name, the n-th of which runs the first n
            networks. Each bundle is a variant if None.
    """
    work = _Work(bundles, how, progress or _silent, alone)
    steps: dict[str, Callable[[], None]] = {}
    if extras.memory:
        steps["peak memory"] = work.memory
    if extras.layers:
        steps["layer times"] = work.layers
    if extras.video is not None:
        steps["stages"] = partial(work.stages, extras.video, result.settings)
    if extras.sustained_seconds is not None:
        steps["sustained run"] = partial(work.sustained, extras.sustained_seconds)
    left = list(steps)
    try:
        while left:
            if keep is not None:
                keep(work.beside(result, f"still to come, or it never came: {', '.join(left)}"))
            steps[left[0]]()
            del left[0]
    except KeyboardInterrupt:
        return work.beside(result, f"interrupted: not measured, or not to its end: {', '.join(left)}"), True
    return work.beside(result), False


class _Work:
    """What was found so far, by the fields of `Result`, and what is to be noted."""

    def __init__(
        self,
        bundles: Sequence[Path],
        how: Opening,
        progress: Progress,
        alone: Mapping[str, Factory] | None,
    ) -> None:
        self.bundles, self.how, self.progress = bundles, how, progress
        self.names = names_of(bundles)
        self.folders = dict(zip(self.names, bundles, strict=True))
        self.alone = alone or {
            name: factory_of([folder], how, twin=False) for name, folder in self.folders.items()
        }
        self.together = {name: count for count, name in enumerate(alone, start=1)} if alone else None
        self.found: dict[str, Any] = {}
        self.notes: list[str] = []

    def beside(self, result: Result, *notes: str) -> Result:
        """The result with what was found so far."""
        notes = (*result.notes, *self.notes, *notes)
        return result.model_copy(update={**self.found, "notes": notes})

    def memory(self) -> None:
        if self.how.on:
            self.notes.append("peak memory: not of a board")
            return

        self._each("peak memory", "peak_memory", self.alone, peak_memory)

    def layers(self) -> None:
        def measured(folder: Path, name: str) -> tuple[LayerTime, ...] | None:
            times = layer_times(folder, self.how, name)
            if times is None:
                self.notes.append(f"layer times of {name}: its runtime does not tell them")
            return times

        with self._quiet("layer times"):
            self._each("layer times", "layer_times", self.folders, measured)

    def stages(self, video: Path, settings: Settings) -> None:
        interrupted = False
        with self._noting("stages"), self._quiet("stages"):
            self.found["stages"], interrupted = time_stages(
                self.bundles, self.how, video, settings, together=self.together, progress=self.progress
            )
        if interrupted:
            raise KeyboardInterrupt

    def sustained(self, seconds: float) -> None:
        interrupted = False
        with self._noting("sustained run"), self._quiet("sustained run"):
            name, variant = list(self.alone.items())[-1]
            self.found["sustained"], interrupted = sustain(
                variant, name, seconds, on_board=bool(self.how.on), progress=self.progress
            )
        if interrupted:
            raise KeyboardInterrupt

    def _each(
        self, what: str, field: str, subjects: Mapping[str, _S], measure: Callable[[_S, str], _T | None]
    ) -> None:
        """Of each variant in turn, so that Ctrl-C keeps the finished ones."""
        values = self.found[field] = dict[str, _T]()
        for index, (name, subject) in enumerate(subjects.items()):
            self.progress(ProgressEvent(what, index, len(subjects)))
            with self._noting(f"{what} of {name}"):
                value = measure(subject, name)
                if value is not None:
                    values[name] = value

    @contextmanager
    def _noting(self, what: str) -> Iterator[None]:
        """An error becomes a note."""
        try:
            yield
        except EdgevidError as error:
            self.notes.append(f"{what}: not measured: {error.what}")

    @contextmanager
    def _quiet(self, what: str) -> Iterator[None]:
        """A machine that others use meanwhile becomes a note."""
        meter = LoadMeter()
        meter.start()
        yield
        load = meter.stop()
        if load is not None and load.share > LOAD_LIMIT:
            self.notes.append(
                f"{what}: {INVALID}the machine was under load: others used {load.share:.0%} of its "
                f"{load.cpus} CPUs (limit {LOAD_LIMIT:.0%})"
            )


def _silent(_: ProgressEvent) -> None:
    """Without a listener nobody is told."""


def _check_video(video: Path, sampling: Any) -> None:
    from edgevid.video.read import read_clips

    read_clips(video, sampling)
