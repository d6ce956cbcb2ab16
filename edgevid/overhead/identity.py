"""What the samples of a curve belong to, so that those of something else are never mixed with them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

import edgevid
from edgevid.bench.environment import look_around
from edgevid.overhead.record import CurveId
from edgevid.overhead.sweep import Sweep

__all__ = ["changes", "identity"]

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


def changes(old: Mapping[str, JsonValue], new: Mapping[str, JsonValue]) -> str:
    """What is different, in words; empty where nothing is."""
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return ", ".join(f"{name} {_told(old.get(name))} is now {_told(new.get(name))}" for name in names)


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
