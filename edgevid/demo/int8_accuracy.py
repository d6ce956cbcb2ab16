"""What int8 costs the demonstration in accuracy: ``python -m edgevid.demo.int8_accuracy FOLDER``.

Compiles the shipped network for OpenVINO in float32, and in int8 for OpenVINO and for the
simulated TensorRT (with ``--device host-tvm`` for TVM) with ranges of two methods, and shows
generated clips of the hard split to all of them. A table of ranges that are far too small must be
refused, and its drop be seen. With
``--isa`` the same is done by processes whose CPU is said to lack newer instructions, with
``--nncf`` beside what NNCF makes of the network.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from edgevid import show_compare
from edgevid.bench.claims import Claim, told
from edgevid.calibration.compare import compare
from edgevid.calibration.comparison import Comparison, Pair
from edgevid.calibration.statistics import Paired, paired
from edgevid.demo.evaluate import SEED
from edgevid.demo.generated import Generated
from edgevid.demo.int8_bundles import (
    CALIBRATION_CLIPS,
    DEVICES,
    METHODS,
    MORE_DEVICES,
    NNCF,
    SPOILT,
    compile_all,
)

__all__ = ["between", "claims", "main", "points", "run_with_isa"]

MOST_DROP, LEAST_AGREEMENT, LEAST_SQNR = 0.005, 0.98, 20.0


def claims(found: Comparison) -> list[Claim]:
    """What is wanted of every bundle but the reference, and whether this comparison shows it."""
    pairs = {pair.name: pair for pair in found.pairs}
    wanted: list[Claim] = []
    ours = [name for name in pairs if name != SPOILT and not name.startswith(NNCF)]
    for name in ours:
        wanted += _small_loss(pairs[name])
    bad = pairs[SPOILT]
    wanted.append(Claim(f"{SPOILT}: {bad.remark}", "exceeded", bad.verdict == "exceeded"))
    for peer in (name for name in pairs if name.startswith(NNCF)):
        for name in ours:
            drop = between(found, peer, name)
            sentence = f"{name}: top-1 drop against {peer} {points(drop)}"
            wanted.append(Claim(sentence, "not above zero with confidence", drop.drop.low <= 0))
    return wanted


def _small_loss(pair: Pair) -> list[Claim]:
    assert pair.top1 is not None
    agreement, sqnr = pair.agreement, float("inf") if pair.sqnr is None else pair.sqnr
    return [
        Claim(
            f"{pair.name}: top-1 drop {points(pair.top1)}",
            f"at most {100 * MOST_DROP:g}",
            pair.top1.drop.value <= MOST_DROP,
        ),
        Claim(
            f"{pair.name}: agreement {agreement.value:.2%} ({agreement.low:.2%}..{agreement.high:.2%})",
            f"at least {LEAST_AGREEMENT:.0%}",
            agreement.value >= LEAST_AGREEMENT,
        ),
        Claim(f"{pair.name}: logits SQNR {sqnr:.1f} dB", f"at least {LEAST_SQNR:g} dB", sqnr >= LEAST_SQNR),
    ]


def points(found: Paired) -> str:
    """A drop in points with its interval and McNemar's p."""
    drop = found.drop
    return f"{100 * drop.value:.2f} points ({100 * drop.low:.2f}..{100 * drop.high:.2f}, p = {found.p:.2g})"


def between(found: Comparison, name: str, other: str) -> Paired:
    """The drop from one network to another, neither of which need be the reference."""
    names = [variant.name for variant in found.variants]
    before, after = names.index(name), names.index(other)
    rights = [[first[0] == video.label for first in video.answers] for video in found.videos]
    lost = sum(right[before] and not right[after] for right in rights)
    gained = sum(right[after] and not right[before] for right in rights)
    return paired(lost, gained, len(rights))


def run_with_isa(isa: str, folder: Path, options: Sequence[str]) -> int:
    """The same by processes whose CPU has no newer instructions than ``isa``."""
    print(f"\nONEDNN_MAX_CPU_ISA={isa}", flush=True)
    command = [sys.executable, "-m", "edgevid.demo.int8_accuracy", str(folder / isa), "--device", "host"]
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": isa}
    return subprocess.run([*command, *options], env=environment, check=False).returncode


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit status is 1 if something wanted is not met."""
    parser = argparse.ArgumentParser(prog="python -m edgevid.demo.int8_accuracy", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="for the bundles and the results")
    parser.add_argument("--count", type=int, default=10_000, help="clips to compare")
    parser.add_argument("--clips", type=int, default=CALIBRATION_CLIPS, help="clips to calibrate with")
    parser.add_argument("--device", action="append", default=[], choices=(*DEVICES, *MORE_DEVICES))
    parser.add_argument("--method", action="append", default=[], choices=METHODS, help="both by default")
    parser.add_argument("--isa", action="append", default=[], help="of oneDNN, as AVX2 or AVX512_CORE")
    parser.add_argument("--nncf", action="store_true", help="compare with NNCF's quantization too")
    chosen = parser.parse_args(arguments)
    methods = chosen.method or METHODS
    bundles = compile_all(
        chosen.folder,
        devices=chosen.device or DEVICES,
        methods=methods,
        clips=chosen.clips,
        nncf=chosen.nncf,
    )
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
    inherited = ["--count", str(chosen.count), "--clips", str(chosen.clips)]
    inherited += [word for method in methods for word in ("--method", method)]
    return max([worst, *(run_with_isa(isa, chosen.folder, inherited) for isa in chosen.isa)])


if __name__ == "__main__":
    raise SystemExit(main())
