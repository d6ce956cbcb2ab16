"""Bundles measured against each other, each through its own session."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial, reduce
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, runtime_checkable

from edgevid.bench.factory import Factory
from edgevid.bench.processes import compare_in_processes
from edgevid.bench.protocol import Comparison, Elapsed, Progress, Variant
from edgevid.bench.results import BundleIdentity, Label, Result
from edgevid.bench.settings import Settings
from edgevid.contract import RunSettings, Session
from edgevid.errors import BenchmarkError, UnknownDeviceError
from edgevid.targets._profiles import device as find_device

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ClockedSession", "MeasurableBundle", "bench_bundles", "label_of", "names_of", "open_variants"]

BUNDLE_OPENER = "edgevid.bundle:Bundle.open"


class MeasurableBundle(Protocol):
    """What is needed of a bundle to measure it: `edgevid.bundle.Bundle` has it."""

    @property
    def manifest(self) -> Any:
        """Has ``device``, ``device_title``, ``precision`` and ``simulates``."""

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


def bench_bundles(
    bundles: Sequence[Path],
    *,
    batch: int | None = None,
    threads: int | None = None,
    streams: int | None = None,
    hint: Literal["latency", "throughput"] = "latency",
    on: str = "",
    settings: Settings | None = None,
    device: str = "",
    notes: Sequence[str] = (),
    progress: Progress | None = None,
    opener: str = BUNDLE_OPENER,
) -> Result:
    """Measure ``Session.run`` of each bundle on its golden clip, repeated to the batch.

    The first bundle is the baseline, and is opened a second time for the A/A pair. Everything runs in fresh
    processes, ``settings.processes`` of them. A bundle that was compiled for another device than this
    machine, or in a precision that it emulates, is labelled so.

    Args:
        bundles: their folders, at least one.
        batch: clips a call; ``None`` for each bundle's own.
        threads: for each session; ``None`` leaves it to what was compiled in.
        streams: the same.
        hint: what the runtime optimizes for, where threads or streams are given.
        on: address of a board behind a network; its own clock counts.
        settings: of the protocol.
        device: name of the device that is measured.
        notes: for the record.
        progress: called for each step.
        opener: ``module:callable`` that opens a folder.

    Raises:
        BenchmarkError: no bundles, or one whose golden clip does not fit its network.
        BundleError: a bundle that cannot be opened.
        ConfigError: a bundle that was not compiled for that batch.
        TargetError: a runtime that refuses.
    """
    if not bundles:
        raise BenchmarkError("there is no bundle to measure", fix="name at least one bundle folder")
    factory = Factory(
        target="edgevid.bench.bundles:open_variants",
        arguments={
            "paths": [str(path.absolute()) for path in bundles],
            "batch": batch,
            "threads": threads,
            "streams": streams,
            "hint": hint,
            "on": on,
            "opener": opener,
        },
    )
    names = names_of(bundles)
    return compare_in_processes(
        factory,
        settings or Settings(),
        title=" against ".join(filter(None, (", ".join(names[1:]), names[0]))),
        device=device,
        parameters={"batch": batch or "as compiled", "threads": threads or "as compiled"},
        notes=notes,
        progress=progress,
    )


@contextmanager
def open_variants(
    paths: Sequence[str],
    batch: int | None = None,
    threads: int | None = None,
    streams: int | None = None,
    hint: Literal["latency", "throughput"] = "latency",
    on: str = "",
    opener: str = BUNDLE_OPENER,
) -> Iterator[Comparison]:
    """Open the bundles in this process; see `bench_bundles` for the arguments.

    Sessions are closed on leaving.
    """
    run_settings = None
    if threads is not None or streams is not None or on:
        run_settings = RunSettings(threads=threads, streams=streams, hint=hint, on=on)
    folders = [Path(path) for path in paths]
    with ExitStack() as stack:

        def opened(name: str, folder: Path) -> Variant:
            bundle = _opener(opener)(folder)
            session = stack.enter_context(bundle.session(batch=batch, settings=run_settings))
            clip = _clip_for(session, bundle, folder)
            clock = f"on {on}, by its own clock" if on else _clock_of(session)
            run = partial(_by_its_clock, session, clip) if clock else partial(session.run, clip)
            label, note = label_of(bundle)
            if on:
                label, note = "measured", ""
            note = "; ".join(filter(None, (note, clock)))
            return Variant(name, run, label, note, _identity(folder))

        names = names_of(folders)
        variants = [opened(name, folder) for name, folder in zip(names, folders, strict=True)]
        yield Comparison(variants[0], variants[1:], twin=opened(names[0], folders[0]).run)


def _clock_of(session: object) -> str:
    return session.clock if isinstance(session, ClockedSession) else ""


def _by_its_clock(session: Any, clip: NDArray[Any]) -> Elapsed:
    (latency,) = session.latencies_ms(clip, 1)
    return Elapsed(round(1e6 * latency))


def names_of(folders: Sequence[Path]) -> list[str]:
    """A short name for each folder: its own, with as many of its parents as tell them apart.

    The same folder given twice gets a number.
    """
    paths = [folder.absolute() for folder in folders]
    names = [path.name for path in paths]
    depth = 1
    while len(set(names)) < len(set(paths)):
        depth += 1
        names = [
            str(Path(*path.parts[-depth:])) if path.name in _repeated(paths) else path.name for path in paths
        ]
    return [
        f"{name} #{names[: index + 1].count(name)}" if name in names[:index] else name
        for index, name in enumerate(names)
    ]


def _repeated(paths: Sequence[Path]) -> set[str]:
    own = [path.name for path in dict.fromkeys(paths)]
    return {name for name in own if own.count(name) > 1}


def _opener(name: str) -> Callable[[Path], MeasurableBundle]:
    # A name, not a callable: it has to reach another process. Only tests give another one.
    module, _, attributes = name.partition(":")
    found: object = reduce(getattr, attributes.split("."), import_module(module))
    return cast("Callable[[Path], MeasurableBundle]", found)


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


def label_of(bundle: MeasurableBundle) -> tuple[Label, str]:
    """What a figure of this bundle is worth on this machine, and why."""
    manifest = bundle.manifest
    if manifest.simulates:
        return "simulated", f"{manifest.simulates}'s arithmetic, simulated: its time means nothing"
    try:
        device = find_device(manifest.device)
    except UnknownDeviceError:
        return "other-device", f"compiled for {manifest.device_title}, of which this edgevid knows nothing"
    if not device.is_this_machine:
        return "other-device", f"compiled for {device.title}"
    if manifest.precision in device.emulated:
        return "emulated", device.emulated[manifest.precision]
    return "measured", ""


def _identity(folder: Path) -> BundleIdentity:
    manifest = (folder / "manifest.json").read_bytes()
    return BundleIdentity(path=str(folder), manifest_sha256=hashlib.sha256(manifest).hexdigest())
