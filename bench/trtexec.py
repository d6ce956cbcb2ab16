"""What NVIDIA's ``trtexec`` measured, as a result of edgevid's.

``--exportTimes`` is a list of runs in milliseconds. TensorRT 7 and early 8 name the copies to and from the
GPU ``inMs`` and ``outMs``; later ones name them ``h2dMs`` and ``d2hMs`` and add the times of enqueueing. Up
to 8.4 there is ``endToEndMs`` (samples/common/sampleReporting.cpp of each). All figures are computed from the
runs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import edgevid
from edgevid.bench.environment import Environment
from edgevid.bench.results import ProcessRun, Result, Samples, VariantRecord
from edgevid.bench.settings import Settings
from edgevid.bench.validity import judge
from edgevid.errors import BenchmarkError

__all__ = ["LayerTime", "Times", "import_trtexec", "read_layers", "read_times"]

_AGAIN = "give the file that trtexec --exportTimes wrote"
_PROFILE = "give the file that trtexec --exportProfile wrote"
_SLOWEST = 10
_LARGEST = sys.float_info.max
_OVERLAP = 0.1
"""Share of runs that begin before the one before ends, from which several streams must have been at work."""


@dataclass(frozen=True)
class Times:
    """Milliseconds of each run, in their order.

    Attributes:
        older: in the format of TensorRT 7 and early 8.
        latency: copies and computing together, without waiting for other runs.
        h2d: copying the input to the GPU.
        compute: the GPU's own time.
        d2h: copying the output back.
        end_to_end: from the begin of the first copy to the end of the last; up to TensorRT 8.4.
        enqueue: the host's time to give the run to the GPU; newer format alone.
        overlapping: runs were on the GPU together, as with ``--streams`` above 1.
    """

    older: bool
    latency: tuple[float, ...]
    h2d: tuple[float, ...]
    compute: tuple[float, ...]
    d2h: tuple[float, ...]
    end_to_end: tuple[float, ...] = ()
    enqueue: tuple[float, ...] = ()
    overlapping: bool = False


@dataclass(frozen=True)
class LayerTime:
    """A layer of ``--exportProfile``: milliseconds a run, and its share of all layers from 0 to 1."""

    name: str
    average: float
    share: float


def read_times(path: Path) -> Times:
    """Read what ``--exportTimes`` wrote, in either format.

    Raises:
        BenchmarkError: the file is missing, cut off or something else; a time is missing, negative or no
            number. The message names the run.
    """
    runs = _list(path, _AGAIN)
    first = runs[0] if isinstance(runs[0], dict) else {}
    older = "inMs" in first
    copies = ("inMs", "outMs") if older else ("h2dMs", "d2hMs")

    def column(*names: str) -> tuple[float, ...]:
        return tuple(_time(run, number, names, path) for number, run in enumerate(runs))

    def given(*names: str) -> bool:
        return all(name in first for name in names)

    h2d, compute, d2h = column(copies[0]), column("computeMs"), column(copies[1])
    latency = (
        column("latencyMs") if given("latencyMs") else tuple(map(sum, zip(h2d, compute, d2h, strict=True)))
    )
    overlapping = False
    if given("startComputeMs", "endComputeMs"):
        starts, ends = column("startComputeMs"), column("endComputeMs")
        early = sum(start < end for start, end in zip(starts[1:], ends[:-1], strict=True))
        overlapping = early > _OVERLAP * len(starts)
    return Times(
        older,
        latency,
        h2d,
        compute,
        d2h,
        end_to_end=column("endToEndMs") if given("endToEndMs") else (),
        # Some releases of the older format give the times of the copy under these names.
        enqueue=column("startEnqMs", "endEnqMs") if not older and given("startEnqMs", "endEnqMs") else (),
        overlapping=overlapping,
    )


def read_layers(path: Path) -> tuple[LayerTime, ...]:
    """Read what ``--exportProfile`` wrote; the layers in the order of the engine.

    Raises:
        BenchmarkError: the file is missing, cut off or something else.
    """
    found = [entry for entry in _list(path, _PROFILE) if not (isinstance(entry, dict) and "count" in entry)]
    layers = []
    for number, entry in enumerate(found):
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            raise BenchmarkError("a layer without a name", where=f"{path}: layer {number}", fix=_PROFILE)
        layers.append((name, _time(entry, number, ("averageMs",), path)))
    if not layers:
        raise BenchmarkError("the profile holds no layers", where=path, fix=_PROFILE)
    total = sum(average for _, average in layers) or 1.0
    return tuple(LayerTime(name, average, average / total) for name, average in layers)


def import_trtexec(times: Path, *, profile: Path | None = None, name: str = "", device: str = "") -> Result:
    """What trtexec measured as a result: latency first, its parts as candidates beside it.

    trtexec has no A/A pair: each run is compared with the one after it. Nor does it measure the
    CPU; the wall time stands there, as in all results from elsewhere.

    Args:
        times: of ``--exportTimes``.
        profile: of ``--exportProfile``; the slowest layers become notes.
        name: of the network; the file's by default.
        device: that it ran on.

    Raises:
        BenchmarkError: a file cannot be read or is something else.
    """
    found = read_times(times)
    name = name or times.stem
    run = _run(found, name)
    layers = read_layers(profile) if profile else ()
    return Result(
        title=f"{name}: latency by trtexec",
        device=device,
        created=datetime.fromtimestamp(times.stat().st_mtime, timezone.utc),
        command=("trtexec", f"--exportTimes={times.name}"),
        settings=Settings(rounds=run.rounds, warmup=0),
        parameters={"format": "older" if found.older else "newer"},
        runs=(run,),
        verdict=judge([run]),
        notes=tuple(_notes(found, layers)),
    )


def _run(times: Times, name: str) -> ProcessRun:
    parts = {
        "H2D": times.h2d,
        "compute": times.compute,
        "D2H": times.d2h,
        "end to end": times.end_to_end,
        "enqueue": times.enqueue,
    }
    # Without transfers (--noDataTransfers) there is nothing to show of them.
    shown = {f"{name}, {part}": values for part, values in parts.items() if any(values)}
    twin = f"{name} (A/A)"
    columns = {name: times.latency, twin: (*times.latency[1:], times.latency[0]), **shown}
    return ProcessRun(
        variants=(
            VariantRecord(name=name, role="baseline"),
            VariantRecord(name=twin, role="twin", note="of each run the one after it"),
            *(VariantRecord(name=part, role="candidate") for part in shown),
        ),
        orders=(tuple(range(len(columns))),) * len(times.latency),
        samples={part: _samples(values) for part, values in columns.items()},
        environment=_elsewhere(),
    )


def _samples(milliseconds: Sequence[float]) -> Samples:
    nanoseconds = tuple(round(value * 1e6) for value in milliseconds)
    return Samples(wall_ns=nanoseconds, cpu_ns=nanoseconds)


def _elsewhere() -> Environment:
    """Of a machine of which trtexec's files say nothing."""
    return Environment(
        cpu=None,
        isa=(),
        cpus=None,
        affinity=None,
        governor=None,
        frequency_khz=None,
        memory_bytes=None,
        load_average=None,
        architecture="unknown",
        kernel="unknown",
        system="unknown",
        virtualization=(),
        python="unknown",
        edgevid=edgevid.__version__,
        packages={},
        variables={},
    )


