"""What a compiled file needs of the system it is loaded on, read from its ELF tables.

System V gABI, and for the versions of symbols the Linux Standard Base (``.gnu.version_r``).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgevid.errors import TargetError

__all__ = ["NEWEST", "Needs", "check_old_enough", "read_needs"]

NEWEST = {"GLIBC": (2, 27), "GLIBCXX": (3, 4, 22), "CXXABI": (1, 3, 11), "GCC": (4, 3, 0)}
"""The newest symbols that every board has: a Jetson TX2's system, Ubuntu 18.04."""

_MACHINES = {62: "x86_64", 183: "aarch64"}
_DYNAMIC, _VERSION_NEEDS = 6, 0x6FFFFFFE
_NEEDED = 1


@dataclass(frozen=True)
class Needs:
    """What a program or library asks of the loader.

    Attributes:
        machine: ``x86_64``, ``aarch64`` or a number.
        libraries: that are loaded with it.
        versions: of symbols, as ``GLIBC_2.17``.
    """

    machine: str
    libraries: tuple[str, ...]
    versions: tuple[str, ...]


def read_needs(path: Path) -> Needs:
    """Read a 64-bit little-endian ELF file.

    Raises:
        TargetError: it is none, or cut short.
    """
    try:
        return _read(path.read_bytes())
    except (OSError, ValueError, OverflowError, struct.error, TargetError) as error:
        raise TargetError(f"not a compiled library: {error}", where=path, fix="compile again") from error


def check_old_enough(path: Path) -> None:
    """Raise `TargetError` if the file needs newer symbols of the C or C++ library than `NEWEST`."""
    newer = [version for version in read_needs(path).versions if _is_newer(version)]
    if newer:
        oldest = ", ".join(f"{name}_{'.'.join(map(str, parts))}" for name, parts in NEWEST.items())
        raise TargetError(
            f"it needs {', '.join(newer)}, which older boards lack",
            where=path,
            fix=f"compile it on the board, or with an older compiler; boards have {oldest}",
        )


def _is_newer(version: str) -> bool:
    name, _, number = version.rpartition("_")
    if name not in NEWEST or not re.fullmatch(r"\d+(\.\d+)*", number):
        return name in NEWEST or name.startswith("GLIBC")
    return tuple(map(int, number.split("."))) > NEWEST[name]


def _read(data: bytes) -> Needs:
    if data[:6] != b"\x7fELF\x02\x01":
        raise TargetError("it does not begin as 64-bit little-endian ELF does")
    (machine,) = struct.unpack_from("<H", data, 18)
    (offset,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    # Of each section: type, offset, size, the section of its strings, number of entries.
    headers = [struct.unpack_from("<4xI16xQQII", data, offset + size * i) for i in range(count)]
    libraries: list[str] = []
    versions: list[str] = []
    for kind, start, length, link, entries in headers:
        if kind == _DYNAMIC:
            for tag, value in struct.iter_unpack("<QQ", data[start : start + length]):
                if tag == _NEEDED:
                    libraries.append(_string(data, headers[link][1] + value))
        elif kind == _VERSION_NEEDS:
            versions += (_string(data, headers[link][1] + name) for name in _names(data, start, entries))
    return Needs(_MACHINES.get(machine, str(machine)), tuple(libraries), tuple(sorted(set(versions))))


def _names(data: bytes, at: int, files: int) -> Iterator[int]:
    """Places of the names of all versions, of all libraries; steps of 0 end both lists."""
    for _ in range(files):
        count, first, following = struct.unpack_from("<2xH4xII", data, at)
        place = at + first
        for _ in range(count):
            name, step = struct.unpack_from("<8xII", data, place)
            yield name
            place += step
            if not step:
                break
        at += following
        if not following:
            break


def _string(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode("ascii")
