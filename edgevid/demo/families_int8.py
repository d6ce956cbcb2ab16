"""What int8 costs a small member of each family in accuracy: ``python -m edgevid.demo.families_int8 FOLDER``.

Each member is trained, unless its checkpoint ``FOLDER/NAME.safetensors`` is there, and compiled in
float32 and in int8 for OpenVINO and for TVM. All four bundles see the same generated clips of the hard
split, and int8 is held to float32 of the same runtime. ``FOLDER/int8.json`` and ``FOLDER/int8.md`` hold
the figures of all members asked for, ``FOLDER/NAME/accuracy.json`` every answer.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from edgevid import show_compare
from edgevid.bench.claims import Claim, told
from edgevid.bench.own_command import own_command
from edgevid.calibration.compare import compare
from edgevid.calibration.comparison import Comparison
from edgevid.calibration.statistics import Estimate, Paired
from edgevid.calibration.table import METHODS, Method
from edgevid.compiler import compile_checkpoint
from edgevid.contract import RunSettings
from edgevid.demo.evaluate import SEED
from edgevid.demo.families import FAMILIES, RECIPE, Training, trained
from edgevid.demo.families_table import markdown_table
from edgevid.demo.generated import Generated
from edgevid.demo.int8_accuracy import between, points
from edgevid.demo.int8_bundles import CALIBRATION_CLIPS, CALIBRATION_SEED
from edgevid.disk import write_text
from edgevid.errors import EdgevidError
from edgevid.int8 import Int8
from edgevid.source import Source, open_source

__all__ = ["DEVICES", "Drop", "Drops", "claims", "compile_both", "drops_of", "main", "markdown"]

DEVICES = ("host", "host-tvm")
MOST_DROP = 0.01
FLOAT, INT8 = "float32", "int8"
NO_FIGURE = "-"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Drop(_Model):
    """What int8 costs one member on one device. Shares and drops are from 0 to 1.

    Attributes:
        family: the member's name.
        device: a profile of this machine.
        float_top1, int8_top1: right answers.
        drop: float minus int8, paired clip by clip.
        missing: why there are no figures; empty where there are.
    """

    family: str
    device: str
    float_top1: Estimate | None = None
    int8_top1: Estimate | None = None
    drop: Paired | None = None
    missing: str = ""


class Drops(_Model):
    """What int8 costs all members that were asked for.

    Attributes:
        command: the command line.
        clips: of the hard split, that all bundles of a member have seen.
        calibrated: clips that int8 was calibrated with, of another seed.
        method: by which ranges were chosen.
        millions: by member, parameters and multiply-accumulates of a clip.
        trainings: how members were trained; those whose checkpoint is from elsewhere are not among them.
        drops: one a member and device.
    """

    command: tuple[str, ...]
    clips: int
    calibrated: int
    method: Method
    millions: dict[str, tuple[float, float]]
    trainings: dict[str, Training]
    drops: tuple[Drop, ...]


def compile_both(
    network: Source, folder: Path, devices: Sequence[str], *, clips: int, method: Method
) -> tuple[dict[str, Path], dict[str, str]]:
    """Bundles of a network in float32 and in int8 for each device.

    Args:
        network: that was trained on the generated clips.
        folder: of the bundles ``DEVICE-float32`` and ``DEVICE-int8``.
        devices: profiles of this machine.
        clips: to calibrate with, of the hard split.
        method: by which ranges are chosen.

    Returns:
        The bundles by their names, and by device the reason why it has none.
    """
    once, settings = replace(network, graph=cache(network.graph)), RunSettings(threads=1)
    bundles: dict[str, Path] = {}
    missing: dict[str, str] = {}
    for device in devices:
        in_float, in_int8 = (folder / f"{device}-{precision}" for precision in (FLOAT, INT8))
        # With a table instead, int8 would be judged on golden clips, which are noise too: see `int8_proof`.
        int8 = Int8(_clips(network, clips, CALIBRATION_SEED), method, clips)
        try:
            compile_checkpoint(once, in_float, device=device, settings=settings)
            compile_checkpoint(once, in_int8, device=device, precision="int8", int8=int8, settings=settings)
        except EdgevidError as error:
            missing[device] = error.what
            continue
        bundles |= {place.name: place for place in (in_float, in_int8)}
    return bundles, missing


def _clips(network: Source, count: int, seed: int) -> Generated:
    sampling = network.sampling
    return Generated("hard", count, seed, segments=sampling.segments, size=sampling.crop)


def drops_of(
    family: str, devices: Sequence[str], found: Comparison | None, missing: Mapping[str, str]
) -> list[Drop]:
    """What a comparison of `compile_both`'s bundles says, device by device."""
    variants = () if found is None else found.variants
    top1 = {variant.name: variant.top1 for variant in variants}
    drops = []
    for device in devices:
        in_float, in_int8 = f"{device}-{FLOAT}", f"{device}-{INT8}"
        if found is None or in_int8 not in top1:
            drops.append(Drop(family=family, device=device, missing=missing[device]))
            continue
        drops.append(
            Drop(
                family=family,
                device=device,
                float_top1=top1[in_float],
                int8_top1=top1[in_int8],
                drop=between(found, in_float, in_int8),
            )
        )
    return drops


