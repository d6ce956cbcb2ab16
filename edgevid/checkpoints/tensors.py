"""From a file to named float32 tensors: opening, unwrapping, checking values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edgevid.checkpoints.pickles import load_pickle
from edgevid.errors import CheckpointError, UnknownLayoutError

__all__ = ["METADATA_KEY", "StateFile", "open_state"]

METADATA_KEY = "edgevid"
"""Of a safetensors file: settings as JSON, named like the flags of `edgevid.checkpoints.read`."""

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.")


@dataclass(frozen=True)
class StateFile:
    """What a file holds.

    Attributes:
        tensors: by key, without wrappers' prefixes; floating ones are float32.
        settings: from the file's own metadata.
        converted: names of the types that were converted to float32.
    """

    tensors: dict[str, torch.Tensor]
    settings: dict[str, Any]
    converted: tuple[str, ...]


def open_state(path: Path) -> StateFile:
    """The tensors of a ``torch.save`` or safetensors file.

    Raises:
        UnsafeCheckpointError: its pickle holds code.
        UnknownLayoutError: it is readable but holds no tensors.
        CheckpointError: it is missing, truncated, or holds numbers that are not finite.
    """
    if not path.is_file():
        kind = "a folder, not a file" if path.is_dir() else "no such file"
        raise CheckpointError(kind, where=path, fix="give the path of a .pth, .pt, .tar or .safetensors file")
    settings: dict[str, Any] = {}
    if _is_safetensors(path):
        loaded, settings = _load_safetensors(path)
    else:
        loaded = load_pickle(path)
    tensors = _strip_prefixes(_unwrap(loaded, path))
    converted: set[str] = set()
    for key, tensor in tensors.items():
        tensors[key] = _as_float32(key, tensor, converted, path)
    _refuse_nonfinite(tensors, path)
    return StateFile(tensors, settings, tuple(sorted(converted)))


def _is_safetensors(path: Path) -> bool:
    if path.suffix == ".safetensors":
        return True
    with path.open("rb") as stream:
        head = stream.read(9)
    # Eight bytes of header length, then the JSON header.
    return len(head) == 9 and head[8:] == b"{" and int.from_bytes(head[:8], "little") < 100_000_000


def _load_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            loaded = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"not a safetensors file, or truncated: {error}",
            where=path,
            fix="compare its size with the publisher's and download it again",
        ) from error
    if METADATA_KEY not in metadata:
        return loaded, {}
    try:
        settings = json.loads(metadata[METADATA_KEY])
    except json.JSONDecodeError as error:
        raise CheckpointError(
            f"its metadata entry {METADATA_KEY!r} is not JSON: {error}",
            where=path,
            fix="write it with edgevid.checkpoints.write",
        ) from error
    if not isinstance(settings, dict):
        raise CheckpointError(f"its metadata entry {METADATA_KEY!r} is no JSON object", where=path)
    return loaded, settings


def _unwrap(loaded: Any, path: Path) -> dict[str, torch.Tensor]:
    for _ in range(len(_WRAPPERS)):
        if not isinstance(loaded, Mapping):
            break
        inner = next((loaded[key] for key in _WRAPPERS if isinstance(loaded.get(key), Mapping)), None)
        if inner is None:
            break
        loaded = inner
    if not isinstance(loaded, Mapping):
        raise UnknownLayoutError(
            f"it holds a {type(loaded).__name__}, not a state dict",
            where=path,
            fix="save the weights by name: torch.save(model.state_dict(), path)",
        )
    tensors = {key: value for key, value in loaded.items() if isinstance(value, torch.Tensor)}
    others = [str(key) for key in loaded if key not in tensors]
    if not tensors:
        held = ", ".join(others[:6]) or "nothing"
        raise UnknownLayoutError(
            f"it holds no weights, but {held}",
            where=path,
            fix=f"weights are looked for at the top and under {', '.join(_WRAPPERS)}",
        )
    dotted = [key for key in others if "." in key]
    if dotted:
        raise CheckpointError(f"{dotted[0]} and {len(dotted) - 1} more are no tensors", where=path)
    return {str(key): value.detach() for key, value in tensors.items()}


def _strip_prefixes(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Remove what wrappers such as DataParallel put before every key."""
    while True:
        common = next((p for p in _PREFIXES if all(key.startswith(p) for key in tensors)), None)
        if common is None:
            return tensors
        tensors = {key.removeprefix(common): tensor for key, tensor in tensors.items()}


def _as_float32(key: str, tensor: torch.Tensor, converted: set[str], path: Path) -> torch.Tensor:
    if tensor.is_meta:
        raise CheckpointError(f"{key} has no data", where=path, fix="save the weights, not a meta tensor")
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_complex():
        raise CheckpointError(
            f"{key} is a {tensor.dtype} tensor of layout {tensor.layout}",
            where=path,
            fix="save dense floating-point weights",
        )
    if tensor.is_floating_point() and tensor.dtype is not torch.float32:
        converted.add(str(tensor.dtype).removeprefix("torch."))
        return tensor.to(torch.float32)
    return tensor


def _refuse_nonfinite(tensors: dict[str, torch.Tensor], path: Path) -> None:
    bad = [key for key, tensor in tensors.items() if tensor.is_floating_point() and not _finite(tensor)]
    if bad:
        raise CheckpointError(
            f"{len(bad)} of its tensors hold NaN or infinite numbers: {', '.join(bad[:4])}",
            where=path,
            fix="take an earlier checkpoint: training has diverged, or the file is damaged",
        )


def _finite(tensor: torch.Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())
