"""Several networks that look at one video, as one bundle: what they say of it is averaged.

::

    ENSEMBLE/
      ensemble.json     of each member its title, its weight and the hash of its manifest
      members/1/        a bundle as any other, which can be used by itself
      members/2/

So the TSM paper's best results are made (8 and 16 frames), and those of GSM (8, 12, 16 and 24). A bundle is
opened as an ensemble of one, so that what takes ensembles takes bundles too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

import edgevid
from edgevid.bundle import ENSEMBLE, MANIFEST, MEMBERS, Bundle, read_record, sha256
from edgevid.contract import RunSettings, Sampling, Session
from edgevid.errors import BundleError, BundleIntegrityError, ConfigError
from edgevid.graph.verify import run_all
from edgevid.scores import ensemble_scores

__all__ = ["Ensemble", "EnsembleSession", "Member", "check_members", "is_ensemble", "seal_ensemble"]

SCHEMA: Literal[1] = 1


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _MemberRecord(_Record):
    folder: str = Field(pattern=rf"^{MEMBERS}/[1-9][0-9]*$")
    title: str = Field(min_length=1)
    weight: float = Field(gt=0, allow_inf_nan=False)
    manifest_sha256: str


class _Manifest(_Record):
    schema_version: Literal[1] = SCHEMA
    edgevid: str
    members: list[_MemberRecord] = Field(min_length=2)

    @model_validator(mode="after")
    def _told_apart(self) -> _Manifest:
        for values in ([each.folder for each in self.members], [each.title for each in self.members]):
            if len(set(values)) < len(values):
                raise ValueError(f"two members are one: {', '.join(values)}")
        return self


@dataclass(frozen=True)
class Member:
    """One network of an ensemble.

    Attributes:
        bundle: opened.
        title: a name for people that no other member has.
        weight: of its scores; only the ratios to those of the other members count.
        sampling: which frames it looks at, and which part of them; the bundle's own unless replaced.
        settings: how its session uses the device, likewise.
    """

    bundle: Bundle
    title: str
    weight: float
    sampling: Sampling
    settings: RunSettings

    @classmethod
    def of(cls, bundle: Bundle, title: str, weight: float = 1.0) -> Member:
        """With what was compiled in."""
        return cls(bundle, title, weight, bundle.manifest.sampling, bundle.manifest.settings)

    @property
    def batch(self) -> int:
        """The largest compiled one that the views of a video fill, or the smallest."""
        views = self.sampling.clips * self.sampling.crops
        return max((size for size in self.bundle.batches if size <= views), default=self.bundle.batches[0])


@dataclass(frozen=True)
class Ensemble:
    """Opened, checked bundles of networks that look at one video together.

    Example:
        >>> ensemble = Ensemble.open("tsm-8+16.bundle")
        >>> with ensemble.session() as session:
        ...     probabilities = session.run([clip_of_8_frames, clip_of_16_frames])
    """

    path: Path
    members: tuple[Member, ...]

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Ensemble:
        """Read an ensemble and check every file of its members; or a bundle, as an ensemble of one.

        Raises:
            BundleError: neither is there, or a manifest is damaged.
            BundleVersionError: written by a newer edgevid.
            BundleIntegrityError: a file is missing, changed, or not of the ensemble.
            ConfigError: the members do not fit together.
        """
        folder = Path(path).absolute()
        if not is_ensemble(folder):
            return cls.of(Bundle.open(folder))
        manifest = read_record(folder / ENSEMBLE, _Manifest, SCHEMA)
        try:
            _check_folders(folder, manifest)
        except OSError as error:
            raise BundleError(
                f"the ensemble cannot be read: {error}",
                where=folder,
                fix="check its files and your permissions",
            ) from error
        members = tuple(
            Member.of(Bundle.open(folder / each.folder), each.title, each.weight) for each in manifest.members
        )
        check_members(members)
        return cls(folder, members)

    @classmethod
    def of(cls, bundle: Bundle) -> Ensemble:
        """A single network."""
        return cls(bundle.path, (Member.of(bundle, bundle.path.name),))

    def with_members(self, change: Callable[[Member], Member]) -> Ensemble:
        """The same networks, each as ``change`` returns it: with another sampling, say."""
        return Ensemble(self.path, tuple(map(change, self.members)))

    @property
    def classes(self) -> int:
        """Length of the scores."""
        return self.members[0].bundle.classes

    @property
    def labels(self) -> list[str] | None:
        """Names of the classes; None where no member has them."""
        return next(filter(None, (member.bundle.manifest.labels for member in self.members)), None)

    @property
    def simulated(self) -> str:
        """As `Bundle.simulated`."""
        return self.members[0].bundle.simulated

    @contextmanager
    def session(self) -> Iterator[EnsembleSession]:
        """Open every member side by side on this machine.

        Raises:
            TargetError: the runtime is missing or refuses a member, or would compute it wrongly here.
        """
        with ExitStack() as stack:
            sessions = [
                stack.enter_context(member.bundle.session(member.batch, member.settings))
                for member in self.members
            ]
            yield EnsembleSession(self.members, sessions)


class EnsembleSession:
    """Open networks that look at one video after the other, each at its own views of it.

    Attributes:
        seconds: that each network took in the last `run`.
    """

    def __init__(self, members: Sequence[Member], sessions: Sequence[Session]) -> None:
        self._members, self._sessions = members, sessions
        self.seconds: tuple[float, ...] = ()

    def run(self, clips: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """Probabilities ``[classes]`` of one video: the weighted mean, see `ensemble_scores`.

        Args:
            clips: for each member the views that it takes, ``uint8`` ``[views, T, H, W, 3]``.

        Raises:
            ConfigError: not as many as members.
            TargetError: views of another shape than the member takes.
        """
        if len(clips) != len(self._sessions):
            raise ConfigError(
                f"clips for {len(clips)} networks, of which there are {len(self._sessions)}",
                fix="give each member the views of its own sampling",
            )
        logits, seconds = [], []
        for session, views in zip(self._sessions, clips, strict=True):
            start = perf_counter()
            logits.append(run_all(session, views))
            seconds.append(perf_counter() - start)
        self.seconds = tuple(seconds)
        samplings = [member.sampling for member in self._members]
        return ensemble_scores(logits, samplings, [member.weight for member in self._members])


def is_ensemble(path: str | os.PathLike[str]) -> bool:
    """A folder of several bundles, rather than one."""
    try:
        return (Path(path) / ENSEMBLE).is_file()
    except OSError:
        return False  # whoever opens it as a bundle says what is wrong


def check_members(members: Sequence[Member]) -> None:
    """See that networks can look at one video together, and on one device.

    Raises:
        ConfigError: they are of several devices, know other classes, or one takes frame by frame.
    """
    for member in members:
        first = members[0]
        if member.bundle.manifest.streaming is not None:
            raise ConfigError(
                "a network of an ensemble takes frame by frame",
                where=member.title,
                fix="compile it without --streaming",
            )
        if member.bundle.manifest.device != first.bundle.manifest.device:
            raise ConfigError(
                f"one network is compiled for {first.bundle.manifest.device}, another one for "
                f"{member.bundle.manifest.device}",
                where=f"{first.title}; {member.title}",
                fix="compile all of them for one --device",
            )
        if member.bundle.classes != first.bundle.classes:
            raise ConfigError(
                f"one network knows {first.bundle.classes} classes, another one {member.bundle.classes}",
                where=f"{first.title}; {member.title}",
                fix="give networks that were trained on the same classes",
            )
    named = [member for member in members if member.bundle.manifest.labels is not None]
    for member in named:
        if member.bundle.manifest.labels != named[0].bundle.manifest.labels:
            raise ConfigError(
                "the networks name their classes differently, or have them in another order",
                where=f"{named[0].title}; {member.title}",
                fix="give networks that were trained on the same classes, or the right --labels",
            )


def seal_ensemble(folder: Path, members: Sequence[Member]) -> None:
    """Write the manifest of an ensemble, whose members are in its folder already, last of all.

    Raises:
        ConfigError: see `check_members`.
    """
    check_members(members)
    manifest = _Manifest(
        edgevid=edgevid.__version__,
        members=[
            _MemberRecord(
                folder=member.bundle.path.relative_to(folder).as_posix(),
                title=member.title,
                weight=member.weight,
                manifest_sha256=sha256(member.bundle.path / MANIFEST),
            )
            for member in members
        ],
    )
    (folder / ENSEMBLE).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _check_folders(folder: Path, manifest: _Manifest) -> None:
    """The members are those that were compiled, and nothing else is there."""
    for each in manifest.members:
        file = folder / each.folder / MANIFEST
        if file.parent.is_symlink() or not file.is_file():
            raise BundleIntegrityError(
                f"the ensemble lacks {each.folder}",
                where=folder,
                fix="copy the whole folder, or compile again",
            )
        if sha256(file) != each.manifest_sha256:
            raise BundleIntegrityError(
                f"{each.folder} is another bundle than was compiled into the ensemble",
                where=file.parent,
                fix="copy the whole folder again, or compile again",
            )
    known = {ENSEMBLE, MEMBERS, *(each.folder for each in manifest.members)}
    there = {
        path.relative_to(folder).as_posix() for path in (*folder.iterdir(), *(folder / MEMBERS).iterdir())
    }
    if foreign := sorted(there - known):
        raise BundleIntegrityError(
            f"the ensemble does not know {foreign[0]}",
            where=folder,
            fix="remove it if it is yours; else do not use this ensemble, or compile again",
        )
