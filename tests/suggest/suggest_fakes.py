"""Presets that compile to nothing and take what they are told, and results of them."""

from datetime import datetime, timezone
from types import SimpleNamespace

from edgevid.bench.environment import look_around
from edgevid.bench.load import Load
from edgevid.bench.results import ProcessRun, Result, Samples, VariantRecord
from edgevid.bench.settings import Settings
from edgevid.bench.validity import judge
from edgevid.contract import Artifact, TensorSpec
from edgevid.errors import LoweringError
from edgevid.models.config import NetworkConfig, ShiftConfig
from edgevid.suggest.network import Compiled, PresetRun

TINY = NetworkConfig(
    backbone="resnet50",
    classes=100,
    segments=2,
    size=32,
    blocks=(1, 1, 1, 1),
    channels=(16, 8, 8, 16, 16),
    shift=ShiftConfig(),
)
QUIET = Load(wall_seconds=10.0, others_seconds=0.1, own_seconds=9.0, cpus=2)


def run_of(title="slow", **changes):
    values = {"title": title, "preset": title, "config": TINY, "device": "reference", "precision": "fp32"}
    return PresetRun(**{**values, **changes})


def process_run(names, took, *, rounds=12, status="complete", number=0):
    """Every variant takes exactly its milliseconds; ``number`` stands in the warm-up."""
    first, *others = names
    all_names = [first, f"{first} (A/A)", *others]
    roles = ["baseline", "twin", *["candidate"] * len(others)]
    walls = {name: [round(1e6 * took.get(name.removesuffix(" (A/A)"), 10.0))] * rounds for name in all_names}
    return ProcessRun(
        variants=tuple(VariantRecord(name=n, role=r) for n, r in zip(all_names, roles, strict=True)),
        orders=(tuple(range(len(all_names))),) * rounds,
        samples={name: Samples(wall_ns=tuple(wall), cpu_ns=tuple(wall)) for name, wall in walls.items()},
        warmup=dict.fromkeys(all_names, Samples(wall_ns=(number,), cpu_ns=(number,))),
        load=QUIET,
        status=status,
        environment=look_around(variables={}),
    )


def result_of(*runs, **changes):
    values = {
        "title": "a result",
        "created": datetime(2026, 1, 2, tzinfo=timezone.utc),
        "command": ("edgevid",),
        "settings": Settings(processes=len(runs)),
        "runs": runs,
        "verdict": judge(runs),
    }
    return Result(**{**values, **changes})


class Machine:
    """In place of compiling and of measuring processes; remembers what it was asked for."""

    def __init__(self):
        self.compiled, self.runs, self.took = [], 0, {}
        self.status, self.broken, self.memory = [], set(), 50_000_000

    def compile(self, asked, folder, progress=None):
        self.compiled.append(asked.title)
        if asked.title in self.broken:
            raise LoweringError("no form of it holds", where=asked.preset)
        folder.mkdir(parents=True)
        size = asked.config.size
        artifact = Artifact(
            target="onnxruntime",
            folder=folder,
            entry="network.onnx",
            precision=asked.precision,
            batch=asked.batch,
            lowering="function",
            input=TensorSpec("clips", (asked.batch, asked.config.segments, size, size, 3), "uint8"),
            output=TensorSpec("logits", (asked.batch, asked.config.classes), "float32"),
        )
        return Compiled(artifact=artifact, parameters=1_000_000, macs=2_000_000_000)

    def measure(self, factory, settings, index=0, **_):
        self.runs += 1
        status = self.status.pop(0) if self.status else "complete"
        if isinstance(status, Exception):
            raise status
        return process_run(factory.names, self.took, status=status, number=self.runs), ""

    def install(self, monkeypatch):
        from edgevid.suggest import measure

        monkeypatch.setattr(measure, "compile_apart", self.compile)
        monkeypatch.setattr(measure, "measure_in_process", self.measure)
        monkeypatch.setattr(measure, "factory_of", lambda made, _: SimpleNamespace(names=list(made)))
        monkeypatch.setattr(measure, "peak_memory", lambda *_: self.memory)
        return self


def numbers(result):
    """Which processes a result is of."""
    return [run.warmup[run.variants[0].name].wall_ns[0] for run in result.runs]
