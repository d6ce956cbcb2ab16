"""What int8 costs the demonstration in accuracy: ``python -m edgevid.demo.int8_accuracy FOLDER``.

Compiles the shipped network for OpenVINO in float32, and in int8 for OpenVINO and for the
simulated TensorRT with ranges of two methods, and shows generated clips of the hard split to all
of them. A table of ranges that are far too small must be refused, and its drop be seen. With
``--isa`` the same is done by processes whose CPU is said to lack newer instructions, with
``--nncf`` beside what NNCF makes of the network.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir

from edgevid import show_compare, targets
from edgevid.bench.claims import Claim, told
from edgevid.bundle import Bundle, new_bundle, seal
from edgevid.calibration.compare import compare
from edgevid.calibration.comparison import Comparison, Pair
from edgevid.calibration.nncf_peer import PRESETS, Preset, quantize_by_nncf
from edgevid.calibration.statistics import Paired, paired
from edgevid.calibration.table import Method, Table, load_table
from edgevid.compiler import compile_checkpoint
from edgevid.contract import Artifact, CompileOptions, RunSettings
from edgevid.demo import checkpoint
from edgevid.demo.evaluate import SEED
from edgevid.demo.generated import Generated
from edgevid.errors import VerificationError
from edgevid.graph.lower import lower
from edgevid.graph.prelude import with_uint8_clips
from edgevid.int8 import TABLE, Int8, quantized
from edgevid.source import open_source
from edgevid.targets._profiles import device as find_device

__all__ = ["DEVICES", "claims", "compile_all", "main", "spoilt"]

DEVICES = ("host", "tensorrt-simulated")
METHODS: tuple[Method, ...] = ("minmax", "entropy")
FLOAT, SPOILT = "float32", "spoilt"
CALIBRATION_SEED = 31_337
CALIBRATION_CLIPS = 300
SPOILT_BY = 20
"""What the ranges of the bad table are divided by."""

MOST_DROP, LEAST_AGREEMENT, LEAST_SQNR = 0.005, 0.98, 20.0
_THREADS = RunSettings(threads=1)


def compile_all(
    folder: Path, *, devices: Sequence[str] = DEVICES, clips: int = CALIBRATION_CLIPS, nncf: bool = False
) -> dict[str, Path]:
    """Bundles of the shipped network in ``folder`` by name, the float32 reference first.

    Args:
        folder: of the bundles.
        devices: for which int8 is compiled.
        clips: to calibrate with, of the hard split.
        nncf: also what NNCF makes of the network.

    Raises:
        EdgevidError: a bundle cannot be compiled.
        VerificationError: the bad table was taken.
    """
    network = checkpoint("tsm")
    data = Generated("hard", clips, CALIBRATION_SEED)
    bundles = {FLOAT: compile_checkpoint(network, folder / FLOAT, settings=_THREADS)}
    tables: dict[Method, Path] = {}
    for device in devices:
        for method in METHODS:
            name = f"{device}-{method}"
            int8 = Int8(tables.get(method, data), method, clips)  # type: ignore[arg-type]
            bundles[name] = compile_checkpoint(
                network, folder / name, device=device, precision="int8", int8=int8, settings=_THREADS
            )
            tables.setdefault(method, folder / name / TABLE)
    good = next(bundle for name, bundle in bundles.items() if name != FLOAT)
    bundles[SPOILT] = spoilt(good, folder / SPOILT)
    for preset in PRESETS if nncf else ():
        name = f"NNCF-{preset}"
        bundles[name] = _by_nncf(good, folder / name, preset, data)
    return {name: bundle.path for name, bundle in bundles.items()}


def spoilt(good: Bundle, place: Path) -> Bundle:
    """``good`` with an artifact of ranges that are far too small, which no compile would let pass.

    Raises:
        VerificationError: the compiler let it pass.
    """
    table = load_table(good.path / TABLE)
    tensors = {
        name: values.model_copy(update={"threshold": values.threshold / SPOILT_BY})
        for name, values in table.tensors.items()
    }
    table = table.model_copy(update={"tensors": tensors})
    manifest = good.manifest
    try:
        compile_checkpoint(
            checkpoint("tsm"), place, device=manifest.device, precision="int8", int8=Int8(table)
        )
    except VerificationError:
        return _with_artifact(good, place, lambda folder: _compile_unverified(good, table, folder))
    raise VerificationError(
        f"ranges divided by {SPOILT_BY} passed the compiler's checks", where=place, fix="mend the checks"
    )


def claims(found: Comparison) -> list[Claim]:
    """What is wanted of every bundle but the reference, and whether this comparison shows it."""
    pairs = {pair.name: pair for pair in found.pairs}
    wanted: list[Claim] = []
    ours = [name for name in pairs if name != SPOILT and not name.startswith("NNCF")]
    for name in ours:
        wanted += _small_loss(pairs[name])
    wanted.append(Claim(f"{SPOILT}: {pairs[SPOILT].remark}", pairs[SPOILT].verdict == "exceeded"))
    for peer in (name for name in pairs if name.startswith("NNCF")):
        for name in ours:
            difference = _between(found, peer, name)
            text = (
                f"{name}: top-1 drop against {peer} {_points(difference)}, none is wanted that is significant"
            )
            wanted.append(Claim(text, difference.drop.low <= 0))
    return wanted


def _small_loss(pair: Pair) -> list[Claim]:
    assert pair.top1 is not None
    sqnr = float("inf") if pair.sqnr is None else pair.sqnr
    low = pair.agreement.low
    return [
        Claim(
            f"{pair.name}: top-1 drop {_points(pair.top1)}, at most {100 * MOST_DROP:g} are wanted",
            pair.top1.drop.value <= MOST_DROP,
        ),
        Claim(
            f"{pair.name}: agreement {pair.agreement.value:.2%} (above {low:.2%}), "
            f"at least {LEAST_AGREEMENT:.0%} are wanted",
            pair.agreement.value >= LEAST_AGREEMENT,
        ),
        Claim(
            f"{pair.name}: logits SQNR {sqnr:.1f} dB, at least {LEAST_SQNR:g} are wanted", sqnr >= LEAST_SQNR
        ),
    ]


def _points(found: Paired) -> str:
    drop = found.drop
    return f"{100 * drop.value:.2f} points ({100 * drop.low:.2f}..{100 * drop.high:.2f}, p = {found.p:.2g})"


def _between(found: Comparison, name: str, other: str) -> Paired:
    """The drop from one network to another, neither of which need be the reference."""
    names = [variant.name for variant in found.variants]
    before, after = names.index(name), names.index(other)
    rights = [[first[0] == video.label for first in video.answers] for video in found.videos]
    lost = sum(right[before] and not right[after] for right in rights)
    gained = sum(right[after] and not right[before] for right in rights)
    return paired(lost, gained, len(rights))


def _lowered(bundle: Bundle, table: Table | None) -> ir.Model:
    """The shipped network as the bundle's target gets it: in int8 of a table, or in float32."""
    source = open_source(checkpoint("tsm"))
    graph = with_uint8_clips(source.graph(1), source.normalization)
    device = find_device(bundle.manifest.device)
    scheme = targets.find(device.target).probe(device).scheme
    if table is not None and scheme is not None:
        graph = quantized(graph, table, scheme, {})
    return lower(graph, bundle.artifact().lowering)