def _notes(times: Times, layers: Sequence[LayerTime]) -> Iterator[str]:
    yield "measured by trtexec; of the CPU and of other load nothing is known, CPU times are wall times"
    if times.overlapping:
        yield "runs overlap, as of several streams: a latency holds the wait for other runs"
    if layers:
        total = sum(layer.average for layer in layers)
        yield f"{len(layers)} layers, together {total:.4g} ms a run; the slowest:"
    for layer in sorted(layers, key=lambda each: -each.average)[:_SLOWEST]:
        yield f"{layer.average:.4g} ms ({layer.share:.1%}) {layer.name}"


def _list(path: Path, fix: str) -> list[Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=partial(_refuse, path, fix))
    except OSError as error:
        raise BenchmarkError(
            f"the file cannot be read: {error.strerror or error}", where=path, fix="check the path"
        ) from error
    except (ValueError, RecursionError) as error:
        raise BenchmarkError(f"not valid JSON, or cut off: {error}", where=path, fix=fix) from error
    if not isinstance(content, list) or not content:
        kind = "an empty list" if content == [] else f"a {type(content).__name__}, not a list"
        raise BenchmarkError(f"not what trtexec writes: {kind}", where=path, fix=fix)
    return content


def _refuse(path: Path, fix: str, text: str) -> NoReturn:
    raise BenchmarkError(f"{text} is no number", where=path, fix=fix)


def _time(run: Any, number: int, names: Sequence[str], path: Path) -> float:
    """The time of that name, or from the first name to the second."""
    where = f"{path}: entry {number}"
    if not isinstance(run, Mapping):
        raise BenchmarkError("not what trtexec writes: an entry without fields", where=where, fix=_AGAIN)
    values = []
    for name in names:
        value = run.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
            what = f"{name} is {value!r}, not a number" if name in run else f"it has no {name}"
            raise BenchmarkError(f"not what trtexec writes: {what}", where=where, fix=_AGAIN)
        values.append(float(value))
    time = values[-1] - values[0] if len(values) > 1 else values[0]
    if time < 0:
        raise BenchmarkError(f"{' to '.join(names)} is {time:g} ms", where=where, fix=_AGAIN)
    return time
