"""Networks with random weights compiled in float and in int8, to be timed.

The clips are generated, since noise has other ranges than videos. What each artifact computes is
held to ONNX Runtime before it is timed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgevid import targets
from edgevid.calibration.calibrate import calibrate
from edgevid.calibration.clips import Arrays
from edgevid.calibration.quantize import quantize
from edgevid.calibration.rounded import rounded_to_bf16
from edgevid.contract import Artifact, CompileOptions, Normalization, Precision, RunSettings, Scheme, Tuning
from edgevid.errors import UnsupportedPrecisionError, VerificationError
from edgevid.graph.lower import KEEP, lower, lower_plain
from edgevid.graph.prelude import with_uint8_clips
from edgevid.graph.shift_op import shift_nodes, spec_of
from edgevid.graph.verify import Difference, compare
from edgevid.models.config import NetworkConfig
from edgevid.targets import onnxruntime as reference
from edgevid.targets._profiles import device as find_device
from edgevid.video.synthetic import make_clips

__all__ = ["Facts", "Variants"]

DEVICE = "host"
NO_SHIFT = "none"
SEED = 0
MOST_LOSS = {"int8": 3.0, "bf16": 6.0}
"""dB: by rounding elsewhere a runtime adds at most as much noise as int8 itself; a few logits of one clip
tell that of bf16 less exactly. Random weights leave little to go by: deep networks of them keep 20 dB in
int8 and 30 in bf16."""


@dataclass(frozen=True)
class Facts:
    """What an artifact is, besides its latency.

    Attributes:
        int8, convolutions: how many of them run in int8, by the runtime's own word, and all.
        sqnr: of its logits against float32, in dB.
    """

    int8: int
    convolutions: int
    sqnr: float

    def __str__(self) -> str:
        return f"{self.int8} of {self.convolutions} convolutions in int8, logits SQNR {self.sqnr:.1f} dB"


@dataclass(frozen=True)
class Variants:
    """One network, and its artifacts for this machine.

    Attributes:
        config: of the network.
        clips: how many it is calibrated with.
        threads: of each session.
        device: a profile of this machine.
        tuning: for a target that has a choice of kernels.
        batch: clips a call.
    """

    config: NetworkConfig
    clips: int = 16
    threads: int = 1
    device: str = DEVICE
    tuning: Tuning | None = None
    batch: int = 1

    @cached_property
    def graph(self) -> ir.Model:
        """Canonical, of one batch.

        The weights are random, but the batch normalizations know their inputs: else the values of
        a deep network vanish, and nothing is left to quantize.
        """
        import torch

        from edgevid.graph.export import export
        from edgevid.models import build

        rules = Normalization()
        mean, std = np.array(rules.mean, np.float32), np.array(rules.std, np.float32)
        frames = torch.from_numpy((self.pixels[:8] - mean) / std).permute(0, 1, 4, 2, 3)
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(SEED)
            network = build(self.config).train()
            for module in network.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.momentum = None  # the average of all that it sees
            network(frames)
        return with_uint8_clips(export(network.eval(), batch=self.batch), rules)

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """Generated clips ``[clips + batch, T, H, W, 3]``; the last batch is not for calibration."""
        size, length = self.config.size, self.config.segments
        return make_clips("hard", self.clips + self.batch, SEED, length=length, size=size)[0]

    @cached_property
    def data(self) -> Arrays:
        """What the network is calibrated with."""
        return Arrays(self.pixels[: self.clips])

    @property
    def proportion(self) -> Fraction:
        """Share of the channels of all shifted tensors that really move, since folds are whole channels."""
        moved = channels = 0
        for node in shift_nodes(self.graph):
            value = node.inputs[0]
            assert value is not None
            assert value.shape is not None
            moved += spec_of(node).moved_channels
            channels += value.shape.numpy()[1]
        return Fraction(moved, channels or 1)

    @cached_property
    def default_lowering(self) -> str:
        """What ``auto`` takes in float32."""
        return self.default_lowering_in("fp32")

    def default_lowering_in(self, precision: Precision) -> str:
        """What ``auto`` takes in that precision."""
        device = find_device(self.device)
        if not shift_nodes(self.graph):
            return NO_SHIFT
        graph = self._quantized if precision == "int8" else self.graph
        return targets.find(device.target).default_lowering(graph, device, precision, self.batch)

    def graph_in(self, precision: Precision) -> ir.Model:
        """The canonical graph that is lowered for a precision: in int8 the quantized one."""
        return self._quantized if precision == "int8" else self.graph

    def lowered(self, graph: ir.Model, lowering: str) -> ir.Model:
        """``graph`` without shifts as such; one that has none in a plain form."""
        return lower(graph, lowering) if shift_nodes(graph) else lower_plain(graph, lowering)

    def compile(self, precision: Precision, lowering: str, folder: Path) -> Artifact:
        """In any precision; see `compile_float` and `compile_int8`."""
        if precision == "int8":
            return self.compile_int8(folder, lowering)
        return self.compile_float(lowering, folder, precision)

    def compile_float(self, lowering: str, folder: Path, precision: Precision = "fp32") -> Artifact:
        """In float32 or less.

        Raises:
            LoweringError: the lowering does not fit the network.
            VerificationError: the runtime does not compute what ONNX Runtime computes.
        """
        artifact = self._compile(self.lowered(self.graph, lowering), lowering, folder, precision)
        difference = compare(self._expected, self._logits(artifact))
        if precision == "bf16":
            _require(
                difference.sqnr >= self._rounded_sqnr - MOST_LOSS["bf16"], difference, f"{lowering} in bf16"
            )
        else:
            _require(difference.within(precision), difference, lowering)
        return artifact

    def compile_int8(self, folder: Path, lowering: str = "") -> Artifact:
        """In int8 by our own quantization, in the default lowering if none is named.

        Raises:
            LoweringError: the lowering does not fit the network.
            UnsupportedPrecisionError: this machine has no int8.
            VerificationError: the runtime is farther from float32 than ONNX Runtime's result for
                the Q/DQ graph.
        """
        lowering = lowering or self.default_lowering_in("int8")
        artifact = self._compile(self.lowered(self._quantized, lowering), lowering, folder, "int8")
        difference = compare(self._expected, self._logits(artifact))
        _require(
            difference.sqnr >= self._simulated_sqnr - MOST_LOSS["int8"], difference, f"{lowering} in int8"
        )
        return artifact

    def facts(self, artifact: Artifact) -> Facts:
        """What an artifact of this network is."""
        with targets.find(artifact.target).open(artifact) as session:
            layers = [layer for layer in session.layers() if layer.kind == "Conv"]
            logits = session.run(self.pixels[self.clips :])
        in_int8 = sum(layer.precision == "int8" for layer in layers)
        return Facts(in_int8, len(layers), compare(self._expected, logits).sqnr)

    def seconds(self, artifact: Artifact) -> float:
        """Of a run, roughly: the least of three."""
        clips, took = self.pixels[self.clips :], []
        with targets.find(artifact.target).open(artifact) as session:
            for _ in range(3):
                began = time.perf_counter()
                session.run(clips)
                took.append(time.perf_counter() - began)
        return min(took)

    @cached_property
    def _quantized(self) -> ir.Model:
        table = calibrate(self.graph, self.data, threads=self.threads)
        return quantize(self.graph, table.thresholds, self._scheme())

    @cached_property
    def _expected(self) -> NDArray[np.float32]:
        return _reference(self.graph, "fp32", self.pixels[self.clips :])

    @cached_property
    def _rounded_sqnr(self) -> float:
        """What bf16 costs by ONNX Runtime."""
        graph = rounded_to_bf16(self.graph)
        name = str(graph.graph.inputs[0].name)
        (logits,) = reference.evaluate(graph, {name: self.pixels[self.clips :]})
        return compare(self._expected, logits).sqnr

    @cached_property
    def _simulated_sqnr(self) -> float:
        """What int8 costs by ONNX Runtime, operation by operation."""
        logits = _reference(self._quantized, "int8", self.pixels[self.clips :])
        return compare(self._expected, logits).sqnr

    def _scheme(self) -> Scheme:
        device = find_device(self.device)
        capability = targets.find(device.target).probe(device)
        if capability.scheme is None:
            raise UnsupportedPrecisionError(
                capability.missing.get("int8", f"{device.title} has no int8"),
                where=device.name,
                fix="measure on a CPU with int8",
            )
        return capability.scheme

    def _compile(self, graph: ir.Model, lowering: str, folder: Path, precision: Precision) -> Artifact:
        device = find_device(self.device)
        folder.mkdir(parents=True)
        options = CompileOptions(
            device=device,
            folder=folder,
            precision=precision,
            batch=self.batch,
            lowering=lowering,
            settings=RunSettings(threads=self.threads),
            tuning=self.tuning,
        )
        return targets.find(device.target).compile(graph, options)

    def _logits(self, artifact: Artifact) -> NDArray[np.float32]:
        with targets.find(artifact.target).open(artifact) as session:
            return session.run(self.pixels[self.clips :])


def _reference(graph: ir.Model, precision: Precision, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits by ONNX Runtime; int8 operation by operation."""
    target = reference.target()
    with TemporaryDirectory(prefix="edgevid-reference-") as place:
        options = CompileOptions(
            device=find_device("reference"),
            folder=Path(place),
            precision=precision,
            batch=len(clips),
            lowering=KEEP,
        )
        with target.open(target.compile(graph, options)) as session:
            return session.run(clips)


def _require(holds: bool, difference: Difference, what: str) -> None:
    if not holds:
        raise VerificationError(
            f"{what} does not compute what ONNX Runtime computes: SQNR {difference.sqnr:.1f} dB against "
            f"float32, {difference}",
            where=what,
            fix="leave it out and report the case",
        )
