"""Results on disk: written whole or not at all, read with every mistake named."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from pydantic import ValidationError

from edgevid.bench.results import SCHEMA_VERSION, Result
from edgevid.bench.summary import summarize
from edgevid.disk import write_text
from edgevid.errors import BenchmarkError, ConfigError

__all__ = ["check_writable", "load_result", "save_result"]


def check_writable(path: Path, what: str) -> None:
    """See what would keep a file from being written after hours of work.

    Args:
        path: of the file; its folder has to be there.
        what: goes into it, for the message.

    Raises:
        ConfigError: it is a folder, its folder is missing, or no file can be made there.
    """
    if path.is_dir():
        raise ConfigError(f"this is a folder, and no file for {what}", where=path, fix="name a file in it")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise ConfigError(f"the folder of {what} does not exist", where=path, fix="make it first")
    try:
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            f"{what} cannot be written there: {error.strerror or error}",
            where=path,
            fix="free some space, or give another path",
        ) from error


def save_result(result: Result, path: Path) -> None:
    """Write ``result`` as JSON, whole or not at all.

    Raises:
        BenchmarkError: the folder is missing or cannot be written.
    """
    document = result.model_dump(mode="json")
    document["summary"] = [summary.model_dump(mode="json") for summary in summarize(result)]
    text = json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    write_text(path, text, BenchmarkError)


def load_result(path: Path) -> Result:
    """Read and validate a result that `save_result` wrote, of this schema or an older one.

    Raises:
        BenchmarkError: the file is missing, is not JSON, is no result, or has a newer schema.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchmarkError(
            f"the result cannot be read: {error.strerror or error}", where=path, fix="check the path"
        ) from error
    except ValueError as error:
        raise BenchmarkError(
            f"the file is not valid JSON: {error}",
            where=path,
            fix="it is truncated or was edited; run the benchmark again",
        ) from error
    _check_version(document, path)
    document.pop("summary", None)
    try:
        return Result.model_validate(document)
    except (ValidationError, ConfigError) as error:
        raise BenchmarkError(
            f"the result does not fit schema {SCHEMA_VERSION}: {_first_problem(error)}",
            where=path,
            fix="it was edited or damaged; run the benchmark again",
        ) from error


def _check_version(document: Any, path: Path) -> None:
    version = document.get("schema_version") if isinstance(document, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise BenchmarkError(
            "the file is not a benchmark result of edgevid: it has no schema_version",
            where=path,
            fix="give a file that `edgevid bench --output` wrote",
        )
    if version > SCHEMA_VERSION:
        raise BenchmarkError(
            f"the result has schema {version}, written by a newer edgevid than this, which reads "
            f"up to {SCHEMA_VERSION}",
            where=path,
            fix="update edgevid, or run the benchmark again with this version",
        )


def _first_problem(error: ValidationError | ConfigError) -> str:
    if isinstance(error, ConfigError):
        return f"{error.where}: {error.what}"
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else str(first["msg"])
