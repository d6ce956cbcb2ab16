"""What lies on disk: a folder with a compiled network and all that is needed to trust it.

::

    BUNDLE/
      manifest.json           versions, hashes, settings with their sources, verification results
      golden/*.npy            clips, and the float reference's logits for them
      golden/sequence.*.npy   of a bundle that takes frame by frame: frames, and the logits of each
      artifacts/batch1/       what the vendor's runtime opens, and example.py that does so
      artifacts/batch16/
      artifacts/batches/      instead of these, where one artifact holds all batches

Opening one checks every hash. Nothing in it is a pickle. How it gets there: `edgevid.new_bundle`.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from edgevid.contract import Artifact, RunSettings, Session
from edgevid.errors import BundleError, BundleIntegrityError, BundleVersionError, ConfigError
from edgevid.graph.verify import Expectation
from edgevid.graph.verify_steps import FrameSequence
from edgevid.manifest import SCHEMA_VERSION, Manifest
from edgevid.target_finder import find_target

__all__ = [
    "ENSEMBLE",
    "MANIFEST",
    "MEMBERS",
    "Bundle",
    "read_manifest",
    "read_record",
    "save_expectation",
    "save_sequence",
    "seal",
    "sha256",
]

MANIFEST = "manifest.json"
ENSEMBLE, MEMBERS = "ensemble.json", "members"
"""Of several bundles as one: see `edgevid.ensemble`."""

_Record = TypeVar("_Record", bound=BaseModel)


@dataclass(frozen=True)
class Bundle:
    """An opened, checked bundle.

    Example:
        >>> bundle = Bundle.open("tsm.bundle")
        >>> with bundle.session() as session:
        ...     logits = session.run(clip)
    """

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Bundle:
        """Read the manifest and check every file against its hash.

        Raises:
            BundleError: no bundle there, or its manifest is damaged.
            BundleVersionError: written by a newer edgevid.
            BundleIntegrityError: a file is missing, changed, or outside the folder.
        """
        folder = Path(path).absolute()
        try:
            manifest = read_manifest(folder)
            _check_files(folder, manifest)
        except (OSError, ValueError, RuntimeError) as error:
            raise BundleError(
                f"the bundle cannot be read: {error}",
                where=folder,
                fix="check its files and your permissions",
            ) from error
        return cls(folder, manifest)

    @property
    def batches(self) -> tuple[int, ...]:
        """The batch sizes that were compiled, smallest first."""
        return tuple(sorted(record.batch for record in self.manifest.artifacts))

    def artifact(self, batch: int | None = None) -> Artifact:
        """The artifact of a batch size; the smallest by default.

        Raises:
            ConfigError: that batch was not compiled.
        """
        wanted = self.batches[0] if batch is None else batch
        for record in self.manifest.artifacts:
            if record.batch == wanted:
                return record.artifact(self.path, self.manifest)
        have = ", ".join(map(str, self.batches))
        raise ConfigError(
            f"the bundle has no artifact for batch {wanted}",
            where=self.path,
            fix=f"use batch {have}, or compile with --batch {wanted}",
        )

    @property
    def simulated(self) -> str:
        """The runtime whose arithmetic it imitates; empty for a bundle that is the real thing."""
        return self.manifest.simulates

    def session(self, batch: int | None = None, settings: RunSettings | None = None) -> Session:
        """Open an artifact on this machine; a context manager.

        Raises:
            TargetError: its runtime is missing or refuses it, or would compute it wrongly here.
        """
        artifact = self.artifact(batch)
        return find_target(artifact.target).open(artifact, settings)

    @property
    def clip_shape(self) -> tuple[int, int, int, int]:
        """``(T, H, W, C)`` of the clips that its sessions run."""
        how = self.manifest.sampling
        return how.segments, how.crop, how.crop, how.channels

    @property
    def classes(self) -> int:
        """Length of the logits."""
        return self.artifact().output.shape[1]

    def sequence(self) -> FrameSequence | None:
        """The recorded frames and what is expected of each; None of a bundle that takes whole clips."""
        if self.manifest.streaming is None:
            return None
        name = self.manifest.streaming.sequence
        frames, logits = (_load(self.path, f"golden/{name}.{kind}.npy") for kind in ("frames", "logits"))
        if frames.shape[1:] != self.clip_shape[1:] or logits.shape != (len(frames), self.classes):
            raise BundleIntegrityError(
                f"a golden sequence of shape {frames.shape} and {logits.shape} does not fit the network",
                where=self.path / "golden",
                fix="compile again",
            )
        if len(frames) < 3 or not np.isfinite(logits).all():
            raise BundleIntegrityError(
                "the golden sequence proves nothing", where=self.path / "golden", fix="compile again"
            )
        return FrameSequence(frames, logits)

    def expectations(self) -> list[Expectation]:
        """The recorded clips and the reference's logits for them: of the float graph, or of the int8 one."""
        shape, classes = self.clip_shape, (self.classes,)
        found = []
        for name in self.manifest.golden:
            clips, logits = (_load(self.path, f"golden/{name}.{kind}.npy") for kind in ("clips", "logits"))
            if clips.shape[1:] != shape or logits.shape != (len(clips), *classes) or not len(clips):
                raise BundleIntegrityError(
                    f"golden data of shape {clips.shape} and {logits.shape} does not fit the network",
                    where=self.path / "golden",
                    fix="compile again",
                )
            if not np.isfinite(logits).all():
                raise BundleIntegrityError(
                    "golden logits are not finite", where=self.path / "golden", fix="compile again"
                )
            found.append(Expectation(name.replace("_", " "), clips, logits))
        return found

    @property
    def golden_clip(self) -> NDArray[Any]:
        """The first golden clip, ``[1, T, H, W, C]``."""
        return self.expectations()[0].clips[:1]


