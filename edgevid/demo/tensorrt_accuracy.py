"""What TensorRT's precisions cost the demonstration: ``python -m edgevid.demo.tensorrt_accuracy``.

The very graphs that engines are built from, in float16 and in int8 as an RTX GPU gets them and in opset 13
as a board does, run in ONNX Runtime operation by operation on generated clips of the hard split, beside
float32. So their answers are simulated, and no engine is built.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgevid.bench.claims import Claim, told
from edgevid.calibration.calibrate import calibrate
from edgevid.calibration.statistics import Paired, paired
from edgevid.contract import CompileOptions, Precision, Session
from edgevid.demo.evaluate import SEED
from edgevid.demo.generated import Generated
from edgevid.demo.int8_bundles import CALIBRATION_CLIPS, CALIBRATION_SEED, demo_source
from edgevid.graph.lower import lower
from edgevid.graph.prelude import with_uint8_clips
from edgevid.int8 import Int8, kept_in_float, quantized
from edgevid.targets import onnxruntime
from edgevid.targets._profiles import device
from edgevid.targets.tensorrt._target import scheme_of, typed
from edgevid.targets.tensorrt.boards import board
from edgevid.targets.tensorrt.opset13 import as_opset13

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgevid.targets.tensorrt.vendor import Flavor

__all__ = ["Variant", "claims", "drops", "main", "variants"]

FLOAT = "float32"
MOST_DROP = 0.005
_LOWERING = "fused_slice_concat"


@dataclass(frozen=True)
class Variant:
    """A graph as TensorRT gets it.

    Attributes:
        precision: of it.
        graph: what an engine is built from.
        frames: type of its clips.
    """

    precision: Precision
    graph: ir.Model
    frames: str = "uint8"


def variants(clips: int) -> dict[str, Variant]:
    """The shipped network by name, in float32 first.

    Args:
        clips: of the hard split, to calibrate with.
    """
    source = demo_source()
    graph = with_uint8_clips(source.graph(1), source.normalization)
    data = Generated("hard", clips, CALIBRATION_SEED)
    table = calibrate(graph, data, method="minmax", count=clips)
    found = {FLOAT: Variant("fp32", graph)}
    plain = lower(graph, _LOWERING)
    found["rtx-40 fp16"] = Variant("fp16", typed(plain, "fp16", "tensorrt_rtx"))
    flavors: dict[str, Flavor] = {"rtx-40": "tensorrt_rtx", "t4": "tensorrt"}
    for name, flavor in flavors.items():
        scheme = scheme_of(board(name))
        kept = kept_in_float(graph, Int8(table), scheme)
        pairs = lower(quantized(graph, table, scheme, kept), _LOWERING)
        found[f"{name} int8"] = Variant("int8", typed(pairs, "int8", flavor))
    found["jetson-tx2 fp32"] = Variant("fp32", as_opset13(plain), "float32")
    return found


def drops(networks: Mapping[str, Variant], data: Generated) -> dict[str, Paired]:
    """Top-1 lost against the first network, by the name of each other."""
    first, *others = networks
    lost, gained, count = dict.fromkeys(others, 0), dict.fromkeys(others, 0), 0
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="edgevid-")))
        sessions = {
            name: held.enter_context(_opened(network, folder / str(number)))
            for number, (name, network) in enumerate(networks.items())
        }
        for sample in data.read():
            assert isinstance(sample.clips, np.ndarray)
            right = {
                name: _answer(sessions[name], network, sample.clips) == sample.label
                for name, network in networks.items()
            }
            count += 1
            for name in others:
                lost[name] += right[first] and not right[name]
                gained[name] += right[name] and not right[first]
    return {name: paired(lost[name], gained[name], count) for name in others}


def _opened(network: Variant, folder: Path) -> Session:
    folder.mkdir()
    runtime = onnxruntime.target()
    options = CompileOptions(device("reference"), folder, network.precision, lowering="function")
    return runtime.open(runtime.compile(network.graph, options))


def _answer(session: Session, network: Variant, clips: NDArray[np.uint8]) -> int:
    return int(session.run(clips.astype(network.frames)).argmax())


def claims(found: Mapping[str, Paired]) -> list[Claim]:
    """What is wanted of each network, and whether it holds."""
    return [
        Claim(
            f"{name}: top-1 drop {100 * pair.drop.value:.2f} points "
            f"({100 * pair.drop.low:.2f}..{100 * pair.drop.high:.2f}), simulated",
            f"at most {100 * MOST_DROP:g}",
            pair.drop.value <= MOST_DROP,
        )
        for name, pair in found.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit status is 1 if something wanted is not met."""
    parser = argparse.ArgumentParser(
        prog="python -m edgevid.demo.tensorrt_accuracy", description=main.__doc__
    )
    parser.add_argument("--count", type=int, default=10_000, help="clips to compare")
    parser.add_argument("--clips", type=int, default=CALIBRATION_CLIPS, help="clips to calibrate with")
    chosen = parser.parse_args(arguments)
    shown = claims(drops(variants(chosen.clips), Generated("hard", chosen.count, SEED)))
    print(told(shown))
    return 0 if all(claim.met for claim in shown) else 1


if __name__ == "__main__":
    raise SystemExit(main())
