"""The networks of a comparison, open: what they are, and whether they can be compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path

from edgevid.bench.bundles import label_of, names_of
from edgevid.bench.results import LABELS, Label
from edgevid.bundle import MANIFEST, Bundle, sha256
from edgevid.contract import Sampling, Session
from edgevid.errors import ConfigError

__all__ = ["Contestant", "check_alike", "open_contestants", "sampling_notes"]

Opener = Callable[[Path], Bundle]

_NOT_SEEN = ("average", "interval")
"""Of a `Sampling`: what does not change a clip."""


@dataclass(frozen=True)
class Contestant:
    """One bundle and its open session.

    Attributes:
        label: ``simulated`` where the session or the bundle says so of itself: another runtime
            stands in for the device's.
        note: what the label means here.
        sha256: of the manifest, which holds the hash of every other file.
    """

    name: str
    bundle: Bundle
    session: Session
    label: Label
    note: str
    sha256: str

    @property
    def classes(self) -> int:
        """How many logits a clip has."""
        return self.session.output.shape[1]

    @property
    def steps(self) -> int | None:
        """Frames that one run computes in turn, delay included; ``None`` for a network of whole clips."""
        streaming = self.bundle.artifact().streaming
        return None if streaming is None else streaming.segments + streaming.delay

    @property
    def clip(self) -> tuple[int, ...]:
        """Shape of one clip, ``[T, H, W, 3]``."""
        return tuple(self.session.input.shape[1:])

    @property
    def bytes(self) -> int:
        """Of the artifact of the smallest batch."""
        folder = self.bundle.artifact().folder
        return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def open_contestants(
    paths: Sequence[Path], stack: ExitStack, *, views: int, threads: int | None, opener: Opener
) -> list[Contestant]:
    """Open every bundle with the largest batch that one video fills.

    Args:
        paths: folders of the bundles.
        stack: closes the sessions.
        views: clips and crops a video.
        threads: of the runtime, instead of the bundle's.
        opener: of one bundle.

    Raises:
        BundleError, TargetError: one that cannot be opened, or not on this machine.
    """
    contestants = []
    for name, path in zip(names_of(paths), paths, strict=True):
        bundle = opener(path)
        batch = max((size for size in bundle.batches if size <= views), default=bundle.batches[0])
        settings = replace(bundle.manifest.settings, threads=threads) if threads else None
        session = stack.enter_context(bundle.session(batch, settings))
        label, note = label_of(bundle)
        if simulated := getattr(session, "simulated", "") or getattr(bundle, "simulated", ""):
            label = "simulated"
            note = f"imitates {simulated}" if isinstance(simulated, str) else LABELS["simulated"]
        contestants.append(Contestant(name, bundle, session, label, note, sha256(bundle.path / MANIFEST)))
    return contestants


def check_alike(contestants: Sequence[Contestant]) -> list[str]:
    """Can they see the same clips and give comparable answers? What differs is told in words.

    Raises:
        ConfigError: clips or classes of different shapes, or classes of other names.
    """
    reference, notes = contestants[0], []
    first = reference.bundle.manifest
    for other in contestants[1:]:
        manifest = other.bundle.manifest
        for what, mine, others in (
            ("clips", list(reference.clip), list(other.clip)),
            ("classes", reference.classes, other.classes),
        ):
            if mine != others:
                raise ConfigError(
                    f"{other.name} has {what} {others}, {reference.name} has {mine}",
                    where=other.bundle.path,
                    fix="compare bundles of one network",
                )
        if first.labels and manifest.labels and first.labels != manifest.labels:
            raise ConfigError(
                f"the classes of {other.name} and {reference.name} have different names",
                where=other.bundle.path,
                fix="compare bundles of one network, compiled with the same --labels",
            )
        if manifest.source_sha256 != first.source_sha256:
            notes.append(f"{other.name} comes from another file ({manifest.source}) than {reference.name}")
        notes += sampling_notes(other.name, manifest.sampling, first.sampling)
    notes += [
        f"{one.name} takes frame by frame: a run steps through a clip, and its answer is the average"
        for one in contestants
        if one.steps
    ]
    return notes


def sampling_notes(name: str, wanted: Sampling, given: Sampling) -> list[str]:
    """What a network wants of its clips, and does not get."""
    different = [
        f"{part.name} {getattr(wanted, part.name)} but sees {getattr(given, part.name)}"
        for part in fields(Sampling)
        if part.name not in _NOT_SEEN and getattr(wanted, part.name) != getattr(given, part.name)
    ]
    return [f"{name} was made for {', '.join(different)}"] if different else []
