"""The contracts between edgevid and the runtimes it compiles for.

A **target** is one runtime: it says what a device can do (`Capability`), turns a
lowered graph into an `Artifact` on disk, and opens an artifact as a `Session`.
Everything that verifies, measures or streams uses sessions and nothing else, so a new
target is a new module under ``targets`` and no other change.

Clips are ``uint8`` RGB frames of shape ``[N, T, H, W, 3]``, or stacks of k fields of optical flow of shape
``[N, T, H, W, 2k]``; logits are ``float32`` of shape ``[N, classes]``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args, runtime_checkable

from edgevid.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

__all__ = [
    "FLOW_ALGORITHMS",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "PRECISIONS",
    "TOLERANCES",
    "Artifact",
    "Cache",
    "Capability",
    "CompileOptions",
    "Device",
    "Flow",
    "FlowAlgorithm",
    "Layer",
    "LayerTime",
    "Normalization",
    "Precision",
    "RunSettings",
    "Sampling",
    "Scheme",
    "Session",
    "Sourced",
    "Stream",
    "StreamState",
    "Streaming",
    "Target",
    "TensorSpec",
    "Tuning",
    "known_algorithm",
]

Precision = Literal["fp32", "bf16", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

TOLERANCES: Mapping[Precision, float] = {"fp32": 1e-4, "bf16": 2e-2, "fp16": 2e-2, "int8": 1e-1}
"""Largest ``max|a-b| / max|b|`` against the float reference. An int8 result is held to a
signal-to-quantization-noise ratio of 20 dB, which is a relative error of 0.1."""

MOST_THREADS = 1024

FlowAlgorithm = Literal["dis", "tvl1"]
FLOW_ALGORITHMS: Mapping[FlowAlgorithm, str] = {
    "dis": "DIS (Kroeger et al., ECCV 2016)",
    "tvl1": "TV-L1 (Zach et al., DAGM 2007)",
}

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class Sourced:
    """A setting together with where it came from.

    Sources are ``flag``, ``file`` (its metadata), ``keys``, ``preset``, ``name`` and ``default``.
    """

    value: Any
    source: str


@dataclass(frozen=True)
class Normalization:
    """``(pixel - mean) / std`` per channel, pixels from 0 to 255.

    ``color`` is the order of the channels that the network was trained on; ``mean`` and
    ``std`` are given in that order, one number a channel or one for all. ``XY`` is that of optical flow:
    ``x0, y0, x1, y1, ...``, see `Flow`.
    """

    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    color: Literal["RGB", "BGR", "XY"] = "RGB"


@dataclass(frozen=True)
class Flow:
    """Optical flow in the place of pictures: a frame of a clip is a stack of consecutive fields.

    A field says of each pixel how far it moves to the right (x) and downwards (y) until the next frame of
    the video. Its bytes are as the published tools write them: 128 is no motion, 0 and 255 are ``bound``
    pixels and more (open-mmlab/denseflow, ``convertFlowToImage``).

    Attributes:
        fields: k, stacked in a frame as channels ``x0, y0, x1, y1, ...``.
        algorithm: that computes them of a video; flow images were computed already. ``tvl1`` is what the
            published networks were trained on, ``dis`` is many times faster and in every OpenCV.
        bound: pixels.
    """

    fields: int = 5
    algorithm: FlowAlgorithm = "dis"
    bound: float = 20.0

    def __str__(self) -> str:
        return f"{self.fields} fields of optical flow a frame, of videos by {FLOW_ALGORITHMS[self.algorithm]}"


def known_algorithm(name: str, where: object) -> FlowAlgorithm:
    """An algorithm of optical flow by its name.

    Raises:
        ConfigError: there is no such one.
    """
    for known in FLOW_ALGORITHMS:
        if name == known:
            return known
    raise ConfigError(
        f"optical flow by {name!r}", where=where, fix=f"take one of {', '.join(FLOW_ALGORITHMS)}"
    )


@dataclass(frozen=True)
class Sampling:
    """Which frames of a video are looked at, and which part of them.

    Attributes:
        mode: ``uniform`` takes the centre of each of ``segments`` equal parts (TSN);
            ``dense`` takes ``segments`` frames from a window of ``window`` frames.
        segments: T, frames a clip.
        window: frames that a dense clip spans; the stride is ``window // segments``.
        clips: temporal clips a video.
        crops: 1 (centre) or 3 (left, centre, right or top, centre, bottom).
        resize: pixels of the short side after resizing.
        crop: pixels of the square crop.
        library: whose resize is followed: ``pil`` (antialiased bilinear) or ``opencv``.
        average: what is averaged over clips and crops: ``logits`` or ``softmax``.
        interval: seconds from frame to frame that the network was trained at; None where nothing says it.
        flow: what is looked at instead of pictures; None for pictures.
    """

    segments: int = 8
    mode: Literal["uniform", "dense"] = "uniform"
    window: int = 64
    clips: int = 1
    crops: Literal[1, 3] = 1
    resize: int = 256
    crop: int = 224
    library: Literal["pil", "opencv"] = "pil"
    average: Literal["logits", "softmax"] = "logits"
    interval: float | None = None
    flow: Flow | None = None

    @property
    def channels(self) -> int:
        """Of each frame of a clip."""
        return 3 if self.flow is None else 2 * self.flow.fields


@dataclass(frozen=True)
class TensorSpec:
    """Name, shape and numpy dtype name of one input or output."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Cache:
    """What one shift, or one delay, of a streaming network keeps from frame to frame.

    Attributes:
        name: of the graph's input that holds it.
        next: name of the output that replaces it for the next frame.
        shape: as the runtime holds it; the canonical graph has ``[lag, channels, H, W]``, oldest frame first.
        dtype: numpy dtype name, or ``bfloat16``.
        fill: what comes from before the first frame: 0, or the zero point of an integer tensor.
        waits: it holds back what no shift moves, until what a shift looks ahead for is there.
    """

    name: str
    next: str
    shape: tuple[int, ...]
    dtype: str
    fill: int = 0
    waits: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of one stream's copy."""
        sizes = {"uint8": 1, "int8": 1, "float16": 2, "bfloat16": 2}
        return math.prod(self.shape) * sizes.get(self.dtype, 4)


