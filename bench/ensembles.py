"""What each network of an ensemble adds to its latency."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from edgevid.bench.bundles import identity_of, in_flight_note, parameters_of, worth_of
from edgevid.bench.factory import Factory
from edgevid.bench.opening import OpenBundle, Opening
from edgevid.bench.processes import compare_in_processes
from edgevid.bench.protocol import Comparison, Elapsed, Progress, Variant
from edgevid.bench.results import Result
from edgevid.bench.settings import Settings
from edgevid.ensemble import Ensemble
from edgevid.errors import BenchmarkError

__all__ = ["bench_ensemble", "factories_of", "open_additions"]

NOTE = "each variant runs the networks of those before it too, one after the other, a clip of its own each"


def bench_ensemble(
    ensemble: Ensemble, how: Opening, settings: Settings | None = None, *, progress: Progress | None = None
) -> Result:
    """Measure the first network alone, then with the second after it, and so on.

    The first is the baseline, and is opened a second time for the A/A pair; otherwise each network is opened
    once, so that two variants differ by nothing but the networks that they run. Everything runs in fresh
    processes, see `edgevid.bench.bundles.bench_bundles`.

    Args:
        ensemble: opened.
        how: its bundles are opened.
        settings: of the protocol.
        progress: called for each step.

    Raises:
        BenchmarkError: the members are of several batch sizes.
        ConfigError: one was not compiled for that batch.
        TargetError: a runtime that refuses.
    """
    return compare_in_processes(
        _factory(ensemble, how, len(ensemble.members)),
        settings or Settings(),
        title=f"what each network adds to {ensemble.path.name}",
        parameters={"ensemble": ensemble.path.name, **parameters_of(how)},
        notes=[NOTE, *in_flight_note(how)],
        progress=progress,
    )


def factories_of(ensemble: Ensemble, how: Opening) -> dict[str, Factory]:
    """Of each variant, opened alone without a twin, by its name."""
    names = _names(ensemble)
    return {
        name: _factory(ensemble, how, number, first=number, twin=False)
        for number, name in enumerate(names, start=1)
    }


@contextmanager
def open_additions(
    folders: Sequence[str], names: Sequence[str], *, first: int = 1, twin: bool = True, **opening: Any
) -> Iterator[Comparison]:
    """Open the members of an ensemble in this process; sessions are closed on leaving.

    Args:
        folders: of the members, in their order.
        names: of the variants, of which the n-th runs the first n members.
        first: how many members the baseline runs.
        twin: open the first member a second time, for the A/A pair of a baseline that runs no other.
        opening: the fields of `edgevid.bench.opening.Opening`.

    Raises:
        BenchmarkError: members of several batch sizes, or not all timed by the same clock.
    """
    how = Opening(**opening)
    with ExitStack() as stack:
        opened = [stack.enter_context(how.open(Path(folder))) for folder in folders]
        _check_alike(opened, Path(folders[0]).parent.parent)
        variants = [
            _variant(names[count - 1], opened[:count], folders[0], how)
            for count in range(first, len(opened) + 1)
        ]
        again = stack.enter_context(how.open(Path(folders[0]))).run if twin else None
        yield Comparison(variants[0], variants[1:], twin=again)


def _names(ensemble: Ensemble) -> list[str]:
    """The first member is there alone, each other one with those before it."""
    first, *others = (member.title for member in ensemble.members)
    return [first, *(f"with {title}" for title in others)]


def _factory(ensemble: Ensemble, how: Opening, count: int, *, first: int = 1, twin: bool = True) -> Factory:
    """`open_additions` of the first ``count`` members, for another process."""
    return Factory(
        target=f"{__name__}:open_additions",
        arguments={
            "folders": [str(member.bundle.path) for member in ensemble.members[:count]],
            "names": _names(ensemble)[:count],
            "first": first,
            "twin": twin,
            **how.model_dump(mode="json"),
        },
    )


def _variant(name: str, opened: Sequence[OpenBundle], folder: str, how: Opening) -> Variant:
    """The first of them is in ``folder``. A sample is a clip of each, and counts as that of the first."""
    worth = [worth_of(each, how) for each in opened]
    label = next((label for label, _ in worth if label != "measured"), worth[0][0])
    note = "; ".join(dict.fromkeys(note for _, note in worth if note))
    identity = identity_of(Path(folder)) if len(opened) == 1 else None
    run = _one_after_the_other([each.run for each in opened])
    return Variant(name, run, label, note, identity, opened[0].clips)


def _one_after_the_other(runs: Sequence[Callable[[], object]]) -> Callable[[], object]:
    if len(runs) == 1:
        return runs[0]

    def run() -> Elapsed | None:
        found = [each() for each in runs]
        elapsed = [each.wall_ns for each in found if isinstance(each, Elapsed)]
        return Elapsed(sum(elapsed)) if elapsed else None

    return run


def _check_alike(opened: Sequence[OpenBundle], place: Path) -> None:
    batches = sorted({len(each.clip) for each in opened})
    if len(batches) > 1:
        raise BenchmarkError(
            f"the networks were compiled for batches of {', '.join(map(str, batches))} clips, and the times "
            "of such runs do not add up",
            where=place,
            fix="give a --batch that all of them have, or compile them again with one",
        )
    if len({each.clock for each in opened}) > 1:
        raise BenchmarkError(
            "some of the networks are timed by a clock of their device, and others are not",
            where=place,
            fix="compile all of them for one runtime",
        )
