"""What is asked of the compiler, checked against the device before anything slow begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgevid import targets
from edgevid.contract import Capability, Device, Precision, RunSettings, Tuning
from edgevid.errors import ConfigError, LoweringError, MissingDependencyError
from edgevid.int8 import Int8
from edgevid.targets._profiles import device as find_device
from edgevid.targets._profiles import require_precision

__all__ = ["Plan", "plan"]

MOST_CLIPS = 1024
"""The largest batch."""


@dataclass(frozen=True)
class Plan:
    """A compile request that was checked before anything slow began."""

    device: Device
    capability: Capability
    precision: Precision
    batches: tuple[int, ...]
    lowering: str
    settings: RunSettings
    int8: Int8 | None = None
    tuning: Tuning | None = None
    runner: str = ""
    workspace: int | None = None
    streaming: bool = False
    lookahead: bool = False


def plan(
    device: str = "host",
    precision: str = "fp32",
    *,
    lowering: str = "auto",
    batches: Sequence[int] = (1,),
    settings: RunSettings | None = None,
    int8: Int8 | None = None,
    tuning: Tuning | None = None,
    runner: str = "",
    workspace: int | None = None,
    streaming: bool = False,
    lookahead: bool = False,
) -> Plan:
    """Check a request against the device.

    Raises:
        UnknownDeviceError, UnsupportedPrecisionError, LoweringError, ConfigError: with the
            alternatives.
        MissingDependencyError: the target cannot compile here.
    """
    found = find_device(device)
    checked = require_precision(precision, found)
    capability = targets.find(found.target).probe(found)
    if not capability.compiles:
        raise MissingDependencyError(capability.reason, where=found.name)
    if not batches or any(type(batch) is not int or not 1 <= batch <= MOST_CLIPS for batch in batches):
        raise ConfigError(
            f"batch sizes {list(batches)}",
            where="--batch",
            fix=f"give sizes from 1 to {MOST_CLIPS}, as in 1,16",
        )
    if streaming or lookahead:
        capability = _streaming(capability, found, streaming, batches, runner)
    plain = capability.plain_forms
    known = sorted({*capability.lowerings, *capability.batch_lowerings, *plain})
    if lowering != "auto" and lowering not in known:
        raise LoweringError(
            f"unknown lowering {lowering!r} for {found.target}",
            where="--lowering",
            fix=f"auto, {', '.join(known)}",
        )
    if lowering not in ("auto", *capability.batch_lowerings, *plain) and max(batches) > 1:
        raise LoweringError(
            f"lowering {lowering!r} holds for one clip; in a batch, frames would leak into the next clip",
            where=f"--batch {','.join(map(str, batches))}",
            fix=f"use one of {', '.join(capability.batch_lowerings)}, or compile batch 1 alone",
        )
    _check_int8(checked, int8)
    if tuning is not None and not capability.tunes:
        raise ConfigError(
            f"{found.target} has no choice of kernels to measure",
            where="--tune",
            fix="leave it out, or compile for a device of tvm: see 'edgevid devices'",
        )
    if runner and runner not in capability.runners:
        raise ConfigError(
            f"{found.target} has no runner in {runner!r}",
            where=f"--runner {runner}",
            fix=f"one of {', '.join(capability.runners)}" if capability.runners else "leave it out",
        )
    if workspace is not None:
        _check_workspace(workspace, found, capability)
    return Plan(
        found,
        capability,
        checked,
        tuple(sorted(set(batches))),
        lowering,
        settings or RunSettings(),
        int8,
        tuning,
        runner,
        workspace,
        streaming,
        lookahead,
    )


def _streaming(
    capability: Capability, device: Device, streaming: bool, batches: Sequence[int], runner: str
) -> Capability:
    """The forms of networks that take frame by frame in the place of the others.

    In int8 caches must hold bytes, so shifts stand on integer tensors.
    """
    if not streaming:
        raise ConfigError(
            "look-ahead without streaming: the offline network sees all frames",
            where="--lookahead",
            fix="give --streaming too, or leave it out",
        )
    if not capability.stream_lowerings:
        raise ConfigError(
            f"{device.target} runs no network frame by frame",
            where=f"--streaming --device {device.name}",
            fix="leave --streaming out, and stream the bundle by a sliding window: edgevid stream --window",
        )
    if tuple(batches) != (1,):
        raise ConfigError(
            f"batches of {', '.join(map(str, batches))} clips of a network that takes one frame a call",
            where="--batch",
            fix="leave it out: each video is a stream of its own",
        )
    if runner:
        raise ConfigError(
            f"no runner in {runner!r} for a network that takes frame by frame",
            where=f"--runner {runner}",
            fix="leave it out; the artifact's example.py shows the calls",
        )
    names, scheme = capability.stream_lowerings, capability.scheme
    return replace(
        capability,
        lowerings=names,
        batch_lowerings=names,
        plain_forms=names,
        measures_lowerings=False,
        scheme=None if scheme is None else replace(scheme, shift_side="integer"),
    )


def _check_int8(precision: Precision, int8: Int8 | None) -> None:
    if precision == "int8" and int8 is None:
        raise ConfigError(
            "int8 without the ranges of the network's tensors",
            where="--precision int8",
            fix="give --calibration: videos, a list of them, or a table that edgevid calibrate wrote",
        )
    if precision != "int8" and int8 is not None:
        raise ConfigError(
            f"calibration for {precision}, which needs none",
            where="--calibration",
            fix="leave it out, or give --precision int8",
        )


def _check_workspace(workspace: int, device: Device, capability: Capability) -> None:
    if not capability.limits_workspace:
        raise ConfigError(
            f"{device.target} has no workspace to limit for {device.name}",
            where="--workspace",
            fix="leave it out; a board's build_engine.py takes it on the board",
        )
    if workspace < 1:
        raise ConfigError(
            f"a workspace of {workspace} bytes", where="--workspace", fix="give 1 or more, or leave it out"
        )
