"""The table of ranges: what calibration finds, and what every later compile reuses.

It holds bounds of values, not scales: what a target makes of them (8-bit type, zero point) is
decided when the network is quantized.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

import onnx_ir as ir
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgevid.calibration.disk import write_text
from edgevid.calibration.graph_hash import graph_hash
from edgevid.errors import ConfigError

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
    "save_table",
]

SCHEMA_VERSION: Literal[1] = 1

Method = Literal["minmax", "average", "percentile", "entropy", "mse"]
METHODS: tuple[Method, ...] = get_args(Method)

FEW_CLIPS = 100
"""Ranges of fewer clips are warned about."""

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
    """

    name: str
    label: int | None
    sha256: str


class Range(_Record):
    """The values of one tensor over all clips.

    Attributes:
        amin: least value; 0 for a tensor that cannot be negative.
        amax: largest value.
        threshold: the bound of ``|x|`` that the method chose; not above ``max(-amin, amax)``.
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
        return self


class Table(_Record):
    """The ranges of a network.

    Attributes:
        edgevid: version that wrote it.
        runtime: that ran the network.
        graph_sha256: of `edgevid.calibration.graph_hash.graph_hash`.
        method: how the thresholds were chosen.
        percentile: of the method of this name.
        stride: of the rows and columns that the histograms counted.
        clips: in the order in which they were averaged.
        skipped: videos that could not be read, and why.
        tensors: by name, in the order of the graph.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    edgevid: str
    runtime: str
    graph_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    method: Method
    percentile: float | None = Field(default=None, gt=0, le=100)
    stride: int | None = Field(default=None, ge=1, le=4)
    clips: tuple[ClipRecord, ...] = Field(min_length=1)
    skipped: Mapping[str, str] = {}
    tensors: Mapping[str, Range] = Field(min_length=1)

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
        found = []
        if len(self.clips) < FEW_CLIPS:
            found.append(
                f"only {len(self.clips)} clips: ranges of fewer than {FEW_CLIPS} depend on which they are"
            )
        zero = [name for name, values in self.tensors.items() if values.zero]
        constant = [name for name, values in self.tensors.items() if values.constant and not values.zero]
        if zero:
            found.append(f"zero in every clip: {', '.join(zero)}")
        if constant:
            found.append(f"the same in every clip: {', '.join(constant)}")
        return tuple(found)


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
    if found != table.graph_sha256:
        raise ConfigError(
            f"the calibration table is of network {table.graph_sha256[:_SHOWN]}, "
            f"this one is {found[:_SHOWN]}",
            where=where,
            fix="calibrate this network: its weights, shifts, normalization or size differ",
        )


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
            f"the calibration table is damaged: {first['msg']}",
            where=f"{file}, {key}" if key else file,
            fix="calibrate again, or take the file that `edgevid calibrate` wrote",
        ) from error