def save_expectation(folder: Path, expectation: Expectation) -> str:
    """Write golden data into a bundle's folder; returns its name for the manifest."""
    name = expectation.name.replace(" ", "_")
    (folder / "golden").mkdir(exist_ok=True)
    np.save(folder / "golden" / f"{name}.clips.npy", expectation.clips, allow_pickle=False)
    np.save(folder / "golden" / f"{name}.logits.npy", expectation.logits, allow_pickle=False)
    return name


def save_sequence(folder: Path, name: str, sequence: FrameSequence) -> None:
    """Write a golden sequence into a bundle's folder."""
    (folder / "golden").mkdir(exist_ok=True)
    np.save(folder / "golden" / f"{name}.frames.npy", sequence.frames, allow_pickle=False)
    np.save(folder / "golden" / f"{name}.logits.npy", sequence.logits, allow_pickle=False)


def seal(folder: Path, manifest: Manifest) -> None:
    """Hash every file of a draft and write its manifest, the last file to be written."""
    files = {
        path.relative_to(folder).as_posix(): sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }
    text = manifest.model_copy(update={"files": files}).model_dump_json(indent=2)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Of a bundle, whose files are not looked at.

    Raises:
        BundleError: there is none, it is of an ensemble, or it cannot be read.
    """
    file = folder / MANIFEST
    if not file.is_file():
        if (folder / ENSEMBLE).is_file():
            raise BundleError(
                "this is an ensemble of several networks, and one is wanted here",
                where=folder,
                fix=f"give the folder of one of them, as {folder / MEMBERS / '1'}",
            )
        raise BundleError(
            "no bundle there: manifest.json is missing",
            where=folder,
            fix="give the folder that compile wrote",
        )
    return read_record(file, Manifest, SCHEMA_VERSION)


def read_record(file: Path, kind: type[_Record], latest: int) -> _Record:
    """The manifest of a bundle or of an ensemble, whose schemas are known up to ``latest``.

    Raises:
        BundleError: it may not be read, or is damaged.
        BundleVersionError: written by a newer edgevid.
    """
    try:
        text = file.read_text(encoding="utf-8")
        head = Manifest.head(text)
        if head > latest:
            raise BundleVersionError(
                f"the bundle has schema {head}, this edgevid reads up to {latest}",
                where=file,
                fix="pip install --upgrade edgevid, or compile again with this version",
            )
        return kind.model_validate_json(text)
    except PermissionError as error:
        raise BundleError("the manifest may not be read", where=file, fix="change its permissions") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "whole"
        raise BundleError(
            f"the manifest is damaged: {place}: {first['msg']}", where=file, fix="compile again"
        ) from error
    except (ConfigError, ValueError, OSError, RecursionError) as error:
        raise BundleError(f"the manifest is damaged: {error}", where=file, fix="compile again") from error


def _check_files(folder: Path, manifest: Manifest) -> None:
    """Every file that is named is there and unchanged, and no other file is there."""
    for name, digest in manifest.files.items():
        file = _inside(folder, name)
        if not file.is_file():
            raise BundleIntegrityError(
                f"the bundle lacks {name}", where=folder, fix="copy the whole folder, or compile again"
            )
        if sha256(file) != digest:
            raise BundleIntegrityError(
                f"{name} has changed since it was compiled", where=file, fix="copy it again, or compile again"
            )
    needed = {f"golden/{name}.{kind}.npy" for name in manifest.golden for kind in ("clips", "logits")}
    if manifest.streaming is not None:
        needed |= {f"golden/{manifest.streaming.sequence}.{kind}.npy" for kind in ("frames", "logits")}
    for record in manifest.artifacts:
        _inside(folder, record.folder)
        needed.add(_inside(folder / record.folder, record.entry).relative_to(folder).as_posix())
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    for name in sorted((needed | there) - {MANIFEST} - set(manifest.files)):
        raise BundleIntegrityError(
            f"the manifest has no hash of {name}",
            where=folder,
            fix="remove the file if it is yours; else do not use this bundle, or compile again",
        )


def _load(folder: Path, name: str) -> NDArray[Any]:
    file = _inside(folder, name)
    try:
        loaded = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise BundleIntegrityError(
            f"golden data cannot be read: {error}", where=file, fix="compile again"
        ) from error
    if not isinstance(loaded, np.ndarray):
        raise BundleIntegrityError("golden data is no array", where=file, fix="compile again")
    return loaded


def _inside(folder: Path, name: str) -> Path:
    """``folder/name``, refused when the name climbs out of the folder."""
    parts = PurePosixPath(name)
    file = folder / parts
    if parts.is_absolute() or ".." in parts.parts or not file.resolve().is_relative_to(folder.resolve()):
        raise BundleIntegrityError(
            f"the manifest names a file outside the bundle: {name}",
            where=folder,
            fix="do not use this bundle: it was tampered with",
        )
    return file


def sha256(path: Path) -> str:
    """The hash of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
