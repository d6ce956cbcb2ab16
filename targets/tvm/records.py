"""What tuning found, on disk: one JSON line for each operation that was measured.

A line is written as soon as an operation is done, so that an interrupted run loses nothing; files of
several boards of one kind are merged by taking the fastest.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from edgevid.errors import ConfigError
from edgevid.targets.tvm.cpus import Cpu
from edgevid.targets.tvm.network import Operation

__all__ = ["GENERATION", "Record", "Records", "key_of"]

GENERATION = 1
"""Of the kernels: what was measured with others says nothing of these."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
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
    tile: dict[str, int | str]
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    candidates: int


_RECORD = TypeAdapter(Record)


def key_of(operation: Operation, cpu: Cpu) -> str:
    """Names an operation on a kind of CPU, whatever the network."""
    told = {
        "kind": type(operation).__name__,
        # Bounds are applied in any case, and cost the same. Without a cache nothing is said of it.
        **{
            name: value
            for name, value in asdict(operation).items()
            if name != "bounds" and (value or name not in ("cache", "keeps"))
        },
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
            try:
                path.replace(self.set_aside)
                self._write(self._found.values())
            except OSError as error:
                raise ConfigError(
                    f"the damaged records cannot be set aside: {error}",
                    where=path,
                    fix="give another --records",
                ) from error

    def get(self, key: str) -> Record | None:
        """The fastest record of a key."""
        return self._found.get(key)

    def add(self, record: Record) -> None:
        """Keep and append a record."""
        self._keep(record)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab+") as file:
                line = json.dumps(asdict(record)).encode() + b"\n"
                file.write(line if _ends_a_line(file) else b"\n" + line)
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
    records = [_parsed(line) for line in lines]
    return [record for record in records if record is not None], records.count(None)


def _parsed(line: str) -> Record | None:
    try:
        return _RECORD.validate_json(line)
    except ValueError:
        return None


def _ends_a_line(file: BinaryIO) -> bool:
    """Whether what is added to a file begins a line of its own."""
    size = file.seek(0, os.SEEK_END)
    if not size:
        return True
    file.seek(size - 1)
    return file.read(1) == b"\n"


def _free_name(path: Path) -> Path:
    number = 1
    while (name := path.with_name(f"{path.name}.corrupt{number}")).exists():
        number += 1
    return name