@dataclass(frozen=True)
class Streaming:
    """How a network takes a video frame by frame.

    Its graph takes ``clips`` ``[1, 1, H, W, 3]``, the caches, and ``valid`` if there are gates; it returns
    ``logits`` ``[1, classes]`` of one frame and the next caches.

    Attributes:
        segments: T of the offline network, the frames of a clip that `Session.run` steps through.
        caches: in the order of the graph's inputs.
        delay: D; the answer to a frame comes with the D-th frame after it.
        gates: of the input ``valid``, uint8 ``[gates]``: element i is 1 while the step's number less
            ``gates[i]`` is that of a frame of the sequence, and 0 before its first and after its last one.
        network: hash of the graph and its weights; states belong to it.
    """

    segments: int
    caches: tuple[Cache, ...]
    delay: int = 0
    gates: tuple[int, ...] = ()
    network: str = ""

    @property
    def nbytes(self) -> int:
        """Bytes that each stream keeps between frames."""
        return sum(cache.nbytes for cache in self.caches)


@dataclass(frozen=True, eq=False)
class StreamState:
    """Where a stream stands: what to go on from, in another process if need be.

    Attributes:
        network: fingerprint of the network that it belongs to, in the form that it was compiled in.
        steps: frames taken.
        caches: one array a `Cache`.
    """

    network: str
    steps: int
    caches: tuple[NDArray[Any], ...]


