"""How fast each layer of a TVM bundle runs: ``python -m edgevid.bench.tvm_layers BUNDLE``.

Every function of some runs is timed on one thread, and its rate is held against what a loop that
touches registers alone reaches on one core. Calls are timed one by one, so that their sum is a
little more than the network's latency.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgevid.bundle import Bundle
from edgevid.contract import RunSettings
from edgevid.errors import ConfigError

__all__ = ["LayerRate", "main", "measure_layers"]

WARM_UP = 2
SEED = 0


@dataclass(frozen=True)
class LayerRate:
    """One layer of a module.

    Attributes:
        name, family, tile, precision: of the layer and its kernel.
        milliseconds: the median of its calls.
        share: of the sum of all layers.
        giga_operations: a second, two for each multiplication and addition; 0 where none counts.
        of_peak: share of one core's measured peak.
    """

    name: str
    family: str
    tile: str
    precision: str
    milliseconds: float
    share: float
    giga_operations: float
    of_peak: float


def measure_layers(
    path: str | Path, *, rounds: int = 20, batch: int | None = None
) -> tuple[list[LayerRate], dict[str, float]]:
    """The layers of a bundle for this machine, and the peaks in multiplications a second.

    Raises:
        ConfigError: the bundle is none of TVM for this machine.
    """
    from edgevid.targets._profiles import device as find_device
    from edgevid.targets.tvm._target import cpu_of
    from edgevid.targets.tvm.layer_times import time_layers
    from edgevid.targets.tvm.peak import peak_macs

    bundle = Bundle.open(path)
    device = find_device(bundle.manifest.device)
    if not device.cpu or not device.is_this_machine:
        raise ConfigError(
            f"a bundle of {bundle.manifest.target} for {bundle.manifest.device}",
            where=path,
            fix="give a bundle of this machine, compiled with --device host-tvm",
        )
    artifact = replace(bundle.artifact(batch), settings=RunSettings(threads=1))
    clip = np.random.default_rng(SEED).integers(0, 256, artifact.input.shape, np.uint8)
    layers, calls = time_layers(artifact, clip, rounds=rounds + WARM_UP)
    cpu = cpu_of(device)
    peaks = {"fp32": peak_macs(cpu, "fp32"), "int8": peak_macs(cpu, "int8")}
    medians = [statistics.median(times[WARM_UP:]) for times in calls]
    total = sum(medians)
    rates = []
    for layer, seconds in zip(layers, medians, strict=True):
        macs = layer.macs / seconds if seconds else 0.0
        rates.append(
            LayerRate(
                *(layer.name, layer.family, layer.tile, layer.precision),
                *(1e3 * seconds, seconds / total, 2e-9 * macs, macs / peaks[layer.precision]),
            )
        )
    return rates, peaks


def render_layers(rates: Sequence[LayerRate], peaks: dict[str, float]) -> Any:
    """A table, in the order in which the layers run."""
    from rich import box
    from rich.table import Table

    told = ", ".join(f"{kind} {2e-9 * peak:.0f} Gop/s" for kind, peak in peaks.items())
    table = Table(title=f"layers, one thread; peak of a core: {told}", box=box.SIMPLE_HEAD)
    for name in ("layer", "kernel", "tile", "ms", "share", "Gop/s", "of peak"):
        table.add_column(name, justify="left" if name in ("layer", "kernel", "tile") else "right")
    for rate in rates:
        speed = (f"{rate.giga_operations:.1f}", f"{rate.of_peak:.0%}") if rate.giga_operations else ("", "")
        kernel = f"{rate.family}, {rate.precision}"
        table.add_row(rate.name, kernel, rate.tile, f"{rate.milliseconds:.3f}", f"{rate.share:.1%}", *speed)
    table.add_row("all", "", "", f"{sum(rate.milliseconds for rate in rates):.3f}", "", "", "")
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    from rich.console import Console

    parser = argparse.ArgumentParser(description="Layers of a TVM bundle against the peak of one core.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rates, peaks = measure_layers(options.bundle, rounds=options.rounds)
    if options.json:
        print(json.dumps({"peaks": peaks, "layers": [asdict(rate) for rate in rates]}, indent=1))
    else:
        Console().print(render_layers(rates, peaks))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
