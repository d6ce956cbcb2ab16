"""``python -m edgevid.overhead.streaming_run``: what streaming costs a frame, and in memory.

Latency is a claim after three processes of 40 rounds on a quiet machine. With ``--steps`` the shipped
network that takes from the past alone, or ``--checkpoint``, takes so many frames, and its memory is shown.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import edgevid
from edgevid import targets
from edgevid.bench.claims import Claim, paired_ratio, takes_at_most, told
from edgevid.bench.progress import progress_bar
from edgevid.bench.results import Result
from edgevid.bench.settings import Settings
from edgevid.bench.storage import check_writable, save_result
from edgevid.bench.stream_memory import memory_a_stream, memory_over_steps
from edgevid.bench.table import render
from edgevid.contract import Artifact, CompileOptions, RunSettings, Tuning
from edgevid.errors import ConfigError
from edgevid.models.config import NetworkConfig
from edgevid.overhead.streaming import NO_SHIFT, STREAMING, StreamingNetworks, measure_streaming
from edgevid.targets._profiles import device as find_device

__all__ = ["claims", "main", "shipped_stream"]

MOST_MEMORY = 1.1
"""Times its caches' bytes that an added stream may take."""


def claims(result: Result, limit: float) -> list[Claim]:
    """Each form against the default network without a shift, and the fastest against the fastest."""
    names = [variant.name for variant in result.variants if variant.role != "twin"]
    streaming = [name for name in names if name.startswith(STREAMING)]
    plain = [name for name in names if name.startswith(NO_SHIFT)]
    if not streaming:
        return []

    def over_default(name: str) -> float:
        return 1.0 if name == plain[0] else paired_ratio(result, name, plain[0]).median

    found = [takes_at_most(result, name, plain[0], limit) for name in streaming]
    best, best_plain = min(streaming, key=over_default), min(plain, key=over_default)
    return found if best_plain == plain[0] else [*found, takes_at_most(result, best, best_plain, limit)]


def memory_claim(name: str, artifact: Artifact) -> Claim:
    """What a stream that is added takes, against its caches."""
    assert artifact.streaming is not None
    caches, added = artifact.streaming.nbytes, memory_a_stream(artifact)
    if added is None:
        return Claim(f"{name}: the kernel does not tell what a stream takes", "a figure", False)
    sentence = f"{name}: an added stream takes {added:,} bytes, its caches are {caches:,}"
    return Claim(sentence, f"at most {MOST_MEMORY:g} times the caches", added <= MOST_MEMORY * max(caches, 1))


SHIPPED = Path(edgevid.__file__).parent / "demo" / "online.safetensors"


def shipped_stream(checkpoint: Path, device_name: str, folder: Path) -> Artifact:
    """A checkpoint's network that takes frame by frame, in float32 and the first form, into ``folder``."""
    from edgevid.graph.prelude import with_uint8_clips
    from edgevid.graph.streaming import stream_graph
    from edgevid.source import open_source

    device, source = find_device(device_name), open_source(checkpoint)
    target = targets.find(device.target)
    stream = stream_graph(with_uint8_clips(source.graph(1), source.normalization))
    options = CompileOptions(
        device,
        folder,
        lowering=target.probe(device).stream_lowerings[0],
        settings=RunSettings(threads=1),
        streaming=stream.streaming,
    )
    return target.compile(stream.model, options)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit status is 0 however slow it was."""
    from rich.console import Console

    parser = argparse.ArgumentParser(prog="python -m edgevid.overhead.streaming_run", description=__doc__)
    parser.add_argument("--backbone", choices=("resnet50", "mobilenet_v2"), default="resnet50")
    parser.add_argument("--device", default="host", help="a profile of this machine")
    parser.add_argument("--precision", default="fp32", help="several between commas")
    parser.add_argument("--limit", type=float, default=1.02, help="wanted: so many times the latency")
    parser.add_argument("--rounds", type=int, default=40, help="rounds a process")
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--size", type=int, default=224, help="pixels of a frame's side")
    parser.add_argument("--records", type=Path, help="of tuning; a file in the user's cache by default")
    parser.add_argument("--output", type=Path, help="folder for the results as JSON")
    parser.add_argument("--steps", type=int, help="take so many frames and show the memory instead")
    parser.add_argument("--checkpoint", type=Path, default=SHIPPED, help="for --steps")
    options = parser.parse_args(arguments)
    if options.steps:
        with TemporaryDirectory(prefix="edgevid-steps-") as place:
            artifact = shipped_stream(options.checkpoint, options.device, Path(place))
            for taken, size in memory_over_steps(artifact, options.steps):
                print(f"{taken:>12,} frames {size or 0:>16,} bytes")
        return 0
    if options.output:
        try:
            options.output.mkdir(parents=True, exist_ok=True)
            check_writable(options.output / "result.json", "the results")
        except (OSError, ConfigError) as error:
            parser.error(f"--output: {error}")
    config = NetworkConfig.model_validate(
        {
            "backbone": options.backbone,
            "classes": 400,
            "size": options.size,
            "shift": {"proportion": "1/8", "direction": "unidirectional"},
        }
    )
    capability = targets.find(find_device(options.device).target).probe(find_device(options.device))
    tuning = Tuning(measure=True, records=options.records) if capability.tunes else None
    for precision in options.precision.split(","):
        with TemporaryDirectory(prefix="edgevid-streaming-") as place, progress_bar() as progress:
            networks = StreamingNetworks(config, precision, options.device, Path(place), tuning)
            networks.compile()
            settings = Settings(rounds=options.rounds, processes=options.processes)
            result = measure_streaming(networks, settings, progress=progress)
            streams = {name: one for name, one in networks.artifacts.items() if one.streaming is not None}
            memory = [memory_claim(name, artifact) for name, artifact in streams.items()]
        Console().print(render(result))
        print(told([*claims(result, options.limit), *memory]))
        if options.output:
            save_result(result, options.output / f"{options.backbone}-{options.device}-{precision}.json")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
