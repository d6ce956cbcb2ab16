"""The folder of a sweep: one result a curve, and a record of all points.

Every file is written whole or not at all, so that a sweep that is killed leaves what it finished.
Sweeps that share a folder take turns, a curve at a time: two that measure at once would disturb each other.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from tempfile import mkdtemp

from pydantic import ValidationError

from edgevid.bench.results import Result
from edgevid.bench.storage import load_result, save_result
from edgevid.disk import write_text
from edgevid.errors import BenchmarkError, ConfigError
from edgevid.overhead.record import SWEEP_FILE, CurveId, PointState, SweepRecord

__all__ = ["SweepFolder", "read_record"]

_LOCK = ".lock"
_ARTIFACTS = ".artifacts"

Tell = Callable[[str], None]


class SweepFolder:
    """Results and record of the sweeps of one network.

    Args:
        path: made if it is not there.
        tell: is told what the user should know: that another sweep is waited for, that a file is damaged.

    Raises:
        ConfigError: the folder cannot be made, or is something else.
    """

    def __init__(self, path: Path, tell: Tell) -> None:
        self.path = path
        self._tell = tell
        try:
            path.mkdir(parents=True, exist_ok=True)
            (path / _LOCK).touch()
        except OSError as error:
            raise ConfigError(
                f"the folder of the sweep cannot be made: {error.strerror or error}",
                where=path,
                fix="give another -o, in a folder that you may write to",
            ) from error

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Be the only sweep that measures and writes here; the kernel ends the turn of a killed one."""
        with (self.path / _LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._tell(f"{self.path}: another sweep measures here, waiting for its curve to end")
                fcntl.flock(lock, fcntl.LOCK_EX)
            for draft in self.path.glob(".*.tmp"):
                draft.unlink()  # of a sweep that was killed while it wrote
            yield

    @contextmanager
    def workplace(self) -> Iterator[Path]:
        """An empty folder for artifacts, gone afterwards; so is what a killed sweep left.

        Its name is new each time: a library that is loaded again from the same path is the old one.
        """
        place = self.path / _ARTIFACTS
        shutil.rmtree(place, ignore_errors=True)
        try:
            place.mkdir()
            yield Path(mkdtemp(dir=place))
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def result_file(self, curve: CurveId) -> Path:
        """Where the samples of a curve lie."""
        return self.path / f"{curve.name}.json"

    def load(self, curve: CurveId) -> Result | None:
        """What is measured of a curve so far; a damaged file counts as nothing, and is told."""
        path = self.result_file(curve)
        if not path.exists():
            return None
        try:
            return load_result(path)
        except BenchmarkError as error:
            self._tell(f"{path} counts as not measured: {error.what}")
            return None

    def results(self, record: SweepRecord) -> dict[CurveId, Result]:
        """The results that a record speaks of, in its order."""
        curves = dict.fromkeys(point.curve for point in record.points if point.result)
        return {curve: result for curve in curves if (result := self.load(curve)) is not None}

    def save(self, curve: CurveId, result: Result) -> None:
        """Replace the result of a curve.

        Raises:
            BenchmarkError: the disk is full.
        """
        save_result(result, self.result_file(curve))

    def set_aside(self, curve: CurveId, *, finished: bool) -> None:
        """Keep the file of a curve that is measured anew as ``NAME.json.old``, and tell it.

        One that was not finished takes no other's place there.
        """
        path = self.result_file(curve)
        old = path.with_name(f"{path.name}.old")
        if path.exists() and (finished or not old.exists()):
            path.replace(old)
            self._tell(f"{curve}: what was there is kept as {old}")

    def update(self, wanted: SweepRecord, states: Sequence[PointState] = ()) -> SweepRecord:
        """Write the record: what it says, points that are new in ``wanted``, and ``states``.

        States replace all that is said of their curves.

        Raises:
            ConfigError: the folder holds the sweep of another network, or its record is damaged.
        """
        path = self.path / SWEEP_FILE
        points = {(point.curve, point.proportion): point for point in wanted.points}
        if path.exists():
            found = read_record(path)
            _require_same(found, wanted, path)
            points |= {(point.curve, point.proportion): point for point in found.points}
        curves = {state.curve for state in states}
        kept = [point for (curve, _), point in points.items() if curve not in curves]
        order = list(dict.fromkeys(curve for curve, _ in points))
        told = sorted(
            (*kept, *states), key=lambda point: (order.index(point.curve), Fraction(point.proportion))
        )
        record = wanted.model_copy(update={"points": tuple(told)})
        write_text(path, record.model_dump_json(indent=1) + "\n")
        return record


def _require_same(found: SweepRecord, wanted: SweepRecord, path: Path) -> None:
    for name in ("model", "segments", "size", "threads"):
        old, new = getattr(found, name), getattr(wanted, name)
        if old != new:
            raise ConfigError(
                f"the folder holds a sweep with {name} {old}, this one has {name} {new}",
                where=path,
                fix="give another -o",
            )


def read_record(path: Path) -> SweepRecord:
    """Read a ``sweep.json``.

    Raises:
        ConfigError: it cannot be read, or is no record of a sweep.
    """
    try:
        return SweepRecord.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"the record of the sweep cannot be read: {error.strerror or error}", where=path
        ) from error
    except (ValidationError, ValueError) as error:
        raise ConfigError(
            "not the record of a sweep, or damaged",
            where=path,
            fix="remove it: the results beside it stay, and the same command writes it anew",
        ) from error
