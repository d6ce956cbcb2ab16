"""Whatever files are given: results, folders of a sweep, comparisons of accuracy."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from edgevid.bench.report.accuracy import Accuracies
from edgevid.bench.report.measured import Measured
from edgevid.bench.report.overhead import Proportion
from edgevid.bench.results import SCHEMA_VERSION, Result
from edgevid.bench.storage import load_result
from edgevid.errors import BenchmarkError, ConfigError

__all__ = ["Hole", "Material", "read_material", "read_result"]

SWEEP = "sweep.json"
_GIVE = "give a result, as edgevid bench -o and edgevid overhead -o write it"
_KINDS = {
    "golden": "the manifest of a bundle: measure the bundle with edgevid bench -o",
    "tensors": "a table of ranges, which holds no time",
    "members": "the manifest of an ensemble: measure the ensemble with edgevid bench -o",
    "everything": "a ranking of layers by what int8 costs, which holds no time",
}
"""What else edgevid writes as JSON, by a key that only that has."""


class Hole(BaseModel):
    """A point of a sweep that was not measured, and why. ``model`` is said once for the whole sweep."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: str = ""
    device: str
    precision: str
    batch: int
    proportion: Proportion
    state: Literal["done", "failed", "missing"]
    reason: str = ""

    def __str__(self) -> str:
        where = f"{self.model} on {self.device}, {self.precision}, batch {self.batch}"
        return f"{where}, proportion {self.proportion}: {self.reason or self.state}"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    model: str
    points: list[Hole]


@dataclass(frozen=True)
class Material:
    """All that the report is made of.

    Attributes:
        results: in the order of the files, those inside of comparisons too.
        accuracies: in the order of the files.
        holes: of the sweeps.
    """

    results: tuple[Measured, ...] = ()
    accuracies: tuple[Accuracies, ...] = ()
    holes: tuple[Hole, ...] = ()

    @property
    def invalid(self) -> tuple[Measured, ...]:
        """Results whose figures cannot be trusted."""
        return tuple(measured for measured in self.results if not measured.valid)


def read_material(paths: Sequence[Path]) -> Material:
    """Read every file once, and each folder as a sweep.

    Raises:
        BenchmarkError: a file is missing, empty, damaged, of a newer schema or something else, and which; or
            there is nothing to report.
    """
    results: list[Measured] = []
    accuracies: list[Accuracies] = []
    holes: list[Hole] = []
    for path, name in _files(paths):
        document = _document(path)
        if _is_sweep(document):
            holes += _holes(document, path)
        elif _is_comparison(document):
            found = _accuracies(document, path, name)
            accuracies.append(found)
            if found.latency is not None:
                results.append(Measured(_inner_result(found.latency, path), name))
        else:
            results.append(Measured(_result(document, path), name))
    if not (results or accuracies or holes):
        raise BenchmarkError("there is nothing to report", where=", ".join(map(str, paths)), fix=_GIVE)
    return Material(tuple(results), tuple(accuracies), tuple(holes))


def read_result(path: Path) -> Result:
    """Read one result, and say what the file is if it is something else.

    Raises:
        BenchmarkError: it is missing, empty, damaged, of a newer schema or something else.
    """
    if path.is_dir():
        raise BenchmarkError("this is a folder, not a result", where=path, fix="name a JSON file in it")
    return _result(_document(path), path)


def _files(paths: Iterable[Path]) -> list[tuple[Path, str]]:
    """Each file once with a name of its own; of a sweep's folder its record first."""
    found: dict[Path, Path] = {}
    for path in paths:
        inside = [path]
        if path.is_dir():
            inside = sorted(path.glob("*.json"), key=lambda file: (file.name != SWEEP, file.name))
            if not inside or inside[0].name in ("ensemble.json", "manifest.json"):
                what = "a bundle" if inside else "a folder without results"
                raise BenchmarkError(f"this is {what}", where=path, fix=_GIVE)
        for file in inside:
            found.setdefault(file.resolve(), file)
    names = _own_names(list(found))
    return [(file, names[place]) for place, file in found.items()]


def _own_names(places: Sequence[Path]) -> dict[Path, str]:
    """As many of the last folders before the name as no other file shares: mostly none."""
    found: dict[Path, str] = {}
    depth = 1
    while len(found) < len(places):
        ends = {place: "/".join(place.parts[-depth:]) for place in places}
        count = Counter(ends.values())
        found |= {place: end for place, end in ends.items() if count[end] == 1 and place not in found}
        depth += 1
    return found


def _document(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BenchmarkError(
            f"the file cannot be read: {error.strerror or error}", where=path, fix="check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise BenchmarkError("the file is not text", where=path, fix=_GIVE) from error
    if not text.strip():
        raise BenchmarkError("the file is empty", where=path, fix="measure again; it was never written")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BenchmarkError(
            f"the file is not valid JSON: {error}",
            where=path,
            fix="if edgevid wrote it, it is cut off or was edited: measure again; " + _GIVE,
        ) from error


def _is_result(document: Any) -> bool:
    return isinstance(document, dict) and {"runs", "settings"} <= document.keys()


def _is_sweep(document: Any) -> bool:
    return isinstance(document, dict) and document.get("kind") == "overhead sweep"


def _is_comparison(document: Any) -> bool:
    return isinstance(document, dict) and {"variants", "pairs"} <= document.keys()


def _result(document: Any, path: Path) -> Result:
    what = _other_kind(document)
    if what or not (_is_result(document) or _is_newer(document)):
        raise BenchmarkError(f"this is {what or 'no file that a report is made of'}", where=path, fix=_GIVE)
    return load_result(path)


def _is_newer(document: Any) -> bool:
    version = document.get("schema_version") if isinstance(document, dict) else None
    return isinstance(version, int) and version > SCHEMA_VERSION


def _other_kind(document: Any) -> str:
    """What another file of edgevid is; empty for a result, or for what is unknown."""
    if _is_comparison(document):
        return "a comparison of accuracy, which edgevid report shows"
    keys = document.keys() if isinstance(document, dict) else set()
    return next((what for key, what in _KINDS.items() if key in keys), "")


def _accuracies(document: dict[str, Any], path: Path, name: str) -> Accuracies:
    try:
        return Accuracies.model_validate({**document, "file": name})
    except ValidationError as error:
        raise _damaged("the comparison", error, path) from error


def _inner_result(document: dict[str, Any], path: Path) -> Result:
    version = document.get("schema_version")
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise BenchmarkError(
            f"the latencies in it have schema {version}, this edgevid reads up to {SCHEMA_VERSION}",
            where=path,
            fix="update edgevid, or compare again with this version",
        )
    try:
        return Result.model_validate({**document, "schema_version": SCHEMA_VERSION})
    except (ValidationError, ConfigError) as error:
        raise _damaged("the latency of the comparison", error, path) from error


def _holes(document: dict[str, Any], path: Path) -> list[Hole]:
    try:
        record = _Record.model_validate(document)
    except ValidationError as error:
        raise _damaged("the record of the sweep", error, path) from error
    return [hole.model_copy(update={"model": record.model}) for hole in record.points if hole.state != "done"]


def _damaged(what: str, error: ValidationError | ConfigError, path: Path) -> BenchmarkError:
    if isinstance(error, ConfigError):
        key, problem = error.where or "", error.what
    else:
        first = error.errors()[0]
        key, problem = ".".join(str(part) for part in first["loc"]), first["msg"]
    return BenchmarkError(
        f"{what} is damaged: {problem}",
        where=f"{path}, {key}" if key else path,
        fix="it was edited or cut off; run the command that wrote it again",
    )
