"""What this machine's processor is and has."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Processor", "parse_cpuinfo", "this_processor"]


@dataclass(frozen=True)
class Processor:
    """Identity and instruction-set flags, as the kernel names them; ``part`` is of Arm's own cores."""

    model_name: str
    vendor: str
    family: int | None
    model: int | None
    stepping: int | None
    flags: frozenset[str]
    part: int | None = None


def this_processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> Processor:
    """Read from the kernel; where it says nothing, a processor of unknown make."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    return parse_cpuinfo(text)


def parse_cpuinfo(text: str) -> Processor:
    """The first processor of the text of ``/proc/cpuinfo`` (x86 or Arm)."""
    fields: dict[str, str] = {}
    for line in text.split("\n\n", 1)[0].splitlines():
        key, _, value = line.partition(":")
        fields[key.strip()] = value.strip()

    def number(key: str) -> int | None:
        return int(fields[key]) if fields.get(key, "").isdecimal() else None

    arm = fields.get("CPU implementer") == "0x41"
    return Processor(
        model_name=fields.get("model name") or platform.processor() or platform.machine(),
        vendor=fields.get("vendor_id", ""),
        family=number("cpu family"),
        model=number("model"),
        stepping=number("stepping"),
        flags=frozenset((fields.get("flags") or fields.get("Features") or "").split()),
        part=int(fields["CPU part"], 16) if arm and "CPU part" in fields else None,
    )
