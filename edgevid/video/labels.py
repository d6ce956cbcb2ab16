"""Names of the classes, from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgevid.errors import VideoError

__all__ = ["read_labels"]


def read_labels(path: str | Path, classes: int | None = None) -> list[str]:
    """Read the names of the classes in the order of their numbers.

    A text file has one name a line. A ``.json`` file has a list of names, a mapping from
    numbers to names, or one from names to numbers (Something-Something's ``labels.json``).

    Args:
        path: the file, UTF-8.
        classes: how many names there must be.

    Raises:
        VideoError: the file is missing, empty or not understood, or has another number of
            names; the message names the file and the line or key.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise VideoError(
            f"the labels file cannot be read ({error})", where=file, fix="give a UTF-8 text or JSON file"
        ) from error
    names = _from_json(text, file) if file.suffix.lower() == ".json" else _from_lines(text, file)
    if not names:
        raise VideoError("the labels file is empty", where=file, fix="write one class name a line")
    if classes is not None and len(names) != classes:
        raise VideoError(
            f"the labels file has {len(names)} names and the network {classes} classes",
            where=file,
            fix="give the labels of the data set that the network was trained on",
        )
    return names


def _from_lines(text: str, file: Path) -> list[str]:
    names = [line.strip() for line in text.rstrip().split("\n")] if text.strip() else []
    for number, name in enumerate(names, start=1):
        if not name:
            raise VideoError(
                "an empty line would shift all labels after it",
                where=f"{file}, line {number}",
                fix="write one class name a line",
            )
    return names


def _from_json(text: str, file: Path) -> list[str]:
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise VideoError(f"the labels file is not JSON ({error})", where=file, fix="correct it") from error
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return list(value)
    if isinstance(value, dict):
        return _from_mapping(value, file)
    raise VideoError(
        "the labels file is neither a list of names nor a mapping",
        where=file,
        fix='write ["first", "second"] or {"0": "first", "1": "second"}',
    )


def _from_mapping(mapping: dict[str, Any], file: Path) -> list[str]:
    by_number: dict[int, str] = {}
    numbers_first = all(_number(key) is not None for key in mapping)
    for key, value in mapping.items():
        number, name = (_number(key), value) if numbers_first else (_number(value), key)
        if number is None or not isinstance(name, str):
            raise VideoError(
                "neither the key nor the value is a class number beside a name",
                where=f"{file}, key {key!r}",
                fix='write {"0": "first", "1": "second"} or {"first": 0, "second": 1}',
            )
        if number in by_number:
            raise VideoError(
                f"class {number} has two names", where=f"{file}, key {key!r}", fix="give each class one name"
            )
        by_number[number] = name
    missing = next((number for number in range(len(by_number)) if number not in by_number), None)
    if missing is not None:
        raise VideoError(
            f"class {missing} of {len(by_number)} has no name",
            where=file,
            fix="number classes from 0, without gaps",
        )
    return [by_number[number] for number in range(len(by_number))]


def _number(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        return int(value)
    return None
