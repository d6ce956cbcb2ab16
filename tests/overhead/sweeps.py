"""Sweeps of a network that takes no time, and measuring processes that measure nothing."""

from contextlib import contextmanager
from fractions import Fraction
from functools import partial

from edgevid.bench.environment import look_around
from edgevid.bench.factory import Factory
from edgevid.bench.load import Load
from edgevid.bench.protocol import Comparison, Variant
from edgevid.bench.report.overhead import Point
from edgevid.bench.results import ProcessRun, Samples, VariantRecord
from edgevid.bench.settings import Settings
from edgevid.models.config import NetworkConfig, ShiftConfig
from edgevid.overhead import Sweep
from edgevid.overhead.candidates import DEFAULT, Candidates
from edgevid.overhead.record import Rejected

TINY = NetworkConfig(
    backbone="resnet50",
    classes=100,  # of a few random logits alone, noise may happen to be as large as what they say
    segments=2,
    size=32,
    blocks=(1, 1, 1, 1),
    channels=(16, 8, 8, 16, 16),
    shift=ShiftConfig(),
)
QUIET = Load(wall_seconds=10.0, others_seconds=0.1, own_seconds=9.0, cpus=2)
SHIFTED, BLOCKED = "p = 1/4, function", "no shift, volume@blocked"
POINTS = [
    Point(variant=DEFAULT, proportion="0", used=0.0, lowering="none", role="no shift"),
    Point(variant=BLOCKED, proportion="0", used=0.0, lowering="volume@blocked", role="no shift"),
    Point(variant=SHIFTED, proportion="1/4", used=0.2, lowering="function", role="shift"),
]
MILLISECONDS = {DEFAULT: 100.0, BLOCKED: 80.0, SHIFTED: 104.0}


def sweep(**changes):
    values = {
        "model": "tiny",
        "config": TINY,
        "devices": ("reference",),
        "proportions": (Fraction(0), Fraction(1, 4)),
        "settings": Settings(rounds=12, warmup=1, processes=2),
        "within": None,
        "clips": 8,
    }
    return Sweep(**{**values, **changes})


def candidates(*_, points=POINTS, **__):
    """In place of compiling: one lowering passed, one did not."""
    rejected = [Rejected(variant="p = 1/8", proportion="1/8", reason="no channel moves")]
    return Candidates(list(points), {point.variant: None for point in points}, rejected)


@contextmanager
def open_sums():
    """Variants that need no runtime, for measuring processes that are real."""
    first, *others = [Variant(point.variant, partial(sum, range(10_000))) for point in POINTS]
    yield Comparison(first, others)


def sums(*_):
    """In place of opening artifacts."""
    return Factory(target="sweeps:open_sums")


def process_run(number=0, *, shift_ms=104.0, rounds=12, status="complete", points=POINTS):
    """What a process measures that runs at exactly so many milliseconds; each has a number to know it by."""
    names = [DEFAULT, f"{DEFAULT} (A/A)", *(point.variant for point in points[1:])]
    roles = ["baseline", "twin", *["candidate"] * (len(names) - 2)]
    took = {**MILLISECONDS, names[1]: 100.0, SHIFTED: shift_ms}
    walls = {name: [round(1e6 * took[name])] * rounds for name in names}
    warmup = Samples(wall_ns=(number,), cpu_ns=(number,))
    return ProcessRun(
        variants=tuple(VariantRecord(name=n, role=r) for n, r in zip(names, roles, strict=True)),
        orders=(tuple(range(len(names))),) * rounds,
        samples={name: Samples(wall_ns=tuple(wall), cpu_ns=tuple(wall)) for name, wall in walls.items()},
        warmup=dict.fromkeys(names, warmup),
        load=QUIET,
        status=status,
        environment=look_around(variables={}),
    )


def number_of(run):
    return run.warmup[DEFAULT].wall_ns[0]
