"""Device profiles: one TOML file a device under ``targets/devices``.

A name of several, joined by a plus, is one device for an artifact that serves all of them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from edgevid.contract import PRECISIONS, Device, Precision
from edgevid.errors import ConfigError, TargetError, UnknownDeviceError, UnsupportedPrecisionError
from edgevid.targets import find
from edgevid.targets._machine import Processor, this_processor

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["device", "device_names", "require_precision"]

_ISA = (
    *("sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni"),
    *("avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8"),
    *("asimd", "asimddp", "asimdhp", "sve", "bf16", "i8mm"),
)
_EMULATED_BF16 = "no avx512_bf16: OpenVINO emulates bf16 with AVX-512, slower than fp32"


class _Match(BaseModel):
    model_config = ConfigDict(extra="forbid")
    model_name: str | None = None
    family: int | None = None
    models: list[int] | None = None
    steppings: list[int] | None = None
    part: int | None = None
    flags: list[str] | None = None
    capability: str | None = None

    def fits(self, processor: Processor) -> bool:
        """Every given field is this processor's."""
        return (
            (self.model_name is None or self.model_name.lower() in processor.model_name.lower())
            and (self.family is None or self.family == processor.family)
            and (self.models is None or processor.model in self.models)
            and (self.steppings is None or processor.stepping in self.steppings)
            and (self.part is None or processor.part == self.part)
            and (self.flags is None or processor.flags.issuperset(self.flags))
            and (self.family is None or processor.vendor == "GenuineIntel")
            and (self.capability is None or self.capability == _capability())
        )


class _Profile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str
    target: str
    isa: list[str] = []
    precisions: list[Precision] = []
    emulated: dict[Precision, str] = {}
    note: str = ""
    simulates: str = ""
    cpu: str = ""
    gpu: str = ""
    joins: bool = False
    match: _Match | None = None
    read_from_machine: bool = False


def device_names(folder: Path | None = None) -> tuple[str, ...]:
    """All device profiles."""
    return tuple(sorted(path.stem for path in (folder or _folder()).glob("*.toml")))


def device(name: str, *, folder: Path | None = None, processor: Processor | None = None) -> Device:
    """The profile of that name, and whether this machine is it.

    Raises:
        UnknownDeviceError: no such profile.
        ConfigError: the profile's file is wrong, or one artifact cannot serve all that are joined.
    """
    folder, processor = folder or _folder(), processor or this_processor()
    names = name.split("+")
    profiles = [_profile(part, folder) for part in names]
    found = [_device(part, profile, processor) for part, profile in zip(names, profiles, strict=True)]
    if len(found) == 1:
        return found[0]
    if len(set(names)) < len(names) or not all(profile.joins for profile in profiles):
        joinable = [each for each in device_names(folder) if _profile(each, folder).joins]
        raise ConfigError(
            "one artifact cannot serve all of these devices",
            where=f"--device {name}",
            fix=f"join different ones of {', '.join(joinable)}, or compile for each by itself",
        )
    return _joined(found)


def _joined(devices: Sequence[Device]) -> Device:
    """One device for an artifact that serves all of them, with what all of them have."""
    first = devices[0]
    return replace(
        first,
        name="+".join(each.name for each in devices),
        title=" + ".join(each.title for each in devices),
        gpu="+".join(each.gpu for each in devices),
        precisions=tuple(
            kind for kind in first.precisions if all(kind in each.precisions for each in devices)
        ),
        is_this_machine=any(each.is_this_machine for each in devices),
    )


def _profile(name: str, folder: Path) -> _Profile:
    names = device_names(folder)
    if name not in names:
        close = get_close_matches(name, names, 1, 0.4)
        raise UnknownDeviceError(
            f"unknown device {name!r}",
            fix=(f"did you mean {close[0]}? " if close else "") + f"devices: {', '.join(names)}",
        )
    path = folder / f"{name}.toml"
    try:
        return _Profile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:  # what pydantic and tomllib raise is a ValueError
        raise ConfigError(f"not a device profile: {error}", where=path) from error


def _device(name: str, profile: _Profile, processor: Processor) -> Device:
    isa, precisions, emulated = profile.isa, profile.precisions, profile.emulated
    title = profile.title
    if profile.read_from_machine:
        isa = [flag for flag in _ISA if flag in processor.flags]
        precisions, emulated = _machine_precisions(processor)
        title = f"{title}: {processor.model_name}"
    return Device(
        name=name,
        title=title,
        target=profile.target,
        isa=tuple(isa),
        precisions=tuple(precisions),
        emulated=emulated,
        note=profile.note,
        simulates=profile.simulates,
        cpu=profile.cpu,
        gpu=profile.gpu,
        is_this_machine=profile.read_from_machine
        or (profile.match is not None and profile.match.fits(processor)),
    )


def require_precision(wanted: str, on: Device) -> Precision:
    """``wanted``, if the device and its runtime have it.

    Raises:
        UnsupportedPrecisionError: they lack it; the message names what they have.
    """
    capability = find(on.target).probe(on)
    alternatives = ", ".join(capability.precisions)
    for precision in PRECISIONS:
        if precision == wanted:
            if precision in capability.precisions:
                return precision
            raise UnsupportedPrecisionError(
                f"{on.name} cannot run {wanted}: {capability.missing.get(precision, 'it lacks it')}",
                where=f"--precision {wanted}",
                fix=f"use one of {alternatives}",
            )
    raise UnsupportedPrecisionError(
        f"unknown precision {wanted!r}", where=f"--precision {wanted}", fix=f"use one of {alternatives}"
    )


def _folder() -> Path:
    return Path(__file__).parent / "devices"


def _capability() -> str:
    """Compute capability of this machine's GPU, as ``8.9``; empty where there is none."""
    from edgevid.targets.tensorrt.gpu import this_gpu

    try:
        return this_gpu().capability
    except TargetError:
        return ""


def _machine_precisions(processor: Processor) -> tuple[list[Precision], dict[Precision, str]]:
    flags = processor.flags
    precisions: list[Precision] = ["fp32"]
    emulated: dict[Precision, Any] = {}
    if flags & {"avx512_bf16", "amx_bf16", "bf16"}:
        precisions.append("bf16")
    elif "avx512f" in flags:
        emulated["bf16"] = _EMULATED_BF16
    precisions.append("fp16")
    if flags & {"avx2", "avx512f", "asimddp"}:
        precisions.append("int8")
    return precisions, emulated
