"""From an ONNX file to a TensorRT plan, built in a process of its own.

The vendor's library can crash, and hears no Ctrl-C while it builds. In a process of its own neither leaves
anything behind: whatever it wrote is in a temporary folder until it is whole.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgevid import errors
from edgevid.errors import ConfigError, TargetError
from edgevid.targets.tensorrt.builder import Job
from edgevid.targets.tensorrt.vendor import Flavor

__all__ = ["Flavor", "Plan", "build_plan"]


@dataclass(frozen=True)
class Plan:
    """A serialized engine.

    Attributes:
        data: what the runtime deserializes.
        log: every message of the builder, the list of its kernels among them.
        seconds: that the builder took.
        version: of TensorRT, as ``1.7.1.116``.
    """

    data: bytes
    log: str
    seconds: float
    version: str


def build_plan(
    onnx: bytes,
    *,
    flavor: Flavor,
    capabilities: tuple[str, ...] = (),
    workspace: int | None = None,
    batches: tuple[int, ...] = (),
) -> Plan:
    """Build a typed ONNX network.

    Args:
        onnx: the serialized model; its types are those that are computed in.
        flavor: ``tensorrt_rtx`` builds on any machine, ``tensorrt`` on that of the GPU.
        capabilities: compute capabilities that TensorRT for RTX builds for, as ``("8.6", "8.9")``.
        workspace: bytes that layers may use beside their tensors.
        batches: clips; one optimization profile for each, for a graph whose first axis is symbolic.

    Raises:
        ConfigError: capabilities that are missing or too many, or no workspace at all.
        MissingDependencyError: TensorRT is not installed.
        GraphError: the parser refuses the graph: node and reason.
        TargetError: an unknown TensorRT, no driver or GPU where one is needed, too little workspace, or the
            library crashed.
    """
    if bool(capabilities) != (flavor == "tensorrt_rtx"):
        raise ConfigError(
            f"{flavor} with the compute capabilities {capabilities}",
            where="capabilities",
            fix="name them for TensorRT for RTX; full TensorRT builds for the GPU of its machine",
        )
    if workspace is not None and workspace < 1:
        raise ConfigError(f"a workspace of {workspace} bytes", where="workspace", fix="give 1 byte or more")
    with TemporaryDirectory(prefix="edgevid-tensorrt-") as name:
        folder = Path(name)
        job = Job(flavor, capabilities, workspace, batches)
        (folder / "job.json").write_text(json.dumps(asdict(job)), encoding="utf-8")
        (folder / "network.onnx").write_bytes(onnx)
        report = _report(folder, flavor)
        return Plan(
            data=(folder / "plan").read_bytes(),
            log=(folder / "log.txt").read_text(encoding="utf-8"),
            seconds=report["seconds"],
            version=report["version"],
        )


def _report(folder: Path, flavor: Flavor) -> Any:
    """Run the builder's process to its end. On Ctrl-C it is killed."""
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    done = subprocess.run(
        [sys.executable, "-m", "edgevid.targets.tensorrt.builder", str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": path},
        # A terminal's Ctrl-C is for this process, which ends the other.
        start_new_session=True,
        check=False,
    )
    report = folder / "report.json"
    if not report.exists():
        ending = f"was killed by signal {-done.returncode}" if done.returncode < 0 else "ended"
        printed = done.stdout.decode(errors="replace").strip().splitlines()
        raise TargetError(
            f"{flavor} {ending} while it built: {printed[-1] if printed else 'it printed nothing'}",
            where=folder.parent,
            fix="signal 9 mostly means that memory ran out; if the disk is full, set TMPDIR to another; "
            "of other ends tell the vendor",
        )
    found = json.loads(report.read_text(encoding="utf-8"))
    if "error" in found:
        raise _error(found["error"])
    return found


def _error(told: Mapping[str, str]) -> errors.EdgevidError:
    kind = getattr(errors, told["kind"])
    error: errors.EdgevidError = kind(told["what"], where=told["where"], fix=told["fix"])
    return error
