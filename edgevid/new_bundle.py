"""Where a bundle goes: written beside its place and renamed, so that it is never half there."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from edgevid.bundle import ENSEMBLE, MANIFEST, MEMBERS, read_manifest
from edgevid.errors import BundleError, BundleVersionError, TargetError

__all__ = ["check_place", "new_bundle"]

FULL = 1 << 20
"""Bytes; a disk with less free space than this is where a failed write is put down to it."""


@contextlib.contextmanager
def new_bundle(place: Path) -> Iterator[Path]:
    """A folder to fill, which becomes ``place`` when the block ends without an error.

    On any error, an interrupt included, the folder goes away and an older bundle stays.

    Raises:
        BundleError: ``place`` is something other than a bundle, or the disk is full.
    """
    place = place.absolute()
    check_place(place)
    # Its name is chosen before it exists: an interrupt may come at any moment after.
    draft = place.with_name(f".{place.name}.{secrets.token_hex(8)}.partial")
    try:
        draft.mkdir(mode=0o700, parents=True)
        yield draft
        draft.chmod(0o755)
        _sync(draft)
        _replace(draft, place)
    except OSError as error:
        raise _disk_error(error, place) from error
    except TargetError as error:
        # Vendors' writers report a full disk as an unnamed stream error.
        if shutil.disk_usage(draft).free < FULL:
            raise _disk_error(OSError(errno.ENOSPC, str(error)), place) from error
        raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def check_place(place: Path) -> None:
    """Raise `BundleError` if writing a bundle to ``place`` is impossible or would destroy something else."""
    try:
        _check_free(place)
    except OSError as error:
        raise _disk_error(error, place) from error


def _check_free(place: Path) -> None:
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise BundleError("a file or link of that name is there", where=place, fix="give another -o")
    if not place.is_dir():
        return
    found = {path.relative_to(place).as_posix() for path in place.rglob("*") if not path.is_dir()}
    if not found:
        return
    try:
        known = _own_files(place)
    except BundleVersionError:
        return
    except BundleError as error:
        raise BundleError(
            "the folder is there and is no bundle", where=place, fix="give another -o, or empty it"
        ) from error
    if foreign := sorted(found - known):
        raise BundleError(
            f"the bundle's folder holds a file that is not its own: {foreign[0]}",
            where=place,
            fix="move it away, or give another -o",
        )


def _own_files(place: Path) -> set[str]:
    """Of a bundle; or of an ensemble, with those of its members."""
    members = sorted((place / MEMBERS).glob("*")) if (place / ENSEMBLE).is_file() else []
    own = {ENSEMBLE} if members else set()
    for folder in members or [place]:
        inside = folder.relative_to(place)
        own |= {(inside / name).as_posix() for name in (MANIFEST, *read_manifest(folder).files)}
    return own


def _sync(folder: Path) -> None:
    """Force the files to disk, so that a full disk is noticed before the old bundle goes."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _replace(draft: Path, place: Path) -> None:
    """Put ``draft`` where ``place`` is; an older bundle ends up where ``draft`` was."""
    if not place.exists():
        draft.rename(place)
        return
    if _exchange(draft, place):
        return
    old = draft.with_suffix(".old")
    place.rename(old)
    try:
        draft.rename(place)
    except BaseException:
        old.rename(place)
        raise
    old.rename(draft)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step, so that a reader finds a bundle at any time (renameat2(2)).

    Returns:
        False where the kernel or the file system cannot.
    """
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    working_folder, exchange = -100, 2
    swapped: int = rename(working_folder, os.fsencode(one), working_folder, os.fsencode(other), exchange)
    return swapped == 0


def _disk_error(error: OSError, place: Path) -> BundleError:
    full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    if error.errno is None and place.parent.is_dir():
        # numpy reports a write that was cut short without a number.
        full = shutil.disk_usage(place.parent).free < FULL
    what = "the disk is full" if full else f"the bundle cannot be written: {error.strerror or error}"
    try:
        kept = "; the bundle that was there is unchanged" if place.exists() else ""
    except OSError:
        kept = ""
    fix = (
        "free some space, or give -o on another disk" if full else "give -o in a folder that you may write to"
    )
    return BundleError(what + kept, where=error.filename or place, fix=fix)
