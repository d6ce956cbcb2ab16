"""Logits that another device computed from packed clips.

An ``.npz`` or a ``.json`` file with the keys

- ``logits``: float ``[clips, classes]``, in the order of the clips in the shards;
- ``clips_sha256``: from the ``index.json`` of the clips;
- ``device`` (optional): what computed them, in words;
- ``latency_ms`` (optional): milliseconds of single runs on that device.
"""

from __future__ import annotations

import json
import lzma
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevid.bundle import sha256
from edgevid.calibration.shards import Pack
from edgevid.errors import ConfigError

__all__ = ["MeasuredLogits", "read_logits"]

_FIX = "let the device run the clips again, and write the keys that edgevid.calibration.logits lists"


_DAMAGES = (
    *(OSError, ValueError, TypeError, EOFError, RuntimeError, OverflowError, MemoryError, SyntaxError),
    *(struct.error, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)
"""What json, zipfile and numpy raise on bytes that were changed; SyntaxError is of numpy's headers."""


@dataclass(frozen=True)
class MeasuredLogits:
    """One file.

    Attributes:
        path: of it.
        sha256: of it.
        logits: ``[clips, classes]``.
        device: in words, empty if the file does not say.
        latency_ms: of single runs on that device.
    """

    path: Path
    sha256: str
    logits: NDArray[np.float32]
    device: str
    latency_ms: tuple[float, ...]


def read_logits(path: Path, pack: Pack, classes: int) -> MeasuredLogits:
    """Read logits of exactly the clips in ``pack``.

    Raises:
        ConfigError: the file is damaged, or its logits are of other clips or another network.
    """
    try:
        found = _load(path)
        with np.errstate(over="ignore"):  # what float32 does not hold is refused below
            logits = _numbers(found["logits"]).astype(np.float32)
        clips, device = str(found["clips_sha256"]), str(found.get("device", ""))
        latency = _numbers(found.get("latency_ms", ())).astype(np.float64)
        digest = sha256(path)
    except ConfigError as error:
        raise ConfigError(f"the logits file cannot be read: {error.what}", where=path, fix=_FIX) from error
    except KeyError as error:
        raise ConfigError(f"the logits file has no {error.args[0]!r}", where=path, fix=_FIX) from error
    except _DAMAGES as error:
        raise ConfigError(f"the logits file cannot be read: {error}", where=path, fix=_FIX) from error
    if clips != pack.index.clips_sha256:
        raise ConfigError(
            f"the logits are of other clips ({clips[:12]}...) than {pack.folder} holds "
            f"({pack.index.clips_sha256[:12]}...)",
            where=path,
            fix="let the device run these clips",
        )
    if logits.shape != (pack.index.clips, classes):
        raise ConfigError(
            f"logits {list(logits.shape)} for {pack.index.clips} clips and {classes} classes",
            where=path,
            fix=_FIX,
        )
    if bad := np.flatnonzero(~np.isfinite(logits).all(axis=1)).tolist():
        raise ConfigError(f"the logits of clip {bad[0]} are not finite", where=path, fix=_FIX)
    if latency.ndim != 1 or not (np.isfinite(latency) & (latency > 0)).all():
        raise ConfigError("latency_ms is no list of positive numbers", where=path, fix=_FIX)
    return MeasuredLogits(path, digest, logits, device, tuple(latency.tolist()))


def _numbers(given: Any) -> NDArray[Any]:
    """Raise `ConfigError` unless these are real numbers."""
    found = np.asarray(given)
    if found.dtype.kind not in "fiu":
        raise ConfigError(f"these are no numbers but {found.dtype}")
    return found


def _load(path: Path) -> dict[str, Any]:
    if path.suffix.lower() != ".npz":
        found = json.loads(path.read_bytes())
        if not isinstance(found, dict):
            raise ConfigError("the logits file cannot be read: it is no JSON object", where=path, fix=_FIX)
        return found
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
