"""What tuning found, on disk: one JSON line for each operation that was measured.

A line is written as soon as an operation is done, so that an interrupted run loses nothing; files of
several boards of one kind are merged by taking the fastest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgevid.errors import ConfigError
from edgevid.targets.tvm.cpus import Cpu
from edgevid.targets.tvm.network import Operation

__all__ = ["GENERATION", "Record", "Records", "key_of"]

GENERATION = 1
"""Of the kernels: what was measured with others says nothing of these."""


@dataclass(frozen=True)
class Record:
    """The fastest of an operation's candidates on one kind of CPU.

    Attributes:
        key: of the operation, the CPU and the kernels' generation.
        family, tile: of the candidate; ``tile`` as the fields of its class.
        seconds: of one call, the least of several.
        candidates: how many were measured.
    """

    key: str
    family: str
    tile: dict[str, Any]
    seconds: float
    candidates: int


def key_of(operation: Operation, cpu: Cpu) -> str:
    """Names an operation on a kind of CPU, whatever the network."""
    told = {
        "kind": type(operation).__name__,
        # Bounds are applied in any case, and cost the same.
        **{name: value for name, value in asdict(operation).items() if name != "bounds"},
        "cpu": [cpu.mcpu, *cpu.features],
        "generation": GENERATION,
    }
    # Values of a quantization are data, not shape: tiles do not depend on them.
    return json.dumps(_without_values(told), sort_keys=True, separators=(",", ":"))


def _without_values(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"scale", "zero"}:
            return "quantized"
        return {
            key: "pixels" if key == "pixels" and part else _without_values(part)
            for key, part in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without_values(part) for part in value]
    return value


class Records:
    """A file of records; more lines for one key are merged by the fastest."""

    def __init__(self, path: Path) -> None:
        """Read ``path``, which need not exist yet.

        A file with lines that are no records is set aside under another name, and what could be
        read of it is written anew.
        """
        self.path = path
        self.set_aside: Path | None = None
        self._found: dict[str, Record] = {}
        if not path.exists():
            return
        good, bad = _read(path)
        for record in good:
            self._keep(record)
        if bad:
            self.set_aside = _free_name(path)
            path.replace(self.set_aside)
            self._write(self._found.values())

    def get(self, key: str) -> Record | None:
        """The fastest record of a key."""
        return self._found.get(key)

    def add(self, record: Record) -> None:
        """Keep and append a record."""
        self._keep(record)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(record)) + "\n")
        except OSError as error:
            raise ConfigError(
                f"the record cannot be written: {error}", where=self.path, fix="give another --records"
            ) from error

    def merge(self, others: Iterable[Path]) -> int:
        """Take over the records of other files; how many were new or faster.

        Raises:
            ConfigError: a file cannot be read.
        """
        count = 0
        for path in others:
            for record in _read(path)[0]:
                old = self._found.get(record.key)
                if old is None or record.seconds < old.seconds:
                    self.add(record)
                    count += 1
        return count

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._found.values())

    def _keep(self, record: Record) -> None:
        old = self._found.get(record.key)
        if old is None or record.seconds < old.seconds:
            self._found[record.key] = record

    def _write(self, records: Iterable[Record]) -> None:
        new = self.path.with_name(f"{self.path.name}.new")
        new.write_text("".join(json.dumps(asdict(record)) + "\n" for record in records), encoding="utf-8")
        new.replace(self.path)


def _read(path: Path) -> tuple[list[Record], int]:
    """The records of a file, and how many of its lines are none."""
    try:
        lines = path.read_bytes().decode("utf-8", errors="replace").splitlines()
    except OSError as error:
        raise ConfigError(f"the records cannot be read: {error}", where=path) from error
    good, bad = [], 0
    for line in lines:
        try:
            fields = json.loads(line)
            record = Record(**fields)
        except (ValueError, TypeError):
            bad += 1
            continue
        if not isinstance(record.seconds, int | float) or not isinstance(record.tile, dict):
            bad += 1
            continue
        good.append(record)
    return good, bad


def _free_name(path: Path) -> Path:
    number = 1
    while (name := path.with_name(f"{path.name}.corrupt{number}")).exists():
        number += 1
    return name
