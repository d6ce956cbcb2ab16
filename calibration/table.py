"""The table of ranges: what calibration finds, and what every later compile reuses.

It holds bounds of values, not scales: what a target makes of them (8-bit type, zero point) is
decided when the network is quantized.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, get_args

import onnx_ir as ir
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgevid.calibration.equalize import equalize
from edgevid.disk import write_text
from edgevid.errors import ConfigError, GraphError
from edgevid.graph.graph_hash import graph_hash

__all__ = [
    "FEW_CLIPS",
    "METHODS",
    "ClipRecord",
    "Method",
    "Range",
    "Table",
    "check_graph",
    "find_method",
    "load_table",
    "names_hash",
    "save_table",
]

SCHEMA_VERSION: Literal[1] = 1

Method = Literal["minmax", "average", "percentile", "entropy", "mse"]
METHODS: tuple[Method, ...] = get_args(Method)

FEW_CLIPS = 100
"""Ranges of fewer clips are warned about."""

_NARROWEST = 1e-6
"""A threshold of less than this share of the largest value comes from no method."""

_SHOWN = 12
"""Digits of a hash that a message shows."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ClipRecord(_Record):
    """A clip that was looked at.

    Attributes:
        name: its path, or what else tells it from the others.
        label: its class.
        sha256: of its pixels, ``uint8 [T, H, W, 3]``.
        plain: all its pixels have one colour.
    """

    name: str
    label: int | None
    sha256: str
    plain: bool = False


class Range(_Record):
    """The values of one tensor over all clips.

    Attributes:
        amin: least value; 0 for a tensor that cannot be negative.
        amax: largest value.
        threshold: the bound of ``|x|`` that the method chose: at most ``max(-amin, amax)``, and 0
            only where that is.
        digest: SHA-256 of the histogram, empty for a method without one.
        constant: nothing in it changes. Of tensors that cannot be negative the largest values
            of every channel in every frame are looked at.
        zero: nothing in it is anything but zero.
    """

    amin: float
    amax: float
    threshold: float = Field(ge=0)
    digest: str = ""
    constant: bool = False
    zero: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.amin > self.amax:
            raise ValueError(f"amin {self.amin:g} is above amax {self.amax:g}")
        largest = max(-self.amin, self.amax)
        if not _NARROWEST * largest <= self.threshold <= largest:
            raise ValueError(f"a threshold of {self.threshold:g} for values up to {largest:g}")
        return self


class Table(_Record):
    """The ranges of a network.

    Attributes:
        edgevid: version that wrote it.
        runtime: that ran the network.
        graph_sha256: of `edgevid.graph.graph_hash.graph_hash`.
        method: how the thresholds were chosen.
        percentile: of the method of this name.
        stride: of the rows and columns that the histograms counted.
        equalized: the network's channels were equalized first.
        clips: in the order in which they were averaged.
        skipped: videos that could not be read, and why.
        notes: what else is to be known of the clips.
        tensors: by name, in the order of the graph.
        tensors_sha256: of their names in this order, which is what tells them apart: exporters name
            tensors anew for every batch.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    edgevid: str
    runtime: str
    graph_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    method: Method
    percentile: float | None = Field(default=None, gt=0, le=100)
    stride: int | None = Field(default=None, ge=1, le=4)
    equalized: bool = False
    clips: tuple[ClipRecord, ...] = Field(min_length=1)
    skipped: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()
    tensors: Mapping[str, Range] = Field(min_length=1)
    tensors_sha256: str

    @model_validator(mode="after")
    def _in_order(self) -> Table:
        if self.tensors_sha256 != names_hash(self.tensors):
            raise ValueError("the tensors were renamed, or are in another order than when it was written")
        return self

    @property
    def thresholds(self) -> dict[str, float]:
        """The bound of ``|x|`` of every tensor, as `edgevid.calibration.quantize.quantize` takes it."""
        return {name: values.threshold for name, values in self.tensors.items()}

    @property
    def classes(self) -> int:
        """How many classes the clips are of; 0 where nothing says it."""
        return len({clip.label for clip in self.clips} - {None})

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know, in words."""
        found = list(self.notes)
        distinct = len({clip.sha256 for clip in self.clips})
        if distinct < len(self.clips):
            found.append(f"{len(self.clips) - distinct} of {len(self.clips)} clips are copies of others")
        if distinct < FEW_CLIPS:
            found.append(f"only {distinct} clips: ranges of fewer than {FEW_CLIPS} depend on which they are")
        if plain := [clip.name for clip in self.clips if clip.plain]:
            found.append(f"{len(plain)} clips are of one colour and show nothing, such as {plain[0]}")
        zero = [name for name, values in self.tensors.items() if values.zero]
        constant = [name for name, values in self.tensors.items() if values.constant and not values.zero]
        if zero:
            found.append(f"zero in every clip: {', '.join(zero)}")
        if constant:
            found.append(f"the same in every clip: {', '.join(constant)}")
        return tuple(found)


def names_hash(names: Iterable[str]) -> str:
    """SHA-256 of names in their order."""
    return hashlib.sha256(json.dumps(list(names)).encode()).hexdigest()


def find_method(name: str) -> Method:
    """The method of that name.

    Raises:
        ConfigError: there is none; the message lists them.
    """
    for method in METHODS:
        if method == name:
            return method
    raise ConfigError(f"unknown method {name!r}", where="--method", fix=f"one of {', '.join(METHODS)}")


def check_graph(table: Table, graph: ir.Model, where: object = None) -> None:
    """Raise unless the ranges are of this network.

    Args:
        table: of ranges.
        graph: canonical float graph of any batch.
        where: the table's file.

    Raises:
        ConfigError: they are of another one; both hashes are named.
    """
    found = graph_hash(graph)
    if table.equalized and found != table.graph_sha256 and _fits_equalized(table, graph):
        raise ConfigError(
            "the calibration table is of the network after equalization",
            where=where,
            fix="compile with --equalize too, or calibrate without it",
        )
    if found != table.graph_sha256:
        raise ConfigError(
            f"the calibration table is of network {table.graph_sha256[:_SHOWN]}, "
            f"this one is {found[:_SHOWN]}",
            where=where,
            fix="calibrate this network: its weights, shifts, normalization or size differ",
        )


def _fits_equalized(table: Table, graph: ir.Model) -> bool:
    try:
        return graph_hash(equalize(graph)) == table.graph_sha256
    except GraphError:  # of a network without anything to equalize
        return False


def save_table(table: Table, path: str | Path) -> None:
    """Write a table as JSON, whole or not at all.

    Raises:
        ConfigError: the folder is missing or cannot be written.
    """
    write_text(Path(path), table.model_dump_json(indent=1) + "\n")


def load_table(path: str | Path) -> Table:
    """Read and validate a table that `save_table` wrote.

    Raises:
        ConfigError: the file cannot be read or is damaged; the message names the file and the key.
    """
    file = Path(path)
    try:
        text = file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"the calibration table cannot be read: {error.strerror or error}",
            where=file,
            fix="check the path",
        ) from error
    try:
        return Table.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"the calibration table is damaged: {first['msg'].removeprefix('Value error, ')}",
            where=f"{file}, {key}" if key else file,
            fix="calibrate again, or take the file that `edgevid calibrate` wrote",
        ) from error
