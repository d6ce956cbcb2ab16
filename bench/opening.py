"""Bundles opened for measuring, each through its own session."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial, reduce
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, runtime_checkable

from pydantic import BaseModel, ConfigDict

from edgevid.bench.in_flight import BURST, in_flight
from edgevid.bench.timing import Elapsed
from edgevid.contract import RunSettings, Session
from edgevid.errors import BenchmarkError, ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BUNDLE_OPENER", "ClockedSession", "MeasurableBundle", "OpenBundle", "Opening"]

BUNDLE_OPENER = "edgevid.bundle:Bundle.open"


class MeasurableBundle(Protocol):
    """What is needed of a bundle to measure it: `edgevid.bundle.Bundle` has it."""

    @property
    def manifest(self) -> Any:
        """Has ``device``, ``device_title``, ``precision``, ``simulates``, ``settings``, ``sampling``."""

    @property
    def golden_clip(self) -> NDArray[Any]:
        """Frames ``[clips, T, H, W, 3]`` that the bundle was verified with."""

    def session(self, batch: int | None = None, settings: RunSettings | None = None) -> Session:
        """The bundle's network, open."""


@runtime_checkable
class ClockedSession(Protocol):
    """A session whose device times its runs itself."""

    @property
    def clock(self) -> str:
        """What it measures with, in words."""

    def latencies_ms(self, clip: NDArray[Any], number: int) -> list[float]:
        """Milliseconds of each of ``number`` runs."""


@runtime_checkable
class SharedSession(Protocol):
    """A session that several threads may run at once, as many as it was opened with streams."""

    shares_streams: bool


@dataclass(frozen=True)
class OpenBundle:
    """A bundle with its sessions, as long as they are open.

    Attributes:
        bundle: what was opened.
        session: the first of its sessions.
        clip: the golden clip, repeated to the batch.
        run: one sample.
        clips: that one sample computes.
        clock: what the sample is timed with, in words, if by the device's own clock.
    """

    bundle: MeasurableBundle
    session: Session
    clip: NDArray[Any]
    run: Callable[[], object]
    clips: int
    clock: str


class Opening(BaseModel):
    """How bundles are opened: the same for all that are compared.

    Attributes:
        batch: clips a call; ``None`` for each bundle's own.
        threads: of all streams together; ``None`` leaves it to what was compiled in.
        streams: requests in flight, each from a thread of its own: in one session where that has streams,
            else in so many sessions, each with its part of ``threads``.
        hint: what the runtime optimizes for; ``None`` leaves it to what was compiled in, or to
            ``latency`` where threads or streams are given.
        on: address of a board behind a network; its own clock counts.
        opener: ``module:callable`` that opens a folder.

    Raises:
        ConfigError: several requests in flight on a board.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: int | None = None
    threads: int | None = None
    streams: int | None = None
    hint: Literal["latency", "throughput"] | None = None
    on: str = ""
    opener: str = BUNDLE_OPENER

    def run_settings(self, compiled: RunSettings) -> RunSettings:
        """Of each session of a bundle that was compiled with the given ones."""
        hint = self.hint or "latency"
        if self.threads is None and self.streams is None and not self.on:
            return replace(compiled, hint=self.hint or compiled.hint)
        if self.streams is None or self.streams == 1:
            return RunSettings(threads=self.threads, streams=self.streams, hint=hint, on=self.on)
        if self.on:
            raise ConfigError(
                f"{self.streams} requests in flight on a board",
                where="--streams",
                fix="leave --streams out: a board runs one at a time",
            )
        threads = self.threads or len(os.sched_getaffinity(0))
        return RunSettings(threads=max(threads, self.streams), streams=self.streams, hint=hint)

    def _sessions(self, bundle: MeasurableBundle, stack: ExitStack) -> list[Session]:
        """One for each request in flight; it may be the same."""
        settings, count = self.run_settings(bundle.manifest.settings), self.streams or 1
        with ExitStack() as undecided:
            first = undecided.enter_context(bundle.session(batch=self.batch, settings=settings))
            if count == 1 or (isinstance(first, SharedSession) and first.shares_streams):
                stack.push(undecided.pop_all())
                return [first] * count
        alone = replace(settings, threads=(settings.threads or count) // count, streams=1)
        return [stack.enter_context(bundle.session(batch=self.batch, settings=alone)) for _ in range(count)]

    @contextmanager
    def open(self, folder: Path) -> Iterator[OpenBundle]:
        """Open a bundle; its sessions are closed on leaving.

        Raises:
            BenchmarkError: its golden clip does not fit its network.
            EdgevidError: it cannot be opened or run so.
        """
        with ExitStack() as stack:
            bundle = self.bundle(folder)
            sessions = self._sessions(bundle, stack)
            first = sessions[0]
            clip = _clip_for(first, bundle, folder)
            if len(sessions) > 1:
                run = stack.enter_context(in_flight([partial(session.run, clip) for session in sessions]))
                yield OpenBundle(bundle, first, clip, run, len(sessions) * BURST * len(clip), "")
                return
            clock = f"on {self.on}, by its own clock" if self.on else _clock_of(first)
            once = partial(_by_its_clock, first, clip) if clock else partial(first.run, clip)
            yield OpenBundle(bundle, first, clip, once, len(clip), clock)

    def bundle(self, folder: Path) -> MeasurableBundle:
        """Read and checked, without a session."""
        # A name, not a callable: it has to reach another process. Only tests give another one.
        module, _, attributes = self.opener.partition(":")
        found: object = reduce(getattr, attributes.split("."), import_module(module))
        return cast("Callable[[Path], MeasurableBundle]", found)(folder)


def _clock_of(session: object) -> str:
    return session.clock if isinstance(session, ClockedSession) else ""


def _by_its_clock(session: Any, clip: NDArray[Any]) -> Elapsed:
    (latency,) = session.latencies_ms(clip, 1)
    return Elapsed(round(1e6 * latency))


def _clip_for(session: Session, bundle: MeasurableBundle, folder: Path) -> NDArray[Any]:
    import numpy as np

    clip = bundle.golden_clip
    shape = session.input.shape
    if (
        clip.ndim != len(shape)
        or clip.shape[1:] != tuple(shape[1:])
        or str(clip.dtype) != session.input.dtype
    ):
        raise BenchmarkError(
            f"the golden clip {list(clip.shape)} {clip.dtype} does not fit the network's input "
            f"{list(shape)} {session.input.dtype}",
            where=folder,
            fix="compile the bundle again",
        )
    return np.ascontiguousarray(clip[np.arange(shape[0]) % len(clip)])
