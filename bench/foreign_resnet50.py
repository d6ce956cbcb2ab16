"""TSM's ResNet-50 as others export it: ``python -m edgevid.bench.foreign_resnet50``.

The shift is written as the published code of TSM writes it, by assignment in place, and exported by both of
PyTorch's exporters. The bundles of the two files are measured against the bundle of the checkpoint, beside
what OpenVINO makes of the same files by itself. One clip of 8 frames, float32; the weights are random, since
only time, size and equality are asked for.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from edgevid import targets
from edgevid.bench.artifacts import factory_of
from edgevid.bench.in_place import EXPORTERS, export_in_place
from edgevid.bench.processes import compare_in_processes
from edgevid.bench.progress import progress_bar
from edgevid.bench.protocol import Progress
from edgevid.bench.results import Result
from edgevid.bench.settings import Settings
from edgevid.bench.storage import check_writable, save_result
from edgevid.bench.table import render
from edgevid.bundle import Bundle
from edgevid.contract import Artifact, CompileOptions, Normalization, RunSettings
from edgevid.errors import BenchmarkError
from edgevid.targets._profiles import device as find_device

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rich.table import Table

    from edgevid.models.config import NetworkConfig

__all__ = ["Facts", "main", "measure_foreign"]

BASELINE = "checkpoint"
SEED = 0


@dataclass(frozen=True)
class Facts:
    """What a variant is, besides its latency.

    Attributes:
        operations: of the ONNX file, constants aside; None for the checkpoint.
        file_bytes: of the checkpoint or ONNX file.
        layers: of the compiled network, constants aside.
        artifact_bytes: of the compiled network.
        difference: of its logits from the baseline's, relative to their maximum.
    """

    operations: int | None
    file_bytes: int
    layers: int
    artifact_bytes: int
    difference: float

    def __str__(self) -> str:
        file = "" if self.operations is None else f"{self.operations} operations, "
        return (
            f"{file}file {self.file_bytes / 1e6:.2f} MB, artifact {self.layers} layers, "
            f"{self.artifact_bytes / 1e6:.2f} MB, logits differ by {self.difference:.1e}"
        )


def measure_foreign(
    config: NetworkConfig,
    *,
    threads: int = 1,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> tuple[Result, dict[str, Facts]]:
    """Latency of both files' bundles, and of the files as OpenVINO takes them, to the checkpoint's bundle.

    Args:
        config: a network with a bidirectional shift.
        threads: of each session.
        settings: of the protocol.
        progress: called for each step.

    Returns:
        The samples, and what each variant is besides.

    Raises:
        BenchmarkError: something does not compile; the message is the compiler's.
        TargetError: OpenVINO refuses a file.
        MissingDependencyError: a runtime is not installed.
    """
    with TemporaryDirectory(prefix="edgevid-foreign-") as place:
        folder = Path(place)
        files = _files(config, folder)
        bundles = {name: _bundle(file, folder / f"{name}.bundle", threads) for name, file in files.items()}
        artifacts = {name: bundle.artifact() for name, bundle in bundles.items()}
        for name in EXPORTERS:
            artifacts[f"{name}, plain"] = _plain(files[name], folder / f"{name}.plain", threads)
            files[f"{name}, plain"] = files[name]
        clip = bundles[BASELINE].golden_clip
        facts = _facts(files, artifacts, clip)
        result = compare_in_processes(
            factory_of(artifacts),
            settings or Settings(),
            title=f"{config.backbone}: bundles of foreign ONNX files",
            device=find_device("host").title,
            parameters={"precision": "fp32", "batch": 1, "size": config.size, "threads": threads},
            notes=[
                *(f"{name}: {fact}" for name, fact in facts.items()),
                "plain: the exporter's file compiled by OpenVINO itself",
                "random weights: only time, size and equality mean something",
            ],
            progress=progress,
        )
    return result, facts


def _files(config: NetworkConfig, folder: Path) -> dict[str, Path]:
    """A checkpoint, and its network as both exporters write it."""
    import torch

    from edgevid.checkpoints import write
    from edgevid.models import build

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = build(config).eval()
        for module in network.modules():
            if isinstance(module, torch.nn.Linear):
                # As initialized it answers nearly the same to all clips: none would show a wrong shift.
                torch.nn.init.normal_(module.weight, std=0.1)
            elif isinstance(module, torch.nn.BatchNorm2d):
                # As initialized it folds into biases of zero, of which exporters keep or drop all.
                torch.nn.init.normal_(module.bias, std=0.1)
    files = {BASELINE: folder / "checkpoint.safetensors"}
    write(files[BASELINE], network)
    for exporter in EXPORTERS:
        files[exporter] = export_in_place(network, exporter, folder / f"{exporter}.onnx")
    return files


def _bundle(file: Path, place: Path, threads: int) -> Bundle:
    """Compiled by the command line, in a process that gives its memory back."""
    rules = Normalization()
    command = [sys.executable, "-m", "edgevid", "compile", str(file), "-o", str(place)]
    command += ["--threads", str(threads), "--color", rules.color]
    for flag, values in (("--mean", rules.mean), ("--std", rules.std)):
        command += [flag, ",".join(map(str, values))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchmarkError(f"edgevid compile failed: {done.stderr.strip()}", where=file.name)
    return Bundle.open(place)


def _plain(file: Path, folder: Path, threads: int) -> Artifact:
    """The file as its exporter wrote it, but for the uint8 clips that all variants take."""
    from onnx_ir.passes.common import ShapeInferencePass

    from edgevid.graph.clip_input import clip_input
    from edgevid.graph.clip_io import with_frames
    from edgevid.graph.prelude import with_uint8_clips
    from edgevid.graph.read_onnx import read_onnx

    device = find_device("host")
    model = read_onnx(file)
    ShapeInferencePass()(model)
    graph = with_uint8_clips(with_frames(model, clip_input(model)), Normalization())
    folder.mkdir()
    options = CompileOptions(
        device=device, folder=folder, lowering="none", settings=RunSettings(threads=threads)
    )
    return targets.find(device.target).compile(graph, options)


def _facts(
    files: Mapping[str, Path], artifacts: Mapping[str, Artifact], clip: NDArray[Any]
) -> dict[str, Facts]:
    from edgevid.graph.read_onnx import read_onnx
    from edgevid.graph.verify import compare

    found, expected = {}, None
    for name, artifact in artifacts.items():
        with targets.find(artifact.target).open(artifact) as session:
            logits = session.run(clip)
        expected = logits if expected is None else expected
        layers = ET.parse(artifact.path).findall("layers/layer")  # noqa: S314 - written a moment ago
        found[name] = Facts(
            operations=len(read_onnx(files[name]).graph) if files[name].suffix == ".onnx" else None,
            file_bytes=files[name].stat().st_size,
            layers=sum(layer.get("type") != "Const" for layer in layers),
            artifact_bytes=sum(path.stat().st_size for path in artifact.folder.iterdir()),
            difference=compare(expected, logits).max_relative,
        )
    return found


def _table(facts: Mapping[str, Facts]) -> Table:
    from rich.table import Table

    table = Table("variant", title="what the files hold, and what was compiled of them", box=None)
    for heading in ("operations", "file MB", "layers", "artifact MB", "logits differ by"):
        table.add_column(heading, justify="right")
    for name, fact in facts.items():
        cells = (fact.operations or "-", f"{fact.file_bytes / 1e6:.2f}", fact.layers)
        sizes = (f"{fact.artifact_bytes / 1e6:.2f}", f"{fact.difference:.1e}")
        table.add_row(name, *map(str, cells), *sizes)
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit status is 0 however slow it was."""
    from rich.console import Console

    from edgevid.models.config import NetworkConfig, ShiftConfig

    parser = argparse.ArgumentParser(description="Foreign ONNX files of TSM's ResNet-50 in OpenVINO.")
    parser.add_argument("--rounds", type=int, default=40, help="rounds a process")
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size", type=int, default=224, help="pixels")
    parser.add_argument("--output", type=Path, help="write the result as JSON")
    options = parser.parse_args(arguments)
    if options.output:
        check_writable(options.output, "the result")
    with progress_bar() as progress:
        result, facts = measure_foreign(
            NetworkConfig(backbone="resnet50", classes=400, size=options.size, shift=ShiftConfig()),
            threads=options.threads,
            settings=Settings(rounds=options.rounds, processes=options.processes),
            progress=progress,
        )
    console = Console()
    console.print(_table(facts))
    console.print(render(result))
    if options.output:
        save_result(result, options.output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
