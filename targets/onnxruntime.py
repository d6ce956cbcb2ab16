"""ONNX Runtime on the CPU: the float32 reference that every other target is held to.

It runs the canonical graph itself, shifts as local functions included, so no lowering stands
between the reference and the network. It also simulates the int8 arithmetic of other runtimes:
their Q/DQ graph, operation by operation, in float32 on numbers that int8 can hold.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgevid.contract import (
    Artifact,
    Capability,
    CompileOptions,
    Device,
    Layer,
    LayerTime,
    Precision,
    RunSettings,
)
from edgevid.errors import TargetError
from edgevid.targets._artifact import VALID, describe
from edgevid.targets._example import write_example
from edgevid.targets._install import installed_version, require
from edgevid.targets._onnxruntime_layers import layers_of
from edgevid.targets._onnxruntime_streaming import OnnxRuntimeStreamingSession
from edgevid.targets._schemes import SCHEMES
from edgevid.targets._session import CheckedSession, refuse_boards

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = [
    "OnnxRuntimeSession",
    "OnnxRuntimeStreamingSession",
    "OnnxRuntimeTarget",
    "evaluate",
    "observer",
    "target",
]

_EXAMPLE = """
import onnxruntime

session = onnxruntime.InferenceSession(here / {entry!r}, providers=["CPUExecutionProvider"])
(logits,) = session.run(None, {{{input!r}: clip}})
"""

_STREAM_EXAMPLE = """
import onnxruntime

session = onnxruntime.InferenceSession(here / {entry!r}, providers=["CPUExecutionProvider"])
ports, kinds = session.get_inputs()[{first}:], {{"tensor(float)": np.float32}}
fills = {fills}
caches = {{p.name: np.full(p.shape, f, kinds.get(p.type, p.type[7:-1])) for p, f in zip(ports, fills)}}
{each}:
    logits, *after = session.run(None, {{{input!r}: frame[None, None], {gates}**caches}})
    caches = dict(zip(caches, after))
"""


class OnnxRuntimeSession(CheckedSession):
    """An ``InferenceSession`` on the CPU."""

    def __init__(self, artifact: Artifact, settings: RunSettings) -> None:
        super().__init__(artifact)
        self._settings = settings
        self._session = _opened(artifact, settings)

    def _run(self, clip: NDArray[Any]) -> NDArray[np.float32]:
        (logits,) = self._session.run([self.output.name], {self.input.name: clip})
        return np.asarray(logits, np.float32)

    def layers(self) -> tuple[Layer, ...]:
        """As the graph says it: what is run is the graph, operation by operation."""
        return layers_of(self.artifact.path)

    def layer_times(self, clip: NDArray[Any], runs: int) -> tuple[LayerTime, ...]:
        """By a second session that writes its own profile."""
        with tempfile.TemporaryDirectory(prefix="edgevid-profile-") as folder:
            session = _opened(self.artifact, self._settings, Path(folder) / "profile")
            for _ in range(runs + 1):
                session.run([self.output.name], {self.input.name: clip})
            events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        kernels = [event for event in events if event["name"].endswith("_kernel_time")]
        times: dict[tuple[str, str, str], list[float]] = {}
        for event in kernels:
            told = event["args"]
            name = event["name"].removesuffix("_kernel_time")
            kernel = str(told.get("provider", "")).removesuffix("ExecutionProvider")
            times.setdefault((name, str(told.get("op_name", "")), kernel), []).append(event["dur"] / 1000)
        return tuple(LayerTime(*which, statistics.median(own[1:])) for which, own in times.items())

    def _release(self) -> None:
        del self._session


def _opened(artifact: Artifact, settings: RunSettings, profile: Path | None = None) -> Any:
    """An ``InferenceSession``; ``profile`` is where its profile goes, and how its name begins."""
    runtime = require("onnxruntime", "compile")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = settings.threads or 0
    if artifact.precision != "fp32":
        # Fused operations would round elsewhere than the runtime that is simulated.
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # Idle workers that spin would take the processor from whatever else is measured.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    path = artifact.path
    try:
        return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's exceptions share no public base
        raise TargetError(f"ONNX Runtime refuses the graph: {error}", where=path) from error


class OnnxRuntimeTarget:
    """Float32 on any CPU."""

    name = "onnxruntime"

    def probe(self, device: Device) -> Capability:
        """Float32 alone: it is the yardstick, not a deployment. Or the int8 of what it simulates."""
        version = installed_version("onnxruntime")
        scheme = SCHEMES.get(device.simulates)
        missing: dict[Precision, str] = dict.fromkeys(("bf16", "fp16", "int8"), "the reference is float32")
        if scheme is not None:
            missing = dict.fromkeys(("fp32", "bf16", "fp16"), "only int8 arithmetic is simulated")
        return Capability(
            compiles=bool(version),
            executes=bool(version),
            reason="" if version else "onnxruntime is not installed: pip install 'edgevid[compile]'",
            version=version,
            precisions=("fp32",) if scheme is None else ("int8",),
            missing=missing,
            opset=20,
            forbidden_ops=frozenset(),
            lowerings=("function", "slice_concat", "fused_slice_concat", "fused_pad", "negative_pad"),
            batch_lowerings=("function", "slice_concat", "fused_slice_concat", "fused_pad"),
            stream_lowerings=("function",),
            scheme=scheme,
        )

    def default_lowering(self, graph: ir.Model, device: Device, precision: Precision, batch: int) -> str:
        """None: it reads the shift's local function, so that nothing stands between."""
        return "function"

    def compile(self, graph: ir.Model, options: CompileOptions) -> Artifact:
        """Write the graph as it is."""
        import onnx_ir

        artifact = describe(self.name, "model.onnx", graph, options)
        Path(artifact.path).write_bytes(onnx_ir.to_proto(graph).SerializeToString())
        if artifact.streaming is None:
            write_example(artifact, _EXAMPLE)
        else:
            gates = f'"{VALID}": {{valid}}, ' if artifact.streaming.gates else ""
            write_example(artifact, _STREAM_EXAMPLE.replace("{gates}", gates), first=2 if gates else 1)
        return artifact

    def open(
        self, artifact: Artifact, settings: RunSettings | None = None
    ) -> OnnxRuntimeSession | OnnxRuntimeStreamingSession:
        """Open on this machine's CPU."""
        settings = settings or artifact.settings
        refuse_boards(self.name, settings)
        if artifact.streaming is not None:
            return OnnxRuntimeStreamingSession(artifact, _opened(artifact, settings))
        return OnnxRuntimeSession(artifact, settings)


