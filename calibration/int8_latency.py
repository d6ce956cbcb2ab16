"""How fast int8 is on this machine: ``python -m edgevid.calibration.int8_latency``.

One clip of 8 frames of 224x224, one thread, a quarter of the channels shifted: int8 against
float32 on its best lowering and against int8 without the shift, and with ``--nncf`` against what
NNCF makes of the same networks with the same clips. The weights are random, since only time is
asked for; what each artifact computes is compared with ONNX Runtime before it is timed.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from edgevid.bench.artifacts import factory_of
from edgevid.bench.claims import Claim, takes_at_least, takes_at_most, told
from edgevid.bench.processes import compare_in_processes
from edgevid.bench.progress import progress_bar
from edgevid.bench.protocol import Progress
from edgevid.bench.results import Result
from edgevid.bench.settings import Settings
from edgevid.bench.storage import save_result
from edgevid.bench.table import render
from edgevid.calibration.int8_variants import DEVICE, NO_SHIFT, Facts, Variants
from edgevid.calibration.nncf_peer import PRESETS, quantize_by_nncf
from edgevid.contract import Artifact
from edgevid.models.config import NetworkConfig, ShiftConfig
from edgevid.targets._profiles import device as find_device

__all__ = ["Wanted", "claims", "main", "measure_int8"]

OURS, OURS_NO_SHIFT = "int8", "int8, no shift"
NNCF_LOWERINGS = ("slice_concat", "negative_pad")
"""How a network with the shift is written for NNCF: as published, and in the form it does best with."""


@dataclass(frozen=True)
class Wanted:
    """What is asked of a network.

    Attributes:
        speedup: of int8 over float32 on its best lowering, at least.
        nncf_ratio: our latency over NNCF's without the shift, at most.
        overhead: of the shift in int8, at most.
    """

    speedup: float
    nncf_ratio: float
    overhead: float = 1.05


WANTED: Mapping[str, Wanted] = {
    "resnet50": Wanted(speedup=3.5, nncf_ratio=1.03),
    "mobilenet_v2": Wanted(speedup=2.2, nncf_ratio=1 / 1.5),
}


def measure_int8(
    config: NetworkConfig,
    *,
    lowerings: Sequence[str] = (),
    nncf: bool = False,
    clips: int = 16,
    threads: int = 1,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> tuple[Result, dict[str, Facts]]:
    """Latency of one clip in int8 and float32, on this machine's CPU.

    Args:
        config: a network with a shift.
        lowerings: in float32; what ``auto`` takes alone when empty.
        nncf: measure what NNCF makes of it too.
        clips: that are calibrated with.
        threads: of each session.
        settings: of the protocol.
        progress: called for each step.

    Returns:
        The samples, and what each variant is besides.

    Raises:
        VerificationError: an artifact does not compute what ONNX Runtime computes.
        TargetError: the runtime refuses a graph.
        MissingDependencyError: a runtime, or NNCF, is not installed.
    """
    shifted, plain = Variants(config, clips, threads), Variants(config.without_shift(), clips, threads)
    device = find_device(DEVICE)
    with TemporaryDirectory(prefix="edgevid-int8-") as place:
        folder = Path(place)
        found: dict[str, tuple[Variants, Artifact]] = {
            OURS: (shifted, shifted.compile_int8(folder / "int8")),
            OURS_NO_SHIFT: (plain, plain.compile_int8(folder / "int8-no-shift")),
        }
        for name in lowerings or [shifted.default_lowering]:
            found[f"float32, {name}"] = shifted, shifted.compile_float(name, folder / name)
        if nncf:
            found.update(_by_nncf(plain, (NO_SHIFT,), folder))
            found.update(_by_nncf(shifted, NNCF_LOWERINGS, folder))
        facts = {name: network.facts(artifact) for name, (network, artifact) in found.items()}
        artifacts = {name: artifact for name, (_, artifact) in found.items()}
        result = compare_in_processes(
            factory_of(artifacts),
            settings or Settings(),
            title=f"{config.backbone}, p = {config.shift.proportion if config.shift else 0}: int8",
            device=device.title,
            parameters={
                "backbone": config.backbone,
                "batch": 1,
                "segments": config.segments,
                "size": config.size,
                "threads": threads,
                "calibration clips": clips,
            },
            notes=[
                *(f"{name}: {fact}" for name, fact in facts.items()),
                "random weights: only time and layers mean something",
            ],
            progress=progress,
        )
    return result, facts


def claims(result: Result, facts: Mapping[str, Facts], wanted: Wanted) -> list[Claim]:
    """What is wanted, and whether this result shows it."""
    names = [variant.name for variant in result.variants if variant.role != "twin"]
    found = [
        Claim(f"{name}: {facts[name]}", "all in int8", facts[name].int8 == facts[name].convolutions)
        for name in (OURS, OURS_NO_SHIFT)
    ]
    found += [
        takes_at_least(result, name, OURS, wanted.speedup) for name in names if name.startswith("float32")
    ]
    found.append(takes_at_most(result, OURS, OURS_NO_SHIFT, wanted.overhead))
    for name in names:
        if not name.startswith("NNCF"):
            continue
        ours, limit = (OURS_NO_SHIFT, wanted.nncf_ratio) if name.endswith(NO_SHIFT) else (OURS, 1.0)
        found.append(takes_at_most(result, ours, name, limit))
        layers = f"{ours}: {facts[ours].int8} convolutions in int8, {name}: {facts[name].int8}"
        found.append(Claim(layers, "no fewer", facts[ours].int8 >= facts[name].int8))
    return found


def _by_nncf(
    network: Variants, lowerings: Sequence[str], folder: Path
) -> dict[str, tuple[Variants, Artifact]]:
    found = {}
    for preset in PRESETS:
        for lowering in lowerings:
            name = f"NNCF {preset}, {lowering}"
            artifact = quantize_by_nncf(
                network.lowered(network.graph, lowering),
                network.data.pixels,
                preset,
                folder / name,
                device=find_device(DEVICE),
                lowering=lowering,
                threads=network.threads,
            )
            found[name] = network, artifact
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit status is 0 however slow it was."""
    from rich.console import Console

    parser = argparse.ArgumentParser(description="int8 against float32 on this machine.")
    parser.add_argument("--backbone", choices=tuple(WANTED), default="resnet50")
    parser.add_argument("--rounds", type=int, default=40, help="rounds a process")
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clips", type=int, default=16, help="to calibrate with")
    parser.add_argument("--lowering", action="append", default=[], help="in float32; may be given again")
    parser.add_argument("--nncf", action="store_true", help="measure NNCF's quantization too")
    parser.add_argument("--output", type=Path, help="write the result as JSON")
    options = parser.parse_args(arguments)
    with progress_bar() as progress:
        result, facts = measure_int8(
            NetworkConfig(backbone=options.backbone, classes=400, shift=ShiftConfig()),
            lowerings=options.lowering,
            nncf=options.nncf,
            clips=options.clips,
            threads=options.threads,
            settings=Settings(rounds=options.rounds, processes=options.processes),
            progress=progress,
        )
    Console().print(render(result))
    print(told(claims(result, facts, WANTED[options.backbone])))
    if options.output:
        save_result(result, options.output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
