"""Choices that were measured before: on this machine, and those that come with edgevid.

One small JSON file each. What was measured on another kind of processor is never passed off as this one's:
the record names the machine.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from edgevid.disk import write_text
from edgevid.errors import ConfigError
from edgevid.manifest import ChoiceRecord

__all__ = ["GENERATION", "Situation", "Store", "Stored", "kernel_isa", "shipped", "user_store"]

_UNDER_LOAD = timedelta(days=1)

GENERATION = 2
"""Of the lowerings: what was measured with others says nothing of these."""


_FLOAT = frozenset({"avx2", "avx512f"})
_KERNEL_ISA = {
    "bf16": _FLOAT | {"avx512_bf16", "amx_bf16"},
    "int8": _FLOAT | {"avx512_vnni", "avx_vnni", "amx_int8"},
}


def kernel_isa(isa: Collection[str], precision: str) -> tuple[str, ...]:
    """Of a device's instruction sets those that a runtime's kernels of a precision are written for, sorted.

    Without those that are switched off by oneDNN's environment variables.
    """
    wanted = _KERNEL_ISA.get(precision, _FLOAT)
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA", "")
    return (*sorted(wanted.intersection(isa)), *([f"at most {limit.lower()}"] if limit else []))


class Situation(BaseModel):
    """What a choice was measured for.

    Attributes:
        network: of `edgevid.choose.key.network_key`.
        target: the runtime's name.
        isa: instruction sets that decide the kernels, see `kernel_isa`.
        machine: the processor it was measured on.
        runtime: with its version.
        precision, batch, threads, streams, hint: as compiled; threads of None are the runtime's own number.
        cpus: that this process may use.
        generation: of the lowerings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str
    target: str
    isa: tuple[str, ...]
    machine: str
    runtime: str
    precision: str
    batch: int
    threads: int | None
    streams: int | None
    hint: str
    cpus: int
    generation: int = GENERATION

    def elsewhere(self) -> dict[str, Any]:
        """What must be the same for a choice of another machine to serve as a default."""
        return self.model_dump(exclude={"machine", "runtime", "threads", "streams", "hint", "cpus"})


class Stored(BaseModel):
    """One file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    situation: Situation
    choice: ChoiceRecord
    measured: datetime

    @property
    def holds(self) -> bool:
        """What was measured on a machine under load holds for a day."""
        return self.choice.verdict == "VALID" or datetime.now(timezone.utc) - self.measured < _UNDER_LOAD


class Store:
    """A folder of choices. A file that is damaged or of another edgevid counts as absent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, situation: Situation, *, valid: bool = False) -> ChoiceRecord | None:
        """What was measured in exactly this situation; only on an idle machine if ``valid`` is asked for."""
        found = _read(self._path(situation))
        if found is None or found.situation != situation or not found.holds:
            return None
        return None if valid and found.choice.verdict != "VALID" else found.choice

    def like(self, situation: Situation) -> ChoiceRecord | None:
        """What was measured for the same network on another machine with the same instruction sets.

        With as many threads, if that is there.
        """
        found = [one for one in self.all() if one.situation.elsewhere() == situation.elsewhere()]
        found.sort(key=lambda one: one.situation.threads != situation.threads)
        return found[0].choice if found else None

    def all(self) -> Iterator[Stored]:
        """Every file that can be read, by name."""
        for path in sorted(self.folder.glob("*.json")):
            found = _read(path)
            if found is not None:
                yield found

    def add(self, situation: Situation, choice: ChoiceRecord) -> Path:
        """Keep a choice; of two writers at once the last one stays.

        Raises:
            ConfigError: the folder cannot be written.
        """
        path = self._path(situation)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"the choice cannot be kept: {error}", where=self.folder, fix="set XDG_CACHE_HOME"
            ) from error
        kept = Stored(situation=situation, choice=choice, measured=datetime.now(timezone.utc))
        write_text(path, kept.model_dump_json(indent=1) + "\n")
        return path

    def _path(self, situation: Situation) -> Path:
        told = json.dumps(situation.model_dump(mode="json"), sort_keys=True)
        return self.folder / f"{hashlib.sha256(told.encode()).hexdigest()[:24]}.json"


def user_store() -> Store:
    """In ``$XDG_CACHE_HOME/edgevid/lowerings``, by default under ``~/.cache``."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Store(Path(cache) / "edgevid" / "lowerings")


def shipped() -> Store:
    """What comes with edgevid, made by ``python -m edgevid.choose.ship``."""
    return Store(Path(__file__).parent / "shipped")


def _read(path: Path) -> Stored | None:
    try:
        return Stored.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        return None
