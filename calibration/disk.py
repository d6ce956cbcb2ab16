"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from edgevid.errors import ConfigError

__all__ = ["write_text"]


def write_text(path: Path, text: str) -> None:
    """Write beside ``path`` and rename, so that an older file stays until the new one is complete.

    Raises:
        ConfigError: the folder is missing, cannot be written, or the disk is full.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with draft.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise ConfigError(
            f"the file cannot be written: {error.strerror or error}",
            where=path,
            fix="make the folder, free some space, or give another path; an earlier file there is unchanged",
        ) from error
    finally:
        draft.unlink(missing_ok=True)
