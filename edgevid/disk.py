"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from edgevid.errors import ConfigError, EdgevidError

__all__ = ["write_text"]


def write_text(path: Path, text: str, kind: type[EdgevidError] = ConfigError) -> None:
    """Write beside ``path`` and rename, so that an older file stays until the new one is complete.

    Also when the disk is full or the write is interrupted.

    Raises:
        EdgevidError: of this kind: the folder is missing, cannot be written, or the disk is full.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with draft.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise kind(
            f"the file cannot be written: {error.strerror or error}",
            where=path,
            fix="make the folder, free some space, or give another path; an earlier file there is unchanged",
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    # The file is complete by now; some network file systems cannot sync a folder.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
