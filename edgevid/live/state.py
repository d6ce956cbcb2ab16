"""A stream's state as a file: arrays alone, no pickle."""

from __future__ import annotations

import os
import secrets
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from edgevid.contract import StreamState
from edgevid.errors import ConfigError, TargetError

__all__ = ["load_state", "save_state"]

FORMAT = 1

_BROKEN = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError),
    *(SyntaxError, TypeError, ValueError, struct.error, zipfile.BadZipFile, zlib.error),
)
"""What numpy's and zipfile's readers raise."""


def save_state(path: Path, state: StreamState) -> None:
    """Write beside ``path`` and rename, so that an older state stays until the new one is complete.

    Raises:
        ConfigError: the folder is missing, cannot be written, or the disk is full.
    """
    arrays: dict[str, Any] = {f"cache{index}": cache for index, cache in enumerate(state.caches)}
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        try:
            with draft.open("xb") as file:
                np.savez(file, format=FORMAT, network=np.str_(state.network), steps=state.steps, **arrays)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(
            f"the state cannot be written: {error.strerror or error}",
            where=path,
            fix="make the folder, free some space, or give another path; an earlier file there is unchanged",
        ) from error


def load_state(path: Path) -> StreamState:
    """A state that `save_state` wrote. Whether it fits a network is for `Stream.restore` to say.

    Raises:
        ConfigError: no such file.
        TargetError: the file is damaged, or no state.
    """
    if not path.is_file():
        raise ConfigError("there is no such state", where=path, fix="name a file that --save-state wrote")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        version, network, steps = (found.pop(name) for name in ("format", "network", "steps"))
        caches = tuple(found.pop(f"cache{index}") for index in range(len(found)))
        is_head = bool(version == FORMAT and network.dtype.kind == "U" and steps.dtype.kind == "i")
        state = StreamState(str(network.item()), int(steps.item()), caches)
    except _BROKEN as error:
        raise _no_state(path, str(error) or type(error).__name__) from error
    if not is_head:
        raise _no_state(path, "its head is none")
    return state


def _no_state(path: Path, why: str) -> TargetError:
    return TargetError(
        f"the file is no state of a stream, or damaged ({why})",
        where=path,
        fix="restore another one, or begin the stream anew",
    )
