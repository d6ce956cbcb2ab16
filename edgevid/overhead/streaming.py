"""What streaming costs a frame: ``python -m edgevid.overhead.streaming``.

A uni-directional network (p = 1/8, the first fold from the frame before: MIT's ``shift_div`` of 8) that
takes frame by frame is held against the same network without a shift, on one frame, in all forms that the
target offers for either. The weights are random, since only time is asked for; what each artifact answers
is compared with ONNX Runtime before it is timed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgevid import targets
from edgevid.bench.artifacts import factory_of
from edgevid.bench.processes import compare_in_processes
from edgevid.bench.protocol import Progress
from edgevid.bench.results import Result
from edgevid.bench.settings import Settings
from edgevid.calibration.int8_variants import MOST_LOSS, Variants
from edgevid.calibration.rounded import rounded_to_bf16
from edgevid.contract import Artifact, CompileOptions, Precision, RunSettings, Streaming, Tuning
from edgevid.errors import EdgevidError, VerificationError
from edgevid.graph.lower import lower_plain
from edgevid.graph.retime import per_frame
from edgevid.graph.streaming import stream_graph
from edgevid.graph.verify import compare
from edgevid.models.config import NetworkConfig
from edgevid.targets import onnxruntime as reference
from edgevid.targets._profiles import device as find_device

__all__ = ["NO_SHIFT", "STREAMING", "StreamingNetworks", "measure_streaming"]

NO_SHIFT = "no shift"
STREAMING = "streaming"

_FRAMES = 4
"""That artifacts are compared over."""

_HOPELESS = 1.5
"""Times the default network's latency from which on a form is not timed."""


@dataclass
class StreamingNetworks:
    """The compiled networks of one comparison.

    Attributes:
        config: of the network; its shift is uni-directional.
        precision: of all.
        device: name of a profile of this machine.
        folder: to compile into; empty.
        tuning: for a target that has a choice of kernels.
        artifacts: by name of the variant, the default network without a shift first.
        rejected: sentences on what is not timed.
    """

    config: NetworkConfig
    precision: Precision
    device: str
    folder: Path
    tuning: Tuning | None = None
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    rejected: list[str] = field(default_factory=list)
    _most_seconds: float = field(default=math.inf, init=False)

    def compile(self) -> None:
        """Compile every form, compare it, and leave out what is wrong or hopelessly slow.

        Raises:
            EdgevidError: the default network without a shift cannot be compiled.
        """
        device = find_device(self.device)
        capability = targets.find(device.target).probe(device)
        plain, shifted = self._variants(self.config.without_shift()), self._variants(self.config)
        frame_by_frame = shifted.graph_in(self.precision)
        one_frame = per_frame(plain.graph_in(self.precision), 1)
        stream = stream_graph(frame_by_frame)
        frames = shifted.pixels[-1][:_FRAMES]
        answers = _answers(plain, self.precision, frames[:1])
        for form in capability.plain_forms:
            name = NO_SHIFT if not self.artifacts else f"{NO_SHIFT}, {form}"
            self._add(name, form, partial(lower_plain, one_frame, form), None, answers)
        answers = _answers(shifted, self.precision, frames)
        for form in capability.stream_lowerings:
            self._add(f"{STREAMING}, {form}", form, lambda: stream.model, stream.streaming, answers)

    def _variants(self, config: NetworkConfig) -> Variants:
        return Variants(config, threads=1, device=self.device, tuning=self.tuning)

    def _add(
        self,
        name: str,
        form: str,
        graph: Callable[[], ir.Model],
        streaming: Streaming | None,
        answers: _Answers,
    ) -> None:
        device, place = find_device(self.device), self.folder / str(len(list(self.folder.iterdir())))
        place.mkdir()
        options = CompileOptions(
            device=device,
            folder=place,
            precision=self.precision,
            lowering=form,
            settings=RunSettings(threads=1),
            tuning=self.tuning,
            streaming=streaming,
        )
        try:
            artifact = targets.find(device.target).compile(graph(), options)
            took = self._checked(artifact, answers)
        except EdgevidError as error:
            if not self.artifacts:
                raise
            self.rejected.append(f"{name} was not timed: {error.what}")
            return
        if not self.artifacts:
            self._most_seconds = _HOPELESS * took
        elif took > self._most_seconds:
            self.rejected.append(f"{name} was not timed: a frame takes {1000 * took:.1f} ms")
            return
        self.artifacts[name] = artifact

    def _checked(self, artifact: Artifact, answers: _Answers) -> float:
        """Seconds of a frame, roughly."""
        rows, took = [], math.inf
        with targets.find(artifact.target).open(artifact) as session:
            for frame in answers.frames:
                began = time.perf_counter()
                row = session.run(frame[None, None])[0] if artifact.streaming is None else session.step(frame)
                took = min(took, time.perf_counter() - began)
                rows.append(row)
        difference = compare(answers.logits, np.array(rows, np.float32))
        if difference.sqnr < answers.least if answers.least else not difference.within(self.precision):
            raise VerificationError(
                f"it does not answer as ONNX Runtime does: SQNR {difference.sqnr:.1f} dB, {difference}",
                where=artifact.lowering,
                fix="leave it out and report the case",
            )
        return took


@dataclass(frozen=True)
class _Answers:
    """What an artifact is held to.

    Attributes:
        frames: ``[frames, H, W, 3]``.
        logits: of each in float32, by ONNX Runtime.
        least: SQNR in dB, if the arithmetic is simulated: a little less than what it costs there.
    """

    frames: NDArray[np.uint8]
    logits: NDArray[np.float32]
    least: float | None = None


def _answers(network: Variants, precision: Precision, frames: NDArray[np.uint8]) -> _Answers:
    exact = _logits(network.graph, frames)
    if precision not in MOST_LOSS:
        return _Answers(frames, exact)
    graph = network.graph_in(precision)
    simulated = _logits(graph if precision == "int8" else rounded_to_bf16(graph), frames)
    return _Answers(frames, exact, compare(exact, simulated).sqnr - MOST_LOSS[precision])


def _logits(graph: ir.Model, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    each = per_frame(graph, len(frames))
    (logits,) = reference.evaluate(each, {str(each.graph.inputs[0].name): frames[None]})
    return np.asarray(logits, np.float32)


def measure_streaming(
    networks: StreamingNetworks, settings: Settings, *, progress: Progress | None = None
) -> Result:
    """Latency of one frame, in all forms.

    Raises:
        EdgevidError: a measuring process failed.
    """
    config = networks.config
    return compare_in_processes(
        factory_of(networks.artifacts),
        settings,
        title=f"{config.backbone}, {networks.precision}: one frame",
        device=find_device(networks.device).title,
        parameters={"backbone": config.backbone, "size": config.size, "precision": networks.precision},
        notes=["random weights: only time means something", *networks.rejected],
        progress=progress,
    )