@dataclass(frozen=True)
class RunSettings:
    """How a session uses the device.

    ``None`` leaves the choice to the runtime. ``hint`` is what the runtime optimizes for. ``on`` is
    the address of a device behind a network, as ``rpc://host:port/key``; empty for this machine.

    Raises:
        ConfigError: a number of threads or streams that no machine has, or an unknown hint.
    """

    threads: int | None = None
    streams: int | None = None
    hint: Literal["latency", "throughput"] = "latency"
    on: str = ""

    def __post_init__(self) -> None:
        for name in ("threads", "streams"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= MOST_THREADS:
                raise ConfigError(
                    f"{value} {name}", where=name, fix=f"give 1 to {MOST_THREADS}, or leave it out"
                )
        if self.hint not in ("latency", "throughput"):
            raise ConfigError(f"unknown hint {self.hint!r}", where="hint", fix="latency or throughput")


@dataclass(frozen=True)
class Device:
    """A device as its profile describes it (``targets/devices/NAME.toml``).

    ``precisions`` are native; ``emulated`` ones give the right answer, slower, for the
    reason given. ``is_this_machine`` is decided by looking at the machine, never assumed.
    ``simulates`` names the runtime whose int8 arithmetic is imitated here: its results count,
    its time means nothing. ``cpu`` is the core that the tvm target writes kernels for, ``gpu`` what the
    tensorrt target knows the device by.
    """

    name: str
    title: str
    target: str
    isa: tuple[str, ...]
    precisions: tuple[Precision, ...]
    emulated: Mapping[Precision, str] = field(default_factory=dict)
    note: str = ""
    is_this_machine: bool = False
    simulates: str = ""
    cpu: str = ""
    gpu: str = ""


@dataclass(frozen=True)
class Scheme:
    """How a target wants an int8 graph to be written; the ranges are the same for all.

    Attributes:
        activations: ``uint8`` gives tensors without negative values the zero point 0 and all 255
            steps, and others the zero point 128; ``int8`` is symmetric throughout.
        add_inputs: which inputs of a residual addition are quantized: ``both``, or the ``skip``
            alone, so that the other stays in the accumulators of its convolution.
        shift_side: where shifts and maxima stand: on the ``integer`` tensor, or on the ``float`` one before
            it is quantized, for runtimes that themselves move them to where they are cheapest.
        bias: ``float``, or ``int32`` of the scale of the accumulators.
        weight_bits: 7 where a runtime sums products of bytes in 16 bits, which 8 may saturate.
        unit_strides: 1x1 convolutions must have no strides.
        depthwise: in which type depthwise convolutions are computed.
    """

    activations: Literal["uint8", "int8"]
    add_inputs: Literal["both", "skip"]
    shift_side: Literal["integer", "float"]
    bias: Literal["float", "int32"]
    weight_bits: Literal[7, 8] = 8
    unit_strides: bool = False
    depthwise: Literal["int8", "float"] = "int8"


@dataclass(frozen=True)
class Capability:
    """What a target can do on a device, and for all that is missing the reason in words.

    Attributes:
        compiles: artifacts can be made here.
        executes: artifacts can be run here, and what they return means something.
        reason: why not, with the way out; empty when both hold.
        version: of the runtime, empty when it is not installed.
        precisions: those that can be compiled for, in order of preference.
        missing: precision to the reason why the device lacks it.
        opset: highest ONNX opset that the runtime reads.
        forbidden_ops: operations it refuses or computes wrongly.
        lowerings: names of the shift lowerings to try for one clip, the default first.
        batch_lowerings: the same for several clips.
        plain_forms: how a network without a shift may be written, the default first.
        stream_lowerings: how a network that takes frame by frame may be written, the default first;
            empty where the target runs no such network.
        measures_lowerings: ``auto`` stands for the fastest of them on the device, else for the first.
        scheme: of int8 graphs; None where there is no int8.
        tunes: there is a choice of kernels that can be measured.
        batch_profiles: one artifact holds several batches, made of a graph whose first axis is symbolic.
        limits_workspace: the memory that layers use beside their tensors can be limited.
        runners: languages of programs that run an artifact where there is no Python.
    """

    compiles: bool
    executes: bool
    reason: str
    version: str
    precisions: tuple[Precision, ...]
    missing: Mapping[Precision, str]
    opset: int
    forbidden_ops: frozenset[str]
    lowerings: tuple[str, ...]
    batch_lowerings: tuple[str, ...]
    plain_forms: tuple[str, ...] = ("none",)
    stream_lowerings: tuple[str, ...] = ()
    measures_lowerings: bool = False
    scheme: Scheme | None = None
    tunes: bool = False
    batch_profiles: bool = False
    limits_workspace: bool = False
    runners: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layer:
    """A convolution or dense layer as a runtime really computes it.

    Attributes:
        name: of the graph's operation.
        kind: ``Conv`` or ``Dense``.
        precision: of its arithmetic, as ``int8`` or ``fp32``.
        kernel: the runtime's own name for its implementation.
    """

    name: str
    kind: Literal["Conv", "Dense"]
    precision: str
    kernel: str


@dataclass(frozen=True)
class LayerTime:
    """What one operation of an executed graph takes, by the runtime's own profile.

    Attributes:
        name: of the operation, as the runtime tells it.
        kind: of the operation, as ``Convolution``.
        kernel: the runtime's own name for its implementation; empty where it has none.
        milliseconds: the median over the profiled runs.
    """

    name: str
    kind: str
    kernel: str
    milliseconds: float


@dataclass(frozen=True)
class Tuning:
    """How a target that has a choice of kernels finds the fastest.

    Attributes:
        measure: time candidates on the device; else only what ``records`` holds is used.
        records: file of what was measured before, here or elsewhere; a target's own if None.
        merged: further files, as other boards wrote them; what is faster in them is taken over.
        budget: seconds of measuring.
        boards: addresses of devices behind a network, as ``rpc://host:port/key``; several share
            the work. This machine if empty.
        progress: is told how many operations are done, of how many.
    """

    measure: bool = False
    records: Path | None = None
    merged: tuple[Path, ...] = ()
    budget: float = 180.0
    boards: tuple[str, ...] = ()
    progress: Callable[[int, int], None] = lambda done, total: None


@dataclass(frozen=True)
class CompileOptions:
    """What `Target.compile` is asked for. ``folder`` exists and is empty.

    ``runner`` is the language of a program to be written beside the artifact, or empty. ``batches`` are
    several for one artifact, the smallest of them ``batch``, for a graph whose first axis is symbolic; empty
    for a static one. ``workspace`` are bytes that layers may use beside their tensors; None leaves it to the
    runtime. ``streaming`` describes a graph that takes frame by frame; None is one of whole clips.
    """

    device: Device
    folder: Path
    precision: Precision = "fp32"
    batch: int = 1
    lowering: str = ""
    settings: RunSettings = RunSettings()
    tuning: Tuning | None = None
    runner: str = ""
    batches: tuple[int, ...] = ()
    workspace: int | None = None
    streaming: Streaming | None = None


@dataclass(frozen=True)
class Artifact:
    """One compiled network on disk: a folder that its runtime opens without edgevid.

    ``notes`` are what a reader of the compile report should know of how it was made; ``weight_bits``
    those of int8 weights, 0 where nothing says it. ``others`` are the same files, opened for other batches.
    One with ``streaming`` takes one frame a call: its ``input`` is ``[1, 1, H, W, 3]``.
    """

    target: str
    folder: Path
    entry: str
    precision: Precision
    batch: int
    lowering: str
    input: TensorSpec
    output: TensorSpec
    settings: RunSettings = RunSettings()
    notes: tuple[str, ...] = ()
    weight_bits: int = 0
    others: tuple[Artifact, ...] = ()
    streaming: Streaming | None = None

    @property
    def path(self) -> Path:
        """The file that the runtime is pointed at."""
        return self.folder / self.entry


class Stream(Protocol):
    """One video that a streaming network follows. Streams of one session share all but their caches."""

    def step(self, frame: NDArray[Any]) -> NDArray[np.float32] | None:
        """Logits ``[classes]`` of a frame uint8 ``[H, W, 3]``.

        With a delay of D frames they belong to the frame D steps ago, and are None for the first D.

        Raises:
            TargetError: a frame of another shape or type; the sequence was flushed; the session is closed.
        """

    def flush(self) -> NDArray[np.float32]:
        """Logits of the last frames, ``[min(D, frames), classes]``.

        That ends the sequence; `reset` begins another.
        """

    def reset(self) -> None:
        """Forget all frames, and begin a new sequence."""

    def save(self) -> StreamState:
        """The state, as a copy."""

    def restore(self, state: StreamState) -> None:
        """Go on from a state.

        Raises:
            TargetError: it is of another network.
        """


@runtime_checkable
class Session(Protocol):
    """An open network. A context manager; closing twice is harmless."""

    @property
    def input(self) -> TensorSpec:
        """The clip it takes."""

    @property
    def output(self) -> TensorSpec:
        """The logits it returns."""

    @property
    def emulated(self) -> bool:
        """The device behind it is emulated: what it computes counts, how long it takes does not."""

    def run(self, clip: NDArray[Any]) -> NDArray[np.float32]:
        """Logits ``[N, classes]`` of a clip of exactly ``input.shape`` and ``input.dtype``.

        Raises:
            TargetError: wrong shape or dtype, or the session is closed.
        """

    def stream(self) -> Stream:
        """A new stream with a state of its own; `TargetError` unless compiled for streaming."""

    def step(self, frame: NDArray[Any]) -> NDArray[np.float32] | None:
        """`Stream.step` of the session's own stream; `TargetError` unless compiled for streaming."""

    def flush(self) -> NDArray[np.float32]:
        """`Stream.flush` of the session's own stream; `TargetError` unless compiled for streaming."""

    def reset(self) -> None:
        """`Stream.reset` of the session's own stream; `TargetError` unless compiled for streaming."""

    def layers(self) -> tuple[Layer, ...]:
        """The convolutions and dense layers as the runtime computes them; empty where it does not tell."""

    def close(self) -> None:
        """Release the runtime's resources."""

    def __enter__(self) -> Session: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Target(Protocol):
    """One runtime. ``targets/NAME.py`` (or a folder) exposes one as ``target()``."""

    @property
    def name(self) -> str: ...

    def probe(self, device: Device) -> Capability:
        """What this runtime can do on ``device``; never raises for what is missing."""

    def default_lowering(self, graph: ir.Model, device: Device, precision: Precision, batch: int) -> str:
        """The lowering that ``auto`` stands for: the static choice for a canonical graph."""

    def compile(self, graph: ir.Model, options: CompileOptions) -> Artifact:
        """Write an artifact for a lowered graph into ``options.folder``.

        Its shapes are static, but for a symbolic first axis where ``options.batches`` are several.
        """

    def open(self, artifact: Artifact, settings: RunSettings | None = None) -> Session:
        """Open an artifact on this machine; ``settings`` replace the compiled-in ones."""
