"""What TSM's shift costs on ResNet-50 in OpenVINO: ``python -m edgevid.bench.overhead_resnet50``.

One clip of 8 frames of 224x224, float32, one thread, a quarter of the channels shifted: the default lowering
(and any other that is named) against the same network without a shift, as OpenVINO runs it by default. The
weights are random, since only time is asked for; each network's logits are compared with ONNX Runtime's
before it is timed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from edgevid import targets
from edgevid.bench.factory import Factory
from edgevid.bench.processes import compare_in_processes
from edgevid.bench.progress import progress_bar
from edgevid.bench.protocol import Comparison, Progress, Variant
from edgevid.bench.results import Result
from edgevid.bench.settings import Settings
from edgevid.bench.storage import save_result
from edgevid.bench.table import render
from edgevid.contract import Artifact, CompileOptions, Normalization, RunSettings
from edgevid.errors import VerificationError
from edgevid.targets._profiles import device as find_device

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgevid.models.config import NetworkConfig

__all__ = ["main", "measure_overhead", "open_variants"]

BASELINE = "no shift"
TUNED = "no shift, tuned"
"""The network without a shift, rewritten and compiled as ``volume_split_conv`` does it: what
that lowering owes to the layout rather than to the shift."""
SEED = 0
_ARTIFACT = TypeAdapter(Artifact)


def measure_overhead(
    config: NetworkConfig,
    *,
    lowerings: Sequence[str] = (),
    threads: int = 1,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Result:
    """Overhead of the shift of ``config`` for one clip in float32, on this machine's CPU by OpenVINO.

    Args:
        config: a network with a shift.
        lowerings: to be compared; the device's default alone when empty.
        threads: of each session.
        settings: of the protocol.
        progress: called for each step.

    Raises:
        VerificationError: a lowering does not compute what ONNX Runtime computes.
        TargetError: OpenVINO refuses a graph.
        MissingDependencyError: a runtime is not installed.
    """
    device = find_device("host")
    proportion = "0" if config.shift is None else str(config.shift.proportion)
    with TemporaryDirectory(prefix="edgevid-overhead-") as folder:
        artifacts = _artifacts(config, lowerings, threads, Path(folder))
        recorded = {name: _ARTIFACT.dump_python(entry, mode="json") for name, entry in artifacts.items()}
        return compare_in_processes(
            Factory(
                target=f"{__package__}.overhead_resnet50:open_variants", arguments={"artifacts": recorded}
            ),
            settings or Settings(),
            title=f"{config.backbone}, p = {proportion}: overhead of the shift",
            device=device.title,
            parameters={
                "precision": "fp32",
                "batch": 1,
                "segments": config.segments,
                "size": config.size,
                "threads": threads,
            },
            notes=("random weights: only the time means something",),
            progress=progress,
        )


@contextmanager
def open_variants(artifacts: Mapping[str, Any]) -> Iterator[Comparison]:
    """Open the artifacts, the first of them twice; called in each measuring process."""
    with ExitStack() as stack:

        def opened(name: str) -> Variant:
            artifact = _ARTIFACT.validate_python(artifacts[name])
            session = stack.enter_context(targets.find(artifact.target).open(artifact))
            return Variant(name, partial(session.run, _clip(session.input.shape)))

        variants = [opened(name) for name in artifacts]
        yield Comparison(variants[0], variants[1:], twin=opened(variants[0].name).run)


def _artifacts(
    config: NetworkConfig, lowerings: Sequence[str], threads: int, folder: Path
) -> dict[str, Artifact]:
    from edgevid.graph.lower import lower

    device = find_device("host")
    plain, shifted = _graph(config.without_shift()), _graph(config)
    names = lowerings or [targets.find(device.target).default_lowering(shifted, device, "fp32", 1)]
    found = {BASELINE: _compile(plain, plain, "none", threads, folder / "plain")}
    for name in names:
        found[name] = _compile(shifted, lower(shifted, name), name, threads, folder / name)
        if name == "volume_split_conv":
            found[TUNED] = _compile(plain, _as_volume(plain), name, threads, folder / "tuned")
    return found


def _as_volume(plain: ir.Model) -> ir.Model:
    from edgevid.graph.split_conv import decimate_pointwise
    from edgevid.graph.volume import frames_to_volume

    changed = plain.clone()
    frames_to_volume(changed)
    decimate_pointwise(changed)
    return changed


def _graph(config: NetworkConfig) -> ir.Model:
    import torch

    from edgevid.graph.export import export
    from edgevid.graph.prelude import with_uint8_clips
    from edgevid.models import build

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = build(config).eval()
    return with_uint8_clips(export(network), Normalization())


def _compile(canonical: ir.Model, graph: ir.Model, lowering: str, threads: int, folder: Path) -> Artifact:
    """Compile ``graph``, and hold it to what ONNX Runtime makes of ``canonical``."""
    from edgevid.graph.lower import KEEP
    from edgevid.graph.verify import compare

    device = find_device("host")
    options = CompileOptions(
        device=device, folder=folder, lowering=lowering, settings=RunSettings(threads=threads)
    )
    folder.mkdir(parents=True)
    target, reference = targets.find(device.target), targets.find("onnxruntime")
    artifact = target.compile(graph, options)
    with TemporaryDirectory(prefix="edgevid-reference-") as place:
        kept = reference.compile(canonical, replace(options, folder=Path(place), lowering=KEEP))
        with reference.open(kept) as expected, target.open(artifact) as session:
            clip = _clip(session.input.shape)
            difference = compare(expected.run(clip), session.run(clip))
    if not difference.within("fp32"):
        raise VerificationError(
            f"{lowering} does not compute what ONNX Runtime computes: {difference}",
            where=lowering,
            fix="leave this lowering out and report the case",
        )
    return artifact


def _clip(shape: tuple[int, ...]) -> Any:
    import numpy as np

    return np.random.default_rng(SEED).integers(0, 256, shape, dtype=np.uint8)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit status is 0 however slow it was."""
    from rich.console import Console

    from edgevid.models.config import NetworkConfig, ShiftConfig

    parser = argparse.ArgumentParser(description="Overhead of the shift on ResNet-50 in OpenVINO.")
    parser.add_argument("--rounds", type=int, default=40, help="rounds a process")
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--proportion", default="1/4", help="share of all channels that move")
    parser.add_argument("--lowering", action="append", default=[], help="may be given several times")
    parser.add_argument("--output", type=Path, help="write the result as JSON")
    options = parser.parse_args(arguments)
    shift = ShiftConfig.model_validate({"proportion": options.proportion})
    with progress_bar() as progress:
        result = measure_overhead(
            NetworkConfig(backbone="resnet50", classes=400, shift=shift),
            lowerings=options.lowering,
            threads=options.threads,
            settings=Settings(rounds=options.rounds, processes=options.processes),
            progress=progress,
        )
    Console().print(render(result))
    if options.output:
        save_result(result, options.output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
