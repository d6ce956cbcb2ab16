"""Files of ``torch.save``, read without running anything that they hold.

PyTorch's weights-only unpickler builds tensors and plain containers. Training code also
leaves numpy scalars, mmengine's history buffers and the like beside the weights; these
become `Inert` objects, which ignore everything. Any other global is refused by name.
"""

from __future__ import annotations

import pickle
import pickletools
import re
import struct
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import torch

from edgevid.errors import CheckpointError, UnsafeCheckpointError

__all__ = ["Inert", "load_pickle"]

_NUMPY = (
    "numpy.dtype",
    "numpy.ndarray",
    *(
        f"{core}.{name}"
        for core in ("numpy.core", "numpy._core")
        for name in ("multiarray.scalar", "multiarray._reconstruct", "numeric._frombuffer")
    ),
    *(
        f"numpy.dtypes.{name}DType"
        for name in (
            *("Bool", "Float16", "Float32", "Float64", "Str"),
            *(f"{sign}{bits}" for sign in ("Int", "UInt") for bits in (8, 16, 32, 64)),
        )
    ),
)
HARMLESS = (
    *_NUMPY,
    "mmengine.logging.history_buffer.HistoryBuffer",
    "argparse.Namespace",
    # HistoryBuffer's statistics are stored as getattr(HistoryBuffer, "mean").
    "builtins.getattr",
)
"""Globals that published files hold beside their weights; each becomes an `Inert` object."""

_OF_TENSORS = re.compile(
    r"torch\.(\w+Storage|Size|device|Tensor|b?float\d+|half|double|u?int\d+|bool|strided)"
    r"|torch\._utils\._rebuild_\w+|torch\._tensor\._rebuild_from_type_v2|torch\.serialization\._get_layout"
    r"|torch\.storage\.(Untyped|Typed)Storage|torch\.nn\.parameter\.(Parameter|Buffer)"
)
"""What PyTorch writes for tensors. Its modules hold loaders too, which run whatever they are given."""

_TENSOR_GLOBALS = frozenset(("collections.OrderedDict", "_codecs.encode"))
_UNREADABLE = (
    *(RuntimeError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError),
    *(OverflowError, MemoryError, struct.error, zipfile.BadZipFile, OSError),
)
_NO_ARCHIVE = (OSError, ValueError, RuntimeError, struct.error, zipfile.BadZipFile)


class Inert:
    """Stands for an object of a foreign class: takes all arguments and does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __new__(cls, *args: Any, **kwargs: Any) -> Inert:
        """The same for pickles that build by ``__new__``."""
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        pass


def load_pickle(path: Path) -> Any:
    """What ``torch.save`` wrote, with tensors on the CPU and foreign objects inert.

    Raises:
        UnsafeCheckpointError: the pickle names something other than tensors; nothing ran.
        CheckpointError: the file is truncated, or is no file of ``torch.save``.
    """
    _refuse_bombs(path)
    if _is_torchscript(path):
        raise CheckpointError(
            "a TorchScript program, not a state dict",
            where=path,
            fix="save the weights of the original model: torch.save(model.state_dict(), path)",
        )
    stand_ins: list[Any] = [(Inert, name) for name in HARMLESS]
    try:
        with torch.serialization.safe_globals(stand_ins), warnings.catch_warnings():
            # It warns of pickle protocols that it then reads, or refuses with an error.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        _refuse_code(path, str(error))
        raise _unreadable(path, error) from error
    except _UNREADABLE as error:
        _refuse_code(path, str(error))
        raise _unreadable(path, error) from error


def _refuse_code(path: Path, message: str) -> None:
    """Raise `UnsafeCheckpointError` if the file holds globals that are no tensors."""
    named = set(re.findall(r"GLOBAL ((?:\w+\.)+\w+)", message))
    try:
        named.update(_globals_of(path))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, RuntimeError):
        # A damaged file holds no more names than PyTorch's message already gave.
        named = set(named)
    foreign = sorted(name for name in named if not _is_expected(name))
    if not foreign:
        return
    shown = ", ".join(foreign[:6]) + (f" and {len(foreign) - 6} more" if len(foreign) > 6 else "")
    raise UnsafeCheckpointError(
        f"its pickle asks for {shown}, which could run code; nothing was executed",
        where=path,
        fix="in the code that wrote it, save only the weights: torch.save(model.state_dict(), path)",
    )


def _is_expected(name: str) -> bool:
    return name in HARMLESS or name in _TENSOR_GLOBALS or _OF_TENSORS.fullmatch(name) is not None


def _unreadable(path: Path, error: Exception) -> CheckpointError:
    text = str(error)
    # PyTorch's own advice, to load without its protection, is left out.
    reason = re.search(r"WeightsUnpickler error:\s*(.+?)(?:\. |\n|$)", text)
    first = reason[1] if reason else (text.strip().splitlines() or [type(error).__name__])[0]
    protocol = re.match(r"Unsupported operand (149|140|141|142|143|147)\b", first)
    if protocol:
        return CheckpointError(
            "its pickle protocol is 4 or higher, which cannot be read without running code",
            where=path,
            fix="save it as PyTorch does by default, with pickle_protocol=2, or as safetensors",
        )
    return CheckpointError(
        f"not a checkpoint, or truncated: {first[:160]}",
        where=path,
        fix="compare its size with the publisher's and download it again; a .pth, .pt, .tar or .safetensors "
        "file written by torch.save or safetensors is expected",
    )


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except _NO_ARCHIVE:
        return False


def _refuse_bombs(path: Path) -> None:
    """PyTorch allocates what an archive claims to hold, and stores it uncompressed."""
    try:
        with zipfile.ZipFile(path) as archive:
            claimed = sum(member.file_size for member in archive.infolist())
    except _NO_ARCHIVE:
        return
    # Members that are listed twice are odd, but no danger.
    if claimed > 2 * path.stat().st_size:
        raise CheckpointError(
            f"an archive of {path.stat().st_size} bytes that claims to hold {claimed}",
            where=path,
            fix="compare its size with the publisher's and download it again; it must not be compressed",
        )


def _globals_of(path: Path) -> set[str]:
    """Names of all globals in the pickles of a file, found without unpickling."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.endswith("data.pkl")]
            found: set[str] = set()
            for name in members:
                with archive.open(name) as stream:
                    found.update(_globals_in(stream))
            return found
    with path.open("rb") as stream:
        found = set()
        # The format before PyTorch 1.6: magic number, version, system, data, keys.
        for _ in range(5):
            found.update(_globals_in(stream))
        return found


def _globals_in(stream: IO[bytes]) -> Iterator[str]:
    strings: list[str] = []
    memo: list[str | None] = []
    latest: str | None = None
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            name = opcode.name
            if name == "MEMOIZE":
                memo.append(latest)
                continue
            latest = None
            if name in ("GLOBAL", "INST"):
                named = str(argument).split(" ")
                # A text file may look like a pickle; a module's name holds no spaces.
                if len(named) == 2:
                    yield ".".join(named).replace("__builtin__", "builtins")
            elif name == "STACK_GLOBAL" and len(strings) >= 2:
                yield f"{strings[-2]}.{strings[-1]}"
            elif isinstance(argument, str):
                latest = argument
            elif name in ("BINGET", "LONG_BINGET") and isinstance(argument, int) and argument < len(memo):
                latest = memo[argument]
            if latest is not None:
                strings.append(latest)
    except (ValueError, IndexError, UnicodeDecodeError, OverflowError, MemoryError, struct.error):
        # A damaged length asks for gigabytes that the file does not have.
        return
