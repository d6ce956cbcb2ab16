"""How fast our TVM kernels are on this machine: ``python -m edgevid.calibration.tvm_latency``.

One clip of 8 frames of 224x224, batch 1. ``--what peers`` holds them against ONNX Runtime and OpenVINO
on the same network, ``overhead`` against the same network without a shift at several proportions,
``threads`` against one thread of themselves. Every TVM artifact is tuned the same way, networks
without a shift too. The weights are random, since only time is asked for; what each artifact
computes is compared with ONNX Runtime before it is timed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, get_args

from edgevid.bench.artifacts import factory_of
from edgevid.bench.claims import Claim, takes_at_least, takes_at_most, told
from edgevid.bench.processes import compare_in_processes
from edgevid.bench.progress import progress_bar
from edgevid.bench.protocol import Progress
from edgevid.bench.results import Result
from edgevid.bench.settings import Settings
from edgevid.bench.storage import save_result
from edgevid.bench.table import render
from edgevid.calibration.int8_variants import NO_SHIFT, Variants
from edgevid.contract import Artifact, RunSettings, Tuning
from edgevid.graph.lower import KEEP
from edgevid.models.config import NetworkConfig
from edgevid.targets._profiles import device as find_device

__all__ = ["PROPORTIONS", "Question", "main", "measure_tvm"]

Question = Literal["peers", "overhead", "threads"]
Arithmetic = Literal["fp32", "int8"]

OURS, TVM, PEER, ORT = "TVM", "host-tvm", "host", "reference"
PROPORTIONS = ("1/8", "1/4", "1/2", "1")


@dataclass(frozen=True)
class _Bench:
    """What all variants of one measurement share."""

    backbone: str
    precision: Arithmetic
    folder: Path
    tuning: Tuning
    segments: int
    size: int

    def network(self, proportion: str, device: str) -> Variants:
        config = NetworkConfig.model_validate(
            {
                "backbone": self.backbone,
                "classes": 400,
                "segments": self.segments,
                "size": self.size,
                "shift": None if proportion == "0" else {"proportion": proportion},
            }
        )
        tuning = self.tuning if device == TVM else None
        return Variants(config, threads=1, device=device, tuning=tuning)

    def compile(self, name: str, network: Variants, lowering: str, precision: Arithmetic) -> Artifact:
        folder = self.folder / name.replace("/", "_")
        if precision == "int8":
            return network.compile_int8(folder)
        return network.compile_float(lowering, folder)


def measure_tvm(
    backbone: str,
    what: Question,
    *,
    precision: Arithmetic = "fp32",
    tuning: Tuning | None = None,
    proportions: Sequence[str] = PROPORTIONS,
    segments: int = 8,
    size: int = 224,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Result:
    """Latency of one clip on this machine's CPU.

    Raises:
        VerificationError: an artifact does not compute what ONNX Runtime computes.
        MissingDependencyError: a runtime is not installed.
    """
    with TemporaryDirectory(prefix="edgevid-tvm-") as place:
        bench = _Bench(backbone, precision, Path(place), tuning or Tuning(measure=True), segments, size)
        if what == "overhead":
            found = _overhead(bench, proportions)
        elif what == "threads":
            found = _threads(bench)
        else:
            found = _peers(bench)
        return compare_in_processes(
            factory_of(found),
            settings or Settings(),
            title=f"{backbone}, {precision}: {what}",
            device=find_device(TVM).title,
            parameters={"backbone": backbone, "batch": 1, "segments": segments, "size": size},
            notes=["random weights: only time means something", *found[next(iter(found))].notes],
            progress=progress,
        )


def _peers(bench: _Bench) -> dict[str, Artifact]:
    ours, peer = bench.network("1/4", TVM), bench.network("1/4", PEER)
    found = {OURS: bench.compile(OURS, ours, KEEP, bench.precision)}
    if bench.precision == "int8":
        found[f"{OURS} float32"] = bench.compile(f"{OURS} float32", ours, KEEP, "fp32")
        found["OpenVINO"] = bench.compile("OpenVINO", peer, "", "int8")
        return found
    for name in dict.fromkeys(("negative_pad", peer.default_lowering)):
        found[f"OpenVINO, {name}"] = bench.compile(f"OpenVINO, {name}", peer, name, "fp32")
    for name in (KEEP, "negative_pad"):
        told_as = f"ONNX Runtime, {name}"
        found[told_as] = bench.compile(told_as, bench.network("1/4", ORT), name, "fp32")
    return found


def _overhead(bench: _Bench, proportions: Sequence[str]) -> dict[str, Artifact]:
    found = {}
    for proportion in ("0", *proportions):
        network = bench.network(proportion, TVM)
        name = "no shift" if proportion == "0" else f"p = {proportion}"
        found[name] = bench.compile(name, network, NO_SHIFT if proportion == "0" else KEEP, bench.precision)
    return found


def _threads(bench: _Bench) -> dict[str, Artifact]:
    one = bench.compile(OURS, bench.network("1/4", TVM), KEEP, bench.precision)
    return {"1 thread": one, "2 threads": replace(one, settings=RunSettings(threads=2))}


def claims(result: Result, what: Question, backbone: str, precision: Arithmetic) -> list[Claim]:
    """What is wanted, and whether this result shows it."""
    names = [variant.name for variant in result.variants if variant.role != "twin"]
    first, others = names[0], names[1:]
    if what == "overhead":
        return [takes_at_most(result, name, first, 1.01) for name in others]
    if what == "threads":
        return [takes_at_least(result, first, others[0], 1.8)]
    if precision == "int8":
        speedup = {"resnet50": 2.8, "mobilenet_v2": 2.2}[backbone]
        return [
            takes_at_least(result, f"{OURS} float32", first, speedup),
            takes_at_most(result, first, "OpenVINO", 1.1),
        ]
    if backbone == "mobilenet_v2":
        return [takes_at_least(result, name, first, 1.1) for name in others]
    return [
        takes_at_most(result, first, name, 1.03)
        if name.startswith("OpenVINO") and name != "OpenVINO, negative_pad"
        else takes_at_least(result, name, first, 1.0)
        for name in others
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit status is 0 however slow it was."""
    from rich.console import Console

    parser = argparse.ArgumentParser(description="Our TVM kernels against others on this machine.")
    parser.add_argument("--backbone", choices=("resnet50", "mobilenet_v2"), default="resnet50")
    parser.add_argument("--what", choices=get_args(Question), default="peers")
    parser.add_argument("--precision", choices=get_args(Arithmetic), default="fp32")
    parser.add_argument("--rounds", type=int, default=40, help="rounds a process")
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--records", type=Path, help="of tuning; a file in the user's cache by default")
    parser.add_argument("--output", type=Path, help="write the result as JSON")
    options = parser.parse_args(arguments)
    with progress_bar() as progress:
        result = measure_tvm(
            options.backbone,
            options.what,
            precision=options.precision,
            tuning=Tuning(measure=True, records=options.records),
            settings=Settings(rounds=options.rounds, processes=options.processes),
            progress=progress,
        )
    Console().print(render(result))
    print(told(claims(result, options.what, options.backbone, options.precision)))
    if options.output:
        save_result(result, options.output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
