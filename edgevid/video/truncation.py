"""Whether a file ends too early by what its own container says; FFmpeg passes over it in silence."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

__all__ = ["is_cut_off"]

_EBML, _SEGMENT = b"\x1aE\xdf\xa3", b"\x18S\x80g"
_MXF_HEADER = bytes.fromhex("060e2b34020501010d0102010102")
_MOST_BOXES = 1000
_MOST_TAGS = 1_000_000
_TS_PACKETS = ((188, 0), (192, 4), (204, 0))
"""Bytes of a packet, and the place of its sync byte: plain, with time stamps, with Reed-Solomon codes."""


def is_cut_off(path: Path) -> bool:
    """Whether the end of a file is missing; ``False`` too where nothing tells.

    MP4: its last box is longer than the file, or its index is not there. Matroska and WebM: so is
    the segment (RFC 9559). FLV: so is the last tag. GIF: it lacks the trailer. MPEG transport
    stream: its last packet is incomplete. MXF: the footer partition lies behind the end (SMPTE 377).
    """
    try:
        with path.open("rb") as file:
            head = file.read(1024)
            return _ends_early(file, head, file.seek(0, 2))
    except (OSError, ValueError):
        return False


def _ends_early(file: BinaryIO, head: bytes, size: int) -> bool:
    if head[4:8] == b"ftyp":
        return _mp4(file, size)
    if head.startswith(_EBML):
        return _matroska(file, size)
    if head.startswith(b"FLV"):
        return _flv(file, size)
    if head.startswith(b"GIF8"):
        file.seek(max(size - 64, 0))
        return not file.read().rstrip(b"\0").endswith(b";")
    if head.startswith(_MXF_HEADER):
        return _mxf(head, size)
    for packet, sync in _TS_PACKETS:
        if len(head) > 4 * packet and all(head[sync + k * packet] == 0x47 for k in range(4)):
            return size % packet != 0
    return False


def _mp4(file: BinaryIO, size: int) -> bool:
    at, indexed = 0, False
    for _ in range(_MOST_BOXES):
        if at + 8 > size:
            break
        file.seek(at)
        box = file.read(16)
        indexed |= box[4:8] == b"moov"
        length = int.from_bytes(box[:4], "big")
        if length == 1:
            length = int.from_bytes(box[8:16], "big")
        at = size if length == 0 else at + max(length, 8)
    return at > size or not indexed


def _matroska(file: BinaryIO, size: int) -> bool:
    file.seek(len(_EBML))
    header = _variable_length(file)
    if header is None:
        return False
    file.seek(header, 1)
    if file.read(len(_SEGMENT)) != _SEGMENT:
        return False
    segment = _variable_length(file)
    return segment is not None and file.tell() + segment > size


def _variable_length(file: BinaryIO) -> int | None:
    """A size as EBML writes it (RFC 8794, 4); ``None`` for an unknown one, as live streams have."""
    first = file.read(1)
    if first in (b"", b"\0"):
        return None
    width = 9 - first[0].bit_length()
    value = int.from_bytes(first + file.read(width - 1), "big") & ((1 << 7 * width) - 1)
    return None if value == (1 << 7 * width) - 1 else value


def _flv(file: BinaryIO, size: int) -> bool:
    file.seek(5)
    at = int.from_bytes(file.read(4), "big") + 4
    for _ in range(_MOST_TAGS):
        if at + 11 > size:
            return at - size not in (0, 4)  # some writers leave out the length after the last tag
        file.seek(at + 1)
        at += 11 + int.from_bytes(file.read(3), "big") + 4
    return False


def _mxf(head: bytes, size: int) -> bool:
    length = int.from_bytes(head[16:17], "big")  # in BER: from 0x80 on it says how many bytes the length has
    start = 17 + (length & 0x7F if length & 0x80 else 0)
    footer = int.from_bytes(head[start + 24 : start + 32], "big")
    return footer >= size
