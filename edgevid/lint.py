"""Graphs as they are against devices: what the runtime there would refuse, before anything is copied to it.

A target that fulfils `edgevid.diagnostic.Linter` checks by its own tables, any other by its `Capability`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgevid.contract import Device
from edgevid.diagnostic import Diagnosis, Diagnostic, Linter
from edgevid.errors import ConfigError, GraphError
from edgevid.target_finder import find_target

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["Report", "diagnose", "lint"]

_PROFILE = "the capabilities of the device's target (edgevid devices)"


@dataclass(frozen=True)
class Report:
    """What was found in one file."""

    path: Path
    device: str
    diagnosis: Diagnosis


def lint(path: str | Path, device: str = "", version: str = "") -> list[Report]:
    """Check an ONNX file, or every ONNX file that a bundle has for its device.

    Args:
        path: of the file, or of the bundle's folder.
        device: name of its profile; that of the bundle by default.
        version: of the device's runtime, where several may be found on it.

    Raises:
        ConfigError: no device, or a version where there are no tables of versions.
        GraphError: the file is no ONNX file, or the bundle has none.
        BundleError, UnknownDeviceError, TargetError: those of the bundle, the device and the version.
    """
    from edgevid.targets._profiles import device as profile

    path = Path(path)
    files = [path]
    if path.is_dir():
        files, device = _of_bundle(path, device)
    if not device:
        raise ConfigError("no device is named", where="--device", fix="edgevid devices lists them")
    found = profile(device)
    return [Report(file, device, _diagnose_file(file, found, version)) for file in files]


def diagnose(graph: ir.Model, device: Device, version: str = "") -> Diagnosis:
    """What the runtime of a device has against a graph.

    Raises:
        ConfigError: a version, of a target without tables of versions.
        GraphError: a function of the graph contradicts its call.
        TargetError: an unknown version.
    """
    from edgevid.graph.as_written import inlined

    target = find_target(device.target)
    if isinstance(target, Linter):
        return target.lint(graph, device, version)
    if version:
        raise ConfigError(
            f"{device.target} has one version here, the installed one",
            where=device.name,
            fix="leave the version out",
        )
    capability = target.probe(device)
    return Diagnosis(
        f"{device.target} {capability.version}".strip(),
        tuple(_by_capability(inlined(graph), capability.opset, capability.forbidden_ops)),
    )


def _diagnose_file(path: Path, device: Device, version: str) -> Diagnosis:
    from edgevid.graph.as_written import read_as_written
    from edgevid.graph.without_weights import DAMAGED

    try:
        return diagnose(read_as_written(path), device, version)
    except DAMAGED as error:
        raise GraphError(
            f"an operation contradicts itself: {error}", where=path, fix="copy or export it again"
        ) from error


def _of_bundle(folder: Path, device: str) -> tuple[list[Path], str]:
    from edgevid.bundle import Bundle

    opened = Bundle.open(folder)
    files = [
        file for batch in opened.batches for file in sorted(opened.artifact(batch).folder.rglob("*.onnx"))
    ]
    if not files:
        raise GraphError(
            "the bundle holds no ONNX file: its runtime has another format",
            where=folder,
            fix="give the ONNX file that it was compiled from",
        )
    return files, device or opened.manifest.device


def _by_capability(graph: ir.Model, opset: int, forbidden: frozenset[str]) -> Iterator[Diagnostic]:
    remedy = "give it to edgevid compile, which writes what the runtime takes"
    found = graph.opset_imports.get("", 0)
    if found > opset:
        yield Diagnostic("opset", "error", "", f"opset {found}; {opset} is the highest", remedy, _PROFILE)
    for node in graph.graph.all_nodes():
        title = f"{node.op_type} {node.name!r}" if node.name else node.op_type
        if node.domain not in ("", "ai.onnx"):
            reason = f"an operator of {node.domain}, not one of ONNX"
            yield Diagnostic("custom-operator", "error", title, reason, remedy, _PROFILE)
        elif node.domain in ("", "ai.onnx") and node.op_type in forbidden:
            reason = f"{node.op_type} is refused, or computed wrongly"
            yield Diagnostic("operator", "error", title, reason, remedy, _PROFILE)
