"""Results, sweeps and comparisons as they are measured, with times that are drawn instead of taken."""

from __future__ import annotations

import json
import random
from datetime import datetime, timezone

from edgevid.bench.environment import Environment
from edgevid.bench.load import Load
from edgevid.bench.results import (
    BundleIdentity,
    LayerTime,
    ProcessRun,
    Result,
    Samples,
    Sustained,
    SustainedPoint,
    VariantRecord,
)
from edgevid.bench.settings import Settings
from edgevid.bench.storage import save_result
from edgevid.bench.validity import judge
from edgevid.calibration.comparison import Comparison, DataRecord, Pair, Variant, save_comparison
from edgevid.calibration.statistics import Estimate, Paired
from edgevid.contract import Sampling

CREATED = datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc)
COMMAND = ("/usr/bin/python3", "/usr/bin/edgevid", "bench", "a.bundle", "b c.bundle", "-o", "bench.json")


def environment(**changes):
    facts = {
        "cpu": "Example CPU 9000",
        "isa": ("avx2", "avx512f"),
        "cpus": 4,
        "affinity": (0, 1),
        "governor": "performance",
        "frequency_khz": (800_000, 3_000_000),
        "memory_bytes": 8 * 2**30,
        "load_average": (0.1, 0.2, 0.3),
        "architecture": "x86_64",
        "kernel": "Linux 6.1",
        "system": "Example Linux 12",
        "virtualization": (),
        "python": "CPython 3.11.2",
        "edgevid": "0.1.0",
        "packages": {"openvino": "2026.1"},
        "variables": {"OMP_WAIT_POLICY": "PASSIVE"},
    }
    return Environment(**{**facts, **changes})


def samples(milliseconds, rounds, seed, noise=0.004):
    draw = random.Random(seed)
    walls = tuple(round(milliseconds * 1e6 * (1 + abs(draw.gauss(0, noise)))) for _ in range(rounds))
    return Samples(wall_ns=walls, cpu_ns=tuple(2 * wall for wall in walls))


def result(medians, *, rounds=40, processes=1, noise=0.004, seed=0, busy=False, records=None, **changes):
    """Variants by name and milliseconds, the first the baseline; ``records`` are fields of their records."""
    first, *others = medians
    names = [first, f"{first} (A/A)", *others]
    roles = ["baseline", "twin", *("candidate" for _ in others)]
    extra = records or {}
    variants = tuple(
        VariantRecord(**{"name": name, "role": role, **extra.get(name, {})})
        for name, role in zip(names, roles, strict=True)
    )
    times = [medians[first], *medians.values()]
    load = Load(wall_seconds=10.0, others_seconds=8.0 if busy else 0.1, own_seconds=9.0, cpus=4)
    runs = tuple(
        ProcessRun(
            variants=variants,
            orders=tuple(tuple(range(len(names))) for _ in range(rounds)),
            samples={
                name: samples(time, rounds, f"{seed} {process} {name}", noise)
                for name, time in zip(names, times, strict=True)
            },
            load=load,
            environment=changes.get("environment", environment()),
        )
        for process in range(processes)
    )
    changes.pop("environment", None)
    facts = {
        "title": "two networks",
        "device": "Example CPU 9000, 2 threads",
        "created": CREATED,
        "command": COMMAND,
        "settings": Settings(rounds=rounds or 40, processes=processes),
        "parameters": {"batch": 1, "threads": 1},
        "runs": runs,
        "verdict": judge(runs),
    }
    return Result(**{**facts, **changes})


def complete_result(**changes):
    """With all that a result can hold beside its samples."""
    draw = random.Random(5)
    kinds = ("Convolution", "Eltwise", "Pooling", "Reorder", "FullyConnected", "Concat", "Split", "Convert")
    layers = {
        name: tuple(
            LayerTime(f"layer{number}/conv", kinds[number % share], "brgconv_avx512_1x1", draw.random())
            for number in range(30)
        )
        for name, share in (("tsn.bundle", 4), ("tsm.bundle", 8))
    }
    points = tuple(
        SustainedPoint(
            seconds=2.0 * number,
            wall_ns=round(9e6 * (1 + number / 1000)),
            megahertz=3000 - number,
            celsius=50 + number / 10,
            joules=0.4,
        )
        for number in range(100)
    )
    medians = {"tsn.bundle": 9.0, "tsm.bundle": 9.3, "tsm-int8.bundle": 3.2}
    facts = {
        "rounds": 700,
        "records": {
            "tsn.bundle": {"clips": 1, "bundle": BundleIdentity(path="tsn.bundle", manifest_sha256="aa")},
            "tsm.bundle": {"clips": 1, "bundle": BundleIdentity(path="x/tsm", manifest_sha256="bb")},
            "tsm-int8.bundle": {"clips": 1, "label": "emulated", "note": "this CPU lacks VNNI"},
        },
        "layer_times": layers,
        "peak_memory": {"tsn.bundle": 210_000_000, "tsm.bundle": 214_000_000},
        "stages": {
            "tsm.bundle": {
                "decode": samples(4.0, 20, 1),
                "preprocess": samples(2.0, 20, 2),
                "inference": samples(9.3, 20, 3),
                "whole": samples(15.6, 20, 4),
            }
        },
        "sustained": Sustained(
            variant="tsm.bundle", wanted_seconds=200.0, points=points, notes=("no counter of energy",)
        ),
        "notes": ("the 95 % intervals are within 1 % of the median",),
    }
    return result(medians, **{**facts, **changes})


