"""Bundles measured against each other, each through its own session."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from edgevid.bench.factory import Factory
from edgevid.bench.in_flight import BURST
from edgevid.bench.opening import MeasurableBundle, OpenBundle, Opening
from edgevid.bench.processes import compare_in_processes
from edgevid.bench.protocol import Comparison, Progress, Variant
from edgevid.bench.results import BundleIdentity, Label, Result
from edgevid.bench.settings import Settings
from edgevid.contract import RunSettings
from edgevid.errors import BenchmarkError, UnknownDeviceError
from edgevid.targets._profiles import device as find_device

__all__ = [
    "bench_bundles",
    "factory_of",
    "identity_of",
    "in_flight_note",
    "label_of",
    "names_of",
    "open_variants",
    "parameters_of",
    "worth_of",
]


def bench_bundles(
    bundles: Sequence[Path],
    *,
    settings: Settings | None = None,
    device: str = "",
    notes: Sequence[str] = (),
    progress: Progress | None = None,
    **opening: Any,
) -> Result:
    """Measure ``Session.run`` of each bundle on its golden clip, repeated to the batch.

    The first bundle is the baseline, and is opened a second time for the A/A pair. Everything runs in fresh
    processes, ``settings.processes`` of them. A bundle that was compiled for another device than this
    machine, or in a precision that it emulates, is labelled so.

    Args:
        bundles: their folders, at least one.
        settings: of the protocol.
        device: name of the device that is measured.
        notes: for the record.
        progress: called for each step.
        opening: the fields of `edgevid.bench.opening.Opening`.

    Raises:
        BenchmarkError: no bundles, or one whose golden clip does not fit its network.
        BundleError: a bundle that cannot be opened.
        ConfigError: a bundle that was not compiled for that batch.
        TargetError: a runtime that refuses.
    """
    if not bundles:
        raise BenchmarkError("there is no bundle to measure", fix="name at least one bundle folder")
    how = Opening(**opening)
    names = names_of(bundles)
    return compare_in_processes(
        factory_of(bundles, how),
        settings or Settings(),
        title=" against ".join(filter(None, (", ".join(names[1:]), names[0]))),
        device=device,
        parameters=parameters_of(how),
        notes=[*notes, *in_flight_note(how)],
        progress=progress,
    )


def factory_of(bundles: Sequence[Path], how: Opening, *, twin: bool = True) -> Factory:
    """`open_variants` of them, for another process."""
    paths = [str(path.absolute()) for path in bundles]
    return Factory(
        target="edgevid.bench.bundles:open_variants",
        arguments={"paths": paths, "twin": twin, **how.model_dump(mode="json")},
    )


def parameters_of(how: Opening) -> dict[str, JsonValue]:
    """For the record."""
    given: dict[str, JsonValue] = {"streams": how.streams, "hint": how.hint}
    return {
        "batch": how.batch or "as compiled",
        "threads": how.threads or "as compiled",
        **{name: value for name, value in given.items() if value is not None},
    }


def in_flight_note(how: Opening) -> list[str]:
    """What a sample is with several requests in flight; nothing for one."""
    if how.streams in (None, 1):
        return []
    settings = how.run_settings(RunSettings())
    return [
        f"{how.streams} requests in flight, which share {settings.threads} threads; "
        f"a sample is {BURST} runs of each, its wall time no latency"
    ]


@contextmanager
def open_variants(paths: Sequence[str], *, twin: bool = True, **opening: Any) -> Iterator[Comparison]:
    """Open the bundles in this process; sessions are closed on leaving.

    Args:
        paths: their folders, the baseline first.
        twin: open the baseline a second time, for the A/A pair.
        opening: the fields of `edgevid.bench.opening.Opening`.
    """
    how = Opening(**opening)
    folders = [Path(path) for path in paths]
    with ExitStack() as stack:

        def opened(name: str, folder: Path) -> Variant:
            found = stack.enter_context(how.open(folder))
            label, note = worth_of(found, how)
            return Variant(name, found.run, label, note, identity_of(folder), found.clips)

        names = names_of(folders)
        variants = [opened(name, folder) for name, folder in zip(names, folders, strict=True)]
        again = opened(names[0], folders[0]).run if twin else None
        yield Comparison(variants[0], variants[1:], twin=again)


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


def worth_of(opened: OpenBundle, how: Opening) -> tuple[Label, str]:
    """What its figures are worth, and what stands beside them: why, and by whose clock they are."""
    label, note = label_of(opened.bundle)
    if how.on:
        label, note = "measured", ""
    return label, "; ".join(filter(None, (note, opened.clock)))


def identity_of(folder: Path) -> BundleIdentity:
    """Which bundle is measured."""
    manifest = (folder / "manifest.json").read_bytes()
    return BundleIdentity(path=str(folder), manifest_sha256=hashlib.sha256(manifest).hexdigest())