def evaluate(model: ir.Model, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """All outputs of a graph of any inputs, computed node by node as the graph stands.

    Raises:
        TargetError: ONNX Runtime refuses the graph or fails on these inputs.
    """
    import onnx_ir

    runtime = require("onnxruntime", "compile")
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = runtime.InferenceSession(
            onnx_ir.to_proto(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return [np.asarray(result) for result in session.run(None, dict(feeds))]
    except Exception as error:  # the runtime's exceptions share no public base
        raise TargetError(f"ONNX Runtime cannot run the graph: {error}", where=model.graph.name) from error


def observer(
    model: ir.Model, *, threads: int | None = None
) -> Callable[[Mapping[str, NDArray[Any]]], list[NDArray[Any]]]:
    """A function from the inputs of a graph to all its outputs, optimized and open for many calls.

    Args:
        model: canonical; shifts may be local functions. Of Q/DQ pairs it computes what `evaluate` does
            to the last bit or two; of a float graph sums may be in another order.
        threads: of the runtime; it chooses if not given.

    Raises:
        TargetError: ONNX Runtime refuses the graph, or, when called, fails on the inputs.
    """
    import onnx_ir

    runtime = require("onnxruntime", "compile")
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads or 0
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Integer kernels round elsewhere, and sum in saturating 16 bits on some processors.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    if any(node.op_type == "QuantizeLinear" for node in model.graph):
        # Blocked layouts sum in another order, and a sum may end on the other side of a rounding.
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    try:
        session = runtime.InferenceSession(
            onnx_ir.to_proto(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # the runtime's exceptions share no public base
        raise TargetError(f"ONNX Runtime refuses the graph: {error}", where=model.graph.name) from error

    def run(feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        try:
            return list(session.run(None, dict(feeds)))
        except Exception as error:  # likewise
            raise TargetError(f"ONNX Runtime fails: {error}", where=model.graph.name) from error

    return run


def target() -> OnnxRuntimeTarget:
    """The target of this module."""
    return OnnxRuntimeTarget()