OVERHEADS = {"1/8": 0.004, "1/4": 0.008, "1/2": 0.015, "1": 0.03}


def sweep_result(
    *, plain=0.5, lowerings=("volume_split_conv@blocked",), device="Example CPU 9000", **changes
):
    """Overheads of `OVERHEADS`, each lowering a little slower than the one before."""
    medians = {"no shift": 100.0, "no shift, none@blocked": 99.2}
    points = [
        {"variant": name, "proportion": "0", "used": 0.0, "lowering": form, "role": "no shift"}
        for name, form in (("no shift", "none"), ("no shift, none@blocked", "none@blocked"))
    ]
    for proportion, overhead in OVERHEADS.items():
        used = 0.123 if proportion == "1/8" else eval(proportion)
        kinds = [(lowering, "shift", overhead * (1 + n)) for n, lowering in enumerate(lowerings)]
        kinds += [("slice_concat", "plain export", plain * (1 + used))] if plain else []
        for lowering, role, cost in kinds:
            name = f"p = {proportion}, {'plain export' if role == 'plain export' else lowering}"
            medians[name] = 100.0 * (1 + cost)
            points.append(
                {"variant": name, "proportion": proportion, "used": used, "lowering": lowering, "role": role}
            )
    parameters = {
        "kind": "overhead",
        "model": "tsm-resnet50",
        "target": "openvino",
        "precision": "fp32",
        "batch": 1,
        "segments": 8,
        "size": 224,
        "threads": 1,
        "points": points,
        "default": "no shift",
        "best": "no shift, none@blocked",
    }
    command = ("/usr/bin/edgevid", "overhead", "--model", "tsm-resnet50", "-o", "sweep")
    facts = {"title": "what the shift of tsm-resnet50 costs", "processes": 3, "parameters": parameters}
    return result(medians, **{**facts, "device": device, "command": command, **changes})


def slowed(result, share):
    """All networks with a shift, slower by a share."""
    runs = []
    for run in result.runs:
        slower = {
            name: each.model_copy(update={"wall_ns": tuple(round((1 + share) * ns) for ns in each.wall_ns)})
            for name, each in run.samples.items()
            if name.startswith("p = ")
        }
        runs.append(run.model_copy(update={"samples": {**run.samples, **slower}}))
    return result.model_copy(update={"runs": tuple(runs)})


def write_sweep(folder, *results):
    """A sweep's folder with one point that failed; returns it."""
    folder.mkdir()
    for number, each in enumerate(results):
        save_result(each, folder / f"host-fp32-batch{number}.json")
    failed = {"state": "failed", "reason": "no such device", "used": None, "result": "", "verdict": ""}
    done = {**failed, "state": "done", "reason": "", "used": 0.25, "result": "host-fp32-batch0.json"}
    place = {"precision": "fp32", "batch": 1, "proportion": "1/4"}
    record = {
        "schema_version": 1,
        "kind": "overhead sweep",
        "model": "tsm-resnet50",
        "segments": 8,
        "size": 224,
        "threads": 1,
        "command": [],
        "points": [{**done, **place, "device": "host"}, {**failed, **place, "device": "tx2"}],
    }
    (folder / "sweep.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def comparison(**changes):
    """Of networks that `complete_result` timed: one by its hash, one by its name."""

    def share(value):
        return Estimate(value, value - 0.02, value + 0.02)

    def variant(name, sha256, top1, label="measured"):
        return Variant(
            name=name,
            label=label,
            source=name,
            sha256=sha256,
            precision="fp32",
            bytes=9_000_000,
            top1=share(top1),
            top5=share(top1 + 0.2),
        )

    names = {"TSM": ("bb", 0.74), "tsm-int8.bundle": ("cc", 0.735)}
    paired = Paired(500, 5, 2, share(0.005), 0.4)
    facts = {
        "edgevid": "0.1.0",
        "created": CREATED,
        "command": ("edgevid", "compare"),
        "data": DataRecord(
            source="val.txt",
            sha256="0",
            packed=False,
            sampling=Sampling(),
            videos=500,
            labelled=500,
            views=500,
        ),
        "max_drop": None,
        "labels": (),
        "variants": tuple(variant(name, *each) for name, each in names.items()),
        "pairs": (
            Pair(
                name="tsm-int8.bundle",
                top1=paired,
                top5=paired,
                agreement=share(0.97),
                sqnr=24.0,
                cosine=0.99,
                classes=(),
                flips=(),
            ),
        ),
        "videos": (),
        "skipped": (),
    }
    return Comparison(**{**facts, **changes})


__all__ = ["comparison", "complete_result", "result", "save_comparison", "save_result", "sweep_result"]
