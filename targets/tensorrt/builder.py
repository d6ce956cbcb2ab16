"""The vendor's builder: one path for TensorRT 10, TensorRT 11 and TensorRT for RTX.

All three build strongly typed networks: the types are those of the ONNX file, TF32 is off, and float32
means float32 (TensorRT documentation, "Strongly typed networks" and "Reduced precision"). Only the choice of
compute capabilities is TensorRT for RTX's alone; full TensorRT builds for the GPU of the machine.

``python -m edgevid.targets.tensorrt.builder FOLDER`` is what `edgevid.targets.tensorrt.build` starts.
It reads ``job.json`` and ``network.onnx``, and leaves ``plan``, ``log.txt`` and ``report.json``.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgevid.errors import EdgevidError, GraphError, TargetError
from edgevid.targets.tensorrt.gpu import WITHOUT_GPU, this_gpu
from edgevid.targets.tensorrt.vendor import Flavor, load_vendor

__all__ = ["Job", "build", "main"]

_MOST_ERRORS = 5
_NO_ROOM = re.compile(
    r"could not find any implementation|insufficient (workspace|memory)|within workspace limit|OutOfMemory",
    re.IGNORECASE,
)
"""What builders say where workspace is too little."""


@dataclass(frozen=True)
class Job:
    """What is to be built.

    Attributes:
        flavor: of the builder.
        capabilities: compute capabilities as ``8.9``, of TensorRT for RTX alone.
        workspace: bytes that layers may use beside their tensors; the builder's own limit if None.
        batches: clips, one optimization profile for each, of a graph whose first axis is symbolic.
    """

    flavor: Flavor
    capabilities: tuple[str, ...] = ()
    workspace: int | None = None
    batches: tuple[int, ...] = ()


def build(trt: Any, onnx: bytes, job: Job) -> tuple[bytes, str]:
    """The serialized engine, and what the builder logged of it.

    Args:
        trt: the vendor's module.
        onnx: the typed network.
        job: for what it is built.

    Raises:
        GraphError: the parser refuses the graph; the message has its nodes and reasons.
        TargetError: an unknown capability, no GPU where one is needed, too little workspace.
    """
    recorder = _recorder(trt)
    try:
        builder = trt.Builder(recorder)
    except (TypeError, RuntimeError) as error:  # the bindings' for a builder that is null
        raise TargetError(
            f"{job.flavor} {trt.__version__} has no builder here: {recorder.errors() or error}",
            fix=WITHOUT_GPU,
        ) from error
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, recorder)
    if not parser.parse(onnx):
        raise _refusal(parser, f"{job.flavor} {trt.__version__}")
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.clear_flag(trt.BuilderFlag.TF32)
    if job.workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, job.workspace)
    if job.capabilities:
        _set_capabilities_rtx(trt, config, job.capabilities)
    for batch in job.batches:
        config.add_optimization_profile(_profile(builder, network, batch))
    # No timing cache: with one, TensorRT for RTX asks for a GPU (release notes 1.1, "Limitations").
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise _failure(recorder, job, trt.__version__)
    return bytes(plan), "\n".join(message for _, message in recorder.lines)


def _recorder(trt: Any) -> Any:
    class Recorder(trt.ILogger):  # type: ignore[misc]
        """Keeps every message."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.lines: list[tuple[Any, str]] = []

        def log(self, severity: Any, message: str) -> None:
            self.lines.append((severity, message))

        def errors(self) -> str:
            bad = (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR)
            found = [message.strip() for severity, message in self.lines if severity in bad]
            return "; ".join(dict.fromkeys(found[:_MOST_ERRORS]))

    return Recorder()


def _refusal(parser: Any, who: str) -> GraphError:
    errors = [parser.get_error(number) for number in range(parser.num_errors)]
    reasons = [
        f"{error.node_operator() or 'node'} {error.node_name() or error.node()}: {error.desc()}"
        for error in errors[:_MOST_ERRORS]
    ]
    if len(errors) > _MOST_ERRORS:
        reasons.append(f"and {len(errors) - _MOST_ERRORS} more")
    first = errors[0].node_name() if errors else None
    return GraphError(
        f"the parser of {who} refuses the graph: {'; '.join(reasons) or 'it gives no reason'}",
        where=first or "the ONNX file",
        fix="see all that is forbidden, with remedies: edgevid lint GRAPH --device DEVICE",
    )


def _failure(recorder: Any, job: Job, version: str) -> TargetError:
    told = "\n".join(message for _, message in recorder.lines)
    who = f"{job.flavor} {version}"
    if job.workspace is not None and _NO_ROOM.search(told):
        return TargetError(
            f"{who} cannot build with {job.workspace} bytes of workspace: {recorder.errors()}",
            where="--workspace",
            fix="give it more by a larger --workspace, or leave the limit out",
        )
    return TargetError(f"{who} cannot build the network: {recorder.errors() or 'it gives no reason'}")


def _set_capabilities_rtx(trt: Any, config: Any, capabilities: Sequence[str]) -> None:
    config.num_compute_capabilities = len(capabilities)
    for number, capability in enumerate(capabilities):
        known = trt.ComputeCapability.__members__
        name = f"SM{capability.replace('.', '')}"
        if name not in known or not config.set_compute_capability(known[name], number):
            names = sorted(member for member in known if member.startswith("SM"))
            raise TargetError(
                f"tensorrt_rtx {trt.__version__} builds for no GPU of compute capability {capability}",
                where=capability,
                fix=f"it builds for {', '.join(names)}",
            )


def _profile(builder: Any, network: Any, batch: int) -> Any:
    profile = builder.create_optimization_profile()
    for number in range(network.num_inputs):
        tensor = network.get_input(number)
        shape = (batch, *tuple(tensor.shape)[1:])
        profile.set_shape(tensor.name, shape, shape, shape)
    return profile


def main(arguments: Sequence[str]) -> int:
    """Build the job of a folder. Returns the exit status: 0, or 1 with the error in the report."""
    folder = Path(arguments[0])
    job = Job(**json.loads((folder / "job.json").read_text(encoding="utf-8")))
    try:
        trt = load_vendor(job.flavor)
        if job.flavor == "tensorrt":
            this_gpu()
        began = time.perf_counter()
        plan, log = build(trt, (folder / "network.onnx").read_bytes(), job)
        seconds = time.perf_counter() - began
    except EdgevidError as error:
        told = {"kind": type(error).__name__, "what": error.what, "where": error.where, "fix": error.fix}
        _report(folder, {"error": told})
        return 1
    (folder / "plan").write_bytes(plan)
    (folder / "log.txt").write_text(log, encoding="utf-8")
    _report(folder, {"version": str(trt.__version__), "seconds": seconds, "job": asdict(job)})
    return 0


def _report(folder: Path, found: dict[str, Any]) -> None:
    beside = folder / "report.tmp"
    beside.write_text(json.dumps(found), encoding="utf-8")
    beside.replace(folder / "report.json")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