def claims(drops: Sequence[Drop]) -> list[Claim]:
    """What is wanted of every member on every device that runs it, and whether it holds."""
    return [
        Claim(
            f"{each.family} on {each.device}: top-1 drop {points(each.drop)}",
            f"at most {100 * MOST_DROP:g}",
            each.drop.drop.value <= MOST_DROP,
        )
        for each in drops
        if each.drop is not None
    ]


def markdown(found: Drops) -> str:
    """The whole document."""
    headings = ["member", "M parameters", "MMACs", "trained, min", "device"]
    headings += ["float32 top-1 %", "int8 top-1 %", "drop, points", "95 % interval"]
    rows: list[list[str]] = []
    holes: list[str] = []
    for each in found.drops:
        parameters, macs = found.millions[each.family]
        training = found.trainings.get(each.family)
        minutes = NO_FIGURE if training is None else f"{training.minutes:.1f}"
        figures = [_percent(each.float_top1), _percent(each.int8_top1), NO_FIGURE, NO_FIGURE]
        if each.drop is not None:
            drop = each.drop.drop
            # Adding zero turns a rounded -0.0 into 0.0.
            value, low, high = (
                f"{round(100 * share, 2) + 0.0:.2f}" for share in (drop.value, drop.low, drop.high)
            )
            figures[2:] = [value, f"{low} to {high}"]
        if each.missing:
            holes.append(f"- {each.family} on {each.device}: {each.missing}\n")
        rows.append([each.family, f"{parameters:.2f}", f"{macs:.1f}", minutes, each.device, *figures])
    text = "# What int8 costs a small member of each family\n\n" + markdown_table(headings, rows)
    text += f"\n{found.clips} generated clips of the hard split; int8 calibrated with {found.calibrated} "
    text += f"others ({found.method}), and held to float32 of the same runtime, clip by clip.\n"
    return text + ("\nNot to be had:\n\n" + "".join(holes) if holes else "")


def _percent(share: Estimate | None) -> str:
    return NO_FIGURE if share is None else f"{100 * share.value:.2f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit status is 1 if int8 costs a member more than is wanted."""
    parser = argparse.ArgumentParser(prog="python -m edgevid.demo.families_int8", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="for checkpoints, bundles and results")
    parser.add_argument("--family", choices=tuple(FAMILIES), action="append", help="default: all")
    parser.add_argument("--device", choices=DEVICES, action="append", help="default: both")
    parser.add_argument("--count", type=int, default=10_000, help="clips to compare")
    parser.add_argument("--clips", type=int, default=CALIBRATION_CLIPS, help="clips to calibrate with")
    parser.add_argument("--method", choices=METHODS, default="minmax", help="of the ranges")
    parser.add_argument("--steps", type=int, default=RECIPE.steps, help="of a training")
    parser.add_argument("--threads", type=int, default=2, help="of a training")
    chosen = parser.parse_args(arguments)
    chosen.folder.mkdir(parents=True, exist_ok=True)
    recipe, devices = replace(RECIPE, steps=chosen.steps), chosen.device or DEVICES
    drops: list[Drop] = []
    millions: dict[str, tuple[float, float]] = {}
    trainings: dict[str, Training] = {}
    for family in chosen.family or FAMILIES:
        path, training = trained(family, chosen.folder, recipe, threads=chosen.threads)
        if training is not None:
            trainings[family] = training
        network, place = open_source(path), chosen.folder / family
        millions[family] = (network.parameters / 1e6, network.macs / 1e6)
        place.mkdir(exist_ok=True)
        bundles, missing = compile_both(network, place, devices, clips=chosen.clips, method=chosen.method)
        found = None
        if bundles:
            with show_compare.progress_bar(resumes=False) as progress:
                found = compare(
                    list(bundles.values()),
                    _clips(network, chosen.count, SEED),
                    max_drop=MOST_DROP,
                    timing=None,
                    output=place / "accuracy.json",
                    progress=progress,
                )
            show_compare.comparison(found)
        drops += drops_of(family, devices, found, missing)
        # After each member, since the next one takes many minutes.
        whole = Drops(
            command=own_command(),
            clips=chosen.count,
            calibrated=chosen.clips,
            method=chosen.method,
            millions=millions,
            trainings=trainings,
            drops=tuple(drops),
        )
        write_text(chosen.folder / "int8.json", whole.model_dump_json(indent=1) + "\n")
        write_text(chosen.folder / "int8.md", markdown(whole))
    print(markdown(whole))
    shown = claims(drops)
    print(told(shown))
    return 0 if all(claim.met for claim in shown) else 1


if __name__ == "__main__":
    raise SystemExit(main())
