"""Compare networks on the same videos: accuracy, agreement, size and latency before and after."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from edgevid import __version__
from edgevid.bench.environment import look_around
from edgevid.bench.protocol import ProgressEvent
from edgevid.bench.settings import Settings
from edgevid.bundle import Bundle
from edgevid.calibration.comparison import Comparison, save_comparison
from edgevid.calibration.conclude import conclude
from edgevid.calibration.contestants import (
    Contestant,
    Opener,
    check_alike,
    open_contestants,
    sampling_notes,
)
from edgevid.calibration.data import Data, check_labels, shares_of
from edgevid.calibration.early import repeat_notes
from edgevid.calibration.inference import Progress, show_all
from edgevid.calibration.journal import Answered, Journal, Skipped
from edgevid.calibration.latency import FEW_ROUNDS, Latency, measure_latency
from edgevid.calibration.logits import MeasuredLogits, read_logits
from edgevid.calibration.ranking import Ranking
from edgevid.calibration.shards import Pack
from edgevid.errors import ConfigError, VideoError

__all__ = ["compare", "partial_of"]


def compare(
    bundles: Sequence[Path],
    data: Data,
    *,
    logits: Mapping[str, Path] | None = None,
    max_drop: float | None = None,
    threads: int | None = None,
    timing: Settings | None = FEW_ROUNDS,
    labels: Sequence[str] = (),
    sensitivity: Mapping[str, Ranking] | None = None,
    output: Path | None = None,
    progress: Progress | None = None,
    opener: Opener = Bundle.open,
) -> Comparison:
    """Show every video to every network, and hold the others to the first.

    Videos are decoded while the networks run. What one video gave is on disk before the next one is
    looked at, in ``OUTPUT.partial``; the same comparison takes it up after an interruption.

    Args:
        bundles: folders; the first is the reference.
        data: videos, or packed clips, for which the reference was compiled; videos with shares are looked at
            from their beginnings too.
        logits: by name, files that another device computed from packed clips.
        max_drop: allowed drop of top-1, from 0 to 1.
        threads: of the runtimes, instead of the bundles' own.
        timing: how latency is measured; ``None`` leaves it out.
        labels: names of the classes instead of the reference's.
        sensitivity: for the report, by the name of a network what int8 costs at each of its layers.
        output: JSON file of the result.
        progress: called after every video, and while latency is measured.
        opener: of one bundle.

    Raises:
        ConfigError: nothing to compare, networks or logits that do not fit each other or the data, labels
            beyond the classes, or a limit on the drop without labels.
        VideoError: no video could be read.
        VerificationError: logits that are not finite.
        BundleError, TargetError, BenchmarkError: a bundle that cannot be opened, run or timed.
    """
    if len(bundles) + len(logits or {}) < 2 or not bundles:
        raise ConfigError("there is nothing to compare", fix="name two bundles, or one and --logits")
    views = data.sampling.clips * data.sampling.crops
    with ExitStack() as stack:
        contestants = open_contestants(bundles, stack, views=views, threads=threads, opener=opener)
        reference = contestants[0]
        notes = check_alike(contestants)
        notes += sampling_notes(reference.name, reference.bundle.manifest.sampling, data.sampling)
        check_labels(data, reference.classes)
        for flag, given in (("--max-drop", max_drop), ("--early", shares_of(data) or None)):
            if given is not None and all(label is None for label in data.labels):
                raise ConfigError(
                    "without labels there is no accuracy, and so no drop or curve",
                    where=data.source,
                    fix=f"give a list with labels, or leave {flag} out",
                )
        _check_rankings(sensitivity or {}, contestants, logits or {})
        measured = _read_logits(logits or {}, data, reference.classes, taken=[c.name for c in contestants])
        journal = stack.enter_context(
            Journal.open(output and partial_of(output), _identity(contestants, data, threads))
        )
        if journal.replaced:
            notes.append("intermediate results of another comparison were there, and are gone")
        if journal.resumed:
            notes.append(f"{journal.resumed} videos were done by an earlier run that was interrupted")
        show_all(contestants, data, journal, progress)
    answered = [entry for entry in journal.entries if isinstance(entry, Answered)]
    notes += _copies(answered)
    if not answered:
        journal.remove()
        why = next((entry.error for entry in journal.entries if isinstance(entry, Skipped)), "there is none")
        raise VideoError(f"no video could be read: {why}", where=data.source, fix="mend the list")
    latency = Latency(None, {}, {})
    if timing is not None:
        latency = measure_latency(contestants, timing, threads=threads, progress=_timing(progress))
    comparison = conclude(contestants, measured, journal, data, latency, max_drop, labels)
    notes += repeat_notes(comparison.early, data.sampling, len(answered))
    comparison = comparison.model_copy(update={"sensitivity": dict(sensitivity or {}), "notes": tuple(notes)})
    if output is not None:
        save_comparison(comparison, output)
        journal.remove()
    return comparison


def partial_of(output: Path) -> Path:
    """Where intermediate results lie."""
    return output.with_name(f"{output.name}.partial")


def _identity(contestants: Sequence[Contestant], data: Data, threads: int | None) -> dict[str, object]:
    """Intermediate results are taken up by the same networks on the same videos only, run in the same way.

    Other versions, instructions or numbers of threads give other roundings, and int8 other answers.
    """
    here = look_around()
    return {
        "edgevid": __version__,
        "bundles": [f"{contestant.sha256} {contestant.label}" for contestant in contestants],
        "data": data.sha256,
        "threads": threads,
        "cpus": len(here.affinity or ()),
        "isa": [here.architecture, here.cpu, *here.isa],
        "packages": here.packages,
        "variables": here.variables,
    }


def _copies(answered: Sequence[Answered]) -> list[str]:
    """A note on videos that show what others show."""
    copies = len(answered) - len({video.sha256 for video in answered})
    if not copies:
        return []
    return [
        f"{copies} of {len(answered)} videos show the same pixels as others: they tell nothing new, and "
        "intervals and tests are surer than they should be"
    ]


def _read_logits(
    files: Mapping[str, Path], data: Data, classes: int, *, taken: Sequence[str]
) -> dict[str, MeasuredLogits]:
    for name in files:
        if name in taken:
            raise ConfigError(f"two networks are named {name}", where="--logits", fix="give another NAME=")
    if not files:
        return {}
    if not isinstance(data, Pack):
        raise ConfigError(
            "logits of another device belong to packed clips, not to videos",
            where=data.source,
            fix="give --data the folder that the device computed them from",
        )
    return {name: read_logits(path, data, classes) for name, path in files.items()}


def _check_rankings(
    rankings: Mapping[str, Ranking], contestants: Sequence[Contestant], logits: Collection[str]
) -> None:
    """Raise `ConfigError` for a ranking of layers of a network that is not there."""
    known = {contestant.name: contestant.bundle.manifest.quantization for contestant in contestants}
    for name, ranking in rankings.items():
        if name not in known and name not in logits:
            raise ConfigError(
                f"no network is named {name}",
                where="--sensitivity",
                fix=f"write NAME=FILE with one of {', '.join((*known, *logits))}",
            )
        made = known.get(name)
        # Equalization changes weights, and layers are ranked before it.
        if made is not None and not made.passes and made.graph_sha256 != ranking.graph_sha256:
            raise ConfigError(
                f"the layers are of another network than {name}",
                where="--sensitivity",
                fix="rank the layers of the checkpoint that this bundle was compiled from",
            )


def _timing(progress: Progress | None) -> Callable[[ProgressEvent], None] | None:
    if progress is None:
        return None
    return lambda event: progress(f"latency: {event.stage}", event.done, event.total)