def _compile_unverified(good: Bundle, table: Table, folder: Path) -> Artifact:
    device = find_device(good.manifest.device)
    folder.mkdir()
    options = CompileOptions(
        device=device,
        folder=folder,
        precision="int8",
        lowering=good.artifact().lowering,
        settings=good.manifest.settings,
    )
    return targets.find(device.target).compile(_lowered(good, table), options)


def _by_nncf(good: Bundle, place: Path, preset: Preset, data: Generated) -> Bundle:
    clips = np.concatenate([sample.clips for sample in data.read() if isinstance(sample.clips, np.ndarray)])

    def quantize(folder: Path) -> Artifact:
        return quantize_by_nncf(
            _lowered(good, None),
            clips,
            preset,
            folder,
            device=find_device(good.manifest.device),
            lowering=good.artifact().lowering,
            threads=good.manifest.settings.threads,
        )

    return _with_artifact(good, place, quantize)


def _with_artifact(bundle: Bundle, place: Path, write: Callable[[Path], Artifact]) -> Bundle:
    """The same bundle with another artifact, of which nothing is proven."""
    (record,) = bundle.manifest.artifacts
    with new_bundle(place) as draft:
        shutil.copytree(bundle.path, draft, dirs_exist_ok=True)
        shutil.rmtree(draft / record.folder)
        entry = write(draft / record.folder).entry
        other = record.model_copy(update={"entry": entry, "checks": [], "layers": []})
        seal(draft, bundle.manifest.model_copy(update={"artifacts": [other]}))
    return Bundle.open(place)


def _with_isa(isa: str, folder: Path, count: int) -> int:
    """The same by processes whose CPU has no newer instructions than ``isa``."""
    print(f"\nONEDNN_MAX_CPU_ISA={isa}", flush=True)
    command = [sys.executable, "-m", "edgevid.demo.int8_accuracy", str(folder / isa), "--count", str(count)]
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": isa}
    return subprocess.run([*command, "--device", "host"], env=environment, check=False).returncode


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit status is 1 if something wanted is not met."""
    parser = argparse.ArgumentParser(prog="python -m edgevid.demo.int8_accuracy", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="for the bundles and the results")
    parser.add_argument("--count", type=int, default=10_000, help="clips")
    parser.add_argument("--device", action="append", default=[], choices=DEVICES, help="both by default")
    parser.add_argument("--isa", action="append", default=[], help="of oneDNN, as AVX2 or AVX512_CORE")
    parser.add_argument("--nncf", action="store_true", help="compare with NNCF's quantization too")
    chosen = parser.parse_args(arguments)
    bundles = compile_all(chosen.folder, devices=chosen.device or DEVICES, nncf=chosen.nncf)
    data = Generated("hard", chosen.count, SEED)
    with show_compare.progress_bar(resumes=False) as progress:
        found = compare(
            list(bundles.values()),
            data,
            max_drop=MOST_DROP,
            timing=None,
            output=chosen.folder / "accuracy.json",
            progress=progress,
        )
    show_compare.comparison(found)
    shown = claims(found)
    print(told(shown))
    worst = 0 if all(claim.met for claim in shown) else 1
    return max(worst, *(_with_isa(isa, chosen.folder, chosen.count) for isa in chosen.isa), 0)


if __name__ == "__main__":
    raise SystemExit(main())
