"""What the samples of a curve belong to, so that those of something else are never mixed with them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

import edgevid
from edgevid.bench.environment import look_around
from edgevid.contract import Device
from edgevid.overhead.record import CurveId
from edgevid.overhead.sweep import Sweep

__all__ = ["TUNED", "changes", "identity", "tuned_kernels"]

TUNED = "tuned kernels"
"""Of an identity: `tuned_kernels` after compiling, where the target tunes."""

_CODE = ("calibration", "graph", "models", "targets")
"""Packages that decide what is timed: a version number does not change with every change of theirs."""


def identity(sweep: Sweep, curve: CurveId, runtime: str) -> dict[str, JsonValue]:
    """Everything that decides what one measuring process of a curve measures.

    How many processes there are is left out: more of them are more of the same.

    Args:
        sweep: what is asked.
        curve: of it.
        runtime: name and version.
    """
    machine = look_around()
    return {
        "edgevid": edgevid.__version__,
        "code": _code(),
        "network": sweep.config.without_shift().model_dump(mode="json"),
        "device": curve.device,
        "runtime": runtime,
        "precision": curve.precision,
        "batch": curve.batch,
        "threads": sweep.threads,
        "proportions": [str(proportion) for proportion in sweep.proportions],
        "lowering": sweep.lowering,
        "plain export": sweep.plain,
        "rounds": sweep.settings.rounds,
        "warm-up": sweep.settings.warmup,
        "calibration clips": sweep.clips,
        "CPU": machine.cpu,
        "instructions": list(machine.isa),
        "CPUs": machine.cpus,
        "usable CPUs": list(machine.affinity or ()),
        "packages": dict(machine.packages),
        "variables": dict(machine.variables),
    }


def tuned_kernels(device: Device, records: Path | None) -> dict[str, JsonValue]:
    """The kernel that tuning found for each operation, both as hashes.

    After compiling they hold all that a curve's networks are made of, and others.

    Args:
        device: of TVM, which alone tunes.
        records: file of tuned kernels; TVM's own if None.

    Raises:
        ConfigError: the file cannot be read.
    """
    from edgevid.targets.tvm._target import cpu_of
    from edgevid.targets.tvm.records import Records
    from edgevid.targets.tvm.tiles import default_records

    found = Records(records or default_records(cpu_of(device)))
    return {_hash(record.key): _hash(f"{record.family} {sorted(record.tile.items())}") for record in found}


def changes(old: Mapping[str, JsonValue], new: Mapping[str, JsonValue]) -> str:
    """What is different, in words; empty where nothing is.

    Kernels that were tuned since are no difference: they are other networks'.
    """
    names = [name for name in {**old, **new} if name != TUNED and old.get(name) != new.get(name)]
    told = [f"{name} {_told(old.get(name))} is now {_told(new.get(name))}" for name in names]
    before, now = old.get(TUNED), new.get(TUNED)
    if isinstance(before, dict) and isinstance(now, dict):
        others = sum(now.get(key) != kernel for key, kernel in before.items())
        told += [f"{others} of {len(before)} {TUNED} are now others"] if others else []
    return ", ".join(told)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _told(value: JsonValue) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _code() -> str:
    digest = hashlib.sha256()
    folder = Path(edgevid.__file__).parent
    for package in _CODE:
        for path in sorted((folder / package).rglob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
