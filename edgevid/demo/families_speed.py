"""How fast a network of each family is in full size: ``python -m edgevid.demo.families_speed FOLDER``.

Of each preset the fastest of edgevid's bundles in float32 is measured beside ONNX Runtime and OpenVINO on
what PyTorch exports, and torch.compile: one thread, one clip, by the protocol of `edgevid.bench`. The
weights are random, since only time is asked for; every peer must compute the bundle's logits.
``FOLDER/speed.md`` is the table, ``FOLDER/PRESET/peers.json`` holds the samples. What is measured there is
not measured again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from edgevid.bench.bundles import bench_bundles
from edgevid.bench.claims import paired_ratio
from edgevid.bench.opening import Opening
from edgevid.bench.progress import progress_bar
from edgevid.bench.report.text import interval, number
from edgevid.bench.results import Result
from edgevid.bench.settings import Settings
from edgevid.bench.storage import load_result, save_result
from edgevid.bench.summary import Estimate, summarize
from edgevid.bundle import Bundle
from edgevid.checkpoints import write
from edgevid.compiler import compile_checkpoint
from edgevid.contract import RunSettings, TensorSpec
from edgevid.demo.evaluate import normalized
from edgevid.demo.families_table import markdown_table
from edgevid.disk import write_text
from edgevid.errors import BenchmarkError, EdgevidError
from edgevid.graph.verify import random_clips
from edgevid.models import build
from edgevid.models.non_local import NonLocal
from edgevid.models.registry import preset
from edgevid.overhead.sweep import PROTOCOL
from edgevid.peers import PEERS, bench_peers
from edgevid.video.synthetic import make_clips

__all__ = [
    "DEVICES",
    "NAMES",
    "PRESETS",
    "Row",
    "main",
    "markdown",
    "measured",
    "random_checkpoint",
    "row_of",
]

PRESETS = ("stsm-resnet50", "gsm-bninception", "s3d-g", "psn-resnet50")
DEVICES = ("host", "host-tvm")
NAMES = ("onnxruntime", "onnxruntime-concat", "openvino", "openvino-concat", "compile")
"""Of the peers, in `edgevid.peers.PEERS`."""

TRIAL = Settings(rounds=10)
"""By which the fastest bundle is found."""

SEED = 0
NOTHING = "-"


@dataclass(frozen=True)
class Row:
    """What the table says of a preset.

    Attributes:
        bundle: name of the fastest one, and its milliseconds.
        peers: milliseconds by the title of each that was measured.
        best: title of the fastest peer; empty without any.
        ratio: the bundle's time over that peer's, paired within rounds.
        verdict: whether the figures can be trusted.
        holes: which peers are not there, and why.
    """

    bundle: tuple[str, Estimate]
    peers: Mapping[str, Estimate]
    best: str
    ratio: Estimate | None
    verdict: str
    holes: tuple[str, ...]


def random_checkpoint(name: str, path: Path) -> None:
    """Write a preset's network with random weights that answers clips and noise with numbers of one size.

    Its batch norms are fitted to both, and what attention adds is little beside what it is added to.
    """
    chosen = preset(name)
    config = chosen.config
    clips, _ = make_clips("hard", 1, SEED, length=config.segments, size=config.size)
    pixels = TensorSpec("pixels", (1, *clips.shape[1:]), "uint8")
    clips = np.concatenate([clips, random_clips(pixels, 2, SEED)])
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(SEED)
        network = build(config).train()
        for layer in network.modules():
            if isinstance(layer, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
                layer.momentum = None  # the average of all that it sees
            elif isinstance(layer, NonLocal):
                torch.nn.init.constant_(layer.bn.get_parameter("weight"), 0.1)
        network(normalized(clips, chosen.normalization))
    write(path, network.eval(), normalization=chosen.normalization, sampling=chosen.sampling)


def measured(
    name: str, folder: Path, devices: Sequence[str], peers: Sequence[str], settings: Settings
) -> Result:
    """A preset's fastest bundle beside its peers, from the folder if it was measured before.

    Args:
        name: of the preset.
        folder: of its checkpoint, bundles and results.
        devices: profiles of this machine to compile for.
        peers: names of them. A network without shifts has one export, not two.
        settings: of the protocol.

    Raises:
        BenchmarkError: no device has a bundle, or the measurement was interrupted.
        EdgevidError: the network or the bundle cannot be run.
    """
    place = folder / "peers.json"
    if place.exists():
        return load_result(place)
    network = folder / "network.safetensors"
    random_checkpoint(name, network)
    bundle = _fastest(name, network, folder, devices)
    if not Bundle.open(bundle).manifest.shifts:
        peers = [peer for peer in peers if not peer.endswith("-concat")]
    with progress_bar() as progress:
        result = bench_peers(bundle, network, peers, Opening(threads=1), settings, progress=progress)
    return _saved(result, place)


def _fastest(name: str, network: Path, folder: Path, devices: Sequence[str]) -> Path:
    bundles = []
    for device in devices:
        try:
            place = folder / device
            compile_checkpoint(network, place, device=device, settings=RunSettings(threads=1))
        except EdgevidError as error:
            print(f"{name} has no bundle for {device}: {error}", file=sys.stderr)
            continue
        bundles.append(place)
    if not bundles:
        raise BenchmarkError("there is no bundle of it", where=name, fix="see above why")
    if len(bundles) == 1:
        return bundles[0]
    with progress_bar() as progress:
        trial = bench_bundles(bundles, settings=TRIAL, progress=progress, threads=1)
    times = _milliseconds(_saved(trial, folder / "bundles.json"))
    return min(bundles, key=lambda bundle: times[bundle.name].median)


def _saved(result: Result, place: Path) -> Result:
    if result.status == "interrupted":
        raise BenchmarkError("the measurement was interrupted", where=place, fix="call it again")
    save_result(result, place)
    return result


def _milliseconds(result: Result) -> dict[str, Estimate]:
    return {found.name: found.wall_ms for found in summarize(result) if found.wall_ms is not None}


def row_of(result: Result) -> Row:
    """What a measurement of `edgevid.peers.bench_peers` says.

    Raises:
        BenchmarkError: no round was finished.
    """
    own, times = result.variants[0].name, _milliseconds(result)
    if own not in times:
        raise BenchmarkError("no round was finished", where=result.title, fix="measure it again")
    peers = {variant.name: times[variant.name] for variant in result.variants if variant.role == "candidate"}
    best = min(peers, key=lambda title: peers[title].median, default="")
    return Row(
        bundle=(own, times[own]),
        peers=peers,
        best=best,
        ratio=paired_ratio(result, own, best) if best else None,
        verdict=str(result.verdict),
        holes=tuple(note for note in result.notes if ": not measured:" in note),
    )


def markdown(results: Mapping[str, Result], failed: Mapping[str, str]) -> str:
    """The whole document.

    Args:
        results: of `measured`, by preset.
        failed: by preset, why there is none.
    """
    rows = {name: row_of(result) for name, result in results.items()}
    titles = [peer.title for peer in PEERS.values() if any(peer.title in row.peers for row in rows.values())]
    headings = ["preset", "bundle", "ms", *(f"{title}, ms" for title in titles)]
    headings += ["bundle / fastest peer", "95 % interval", "verdict"]
    lines = [
        "# The fastest bundle of each family beside other runtimes\n\n",
        markdown_table(headings, (_cells(name, row, titles) for name, row in rows.items())),
        "\nFloat32, one clip, one thread, random weights. Medians; the ratio is paired within rounds.\n",
        *_circumstances(results),
    ]
    holes = [f"- {name}: {hole}\n" for name, row in rows.items() for hole in row.holes]
    holes += [f"- {name}: not measured: {why}\n" for name, why in failed.items()]
    return "".join([*lines, "\nNot there:\n\n", *holes] if holes else lines)


def _cells(name: str, row: Row, titles: Sequence[str]) -> Iterator[str]:
    bundle, milliseconds = row.bundle
    yield from (name, bundle, number(milliseconds.median))
    for title in titles:
        told = number(row.peers[title].median) if title in row.peers else NOTHING
        yield f"**{told}**" if title == row.best else told
    yield NOTHING if row.ratio is None else f"{row.ratio.median:.4f}"
    yield interval(row.ratio)
    yield row.verdict


def _circumstances(results: Mapping[str, Result]) -> Iterator[str]:
    """On what and when, one line for presets that were measured alike."""
    told: dict[str, list[str]] = {}
    for name, result in results.items():
        rounds, processes = sum(run.rounds for run in result.runs), len(result.runs)
        line = f"{result.environment.cpu or 'CPU unknown'}, {rounds} rounds in {processes} "
        line += f"process{'es' if processes > 1 else ''}, {result.created:%Y-%m-%d}"
        told.setdefault(line, []).append(name)
    for line, names in told.items():
        yield f"{', '.join(names)}: {line}.\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure a preset of each family, or those asked for, and write the table; nothing passes or fails."""
    parser = argparse.ArgumentParser(prog="python -m edgevid.demo.families_speed", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="for checkpoints, bundles and results")
    parser.add_argument("--preset", action="append", help=f"default: {', '.join(PRESETS)}")
    parser.add_argument("--device", choices=DEVICES, action="append", help="default: both")
    parser.add_argument("--against", choices=tuple(PEERS), action="append", help=", ".join(NAMES))
    parser.add_argument("--rounds", type=int, default=PROTOCOL.rounds, help="of each process")
    parser.add_argument("--processes", type=int, default=PROTOCOL.processes)
    chosen = parser.parse_args(arguments)
    settings = Settings(rounds=chosen.rounds, processes=chosen.processes)
    results: dict[str, Result] = {}
    failed: dict[str, str] = {}
    for name in chosen.preset or PRESETS:
        folder = chosen.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        try:
            results[name] = measured(
                name, folder, chosen.device or DEVICES, chosen.against or NAMES, settings
            )
        except EdgevidError as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed[name] = error.what
        write_text(chosen.folder / "speed.md", markdown(results, failed))
    print(markdown(results, failed))


if __name__ == "__main__":
    main()
