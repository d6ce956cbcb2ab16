"""Clocks, temperature and energy of this machine, as far as its kernel tells them."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["Sensors"]

_PLAUSIBLE = range(1, 150)
"""Celsius. Sensors that are not there answer with zero or with less than nothing."""


class Sensors:
    """What can be read while something runs.

    Args:
        root: where ``proc`` and ``sys`` are looked for.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        cpus = sorted(os.sched_getaffinity(0))
        folders = [root / f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq" for cpu in cpus]
        self._clocks = [path for path in folders if _number(path) is not None]
        self._information = root / "proc/cpuinfo"
        thermal = sorted(root.glob("sys/class/thermal/thermal_zone*/temp"))
        self._thermometers = [*thermal, *sorted(root.glob("sys/class/hwmon/hwmon*/temp*_input"))]
        zones = sorted(root.glob("sys/class/powercap/intel-rapl:*"))  # AMD's have this name too
        # Packages are whole processors; their parts, and the zone of the platform, would count them twice.
        self._packages = [zone for zone in zones if _text(zone / "name").startswith("package")]
        self._energies = self._counters()

    def missing(self) -> tuple[str, ...]:
        """What this machine does not tell, in words."""
        told = []
        if self.megahertz() is None:
            told.append("clocks: no counter on this machine")
        if self.celsius() is None:
            told.append("temperature: no sensor on this machine")
        if not self._packages:
            told.append("energy: no counter on this machine")
        elif self._energies is None:
            told.append(f"energy: the counters in {self._packages[0].parent} may not be read: run it as root")
        return tuple(told)

    def read(self) -> dict[str, float | None]:
        """All of them, by the names of the methods."""
        return {"megahertz": self.megahertz(), "celsius": self.celsius(), "joules": self.joules()}

    def megahertz(self) -> float | None:
        """Mean clock of the processors that this process may use."""
        if self._clocks:
            clocks = [_number(path) for path in self._clocks]
            known = [clock / 1000 for clock in clocks if clock is not None]
        else:
            known = _clocks_of(self._information)
        return sum(known) / len(known) if known else None

    def celsius(self) -> float | None:
        """Of the hottest sensor."""
        degrees = [_number(path) for path in self._thermometers]
        known = [value / 1000 for value in degrees if value is not None and value // 1000 in _PLAUSIBLE]
        return max(known, default=None)

    def joules(self) -> float | None:
        """That all packages took since it was last asked, or since the sensors were opened."""
        before, self._energies = self._energies, self._counters()
        if before is None or self._energies is None:
            return None
        total = 0
        for package, first, last in zip(self._packages, before, self._energies, strict=True):
            total += last - first
            if last < first:  # the counter went through its largest value
                total += _number(package / "max_energy_range_uj") or 0
        return total / 1e6

    def _counters(self) -> list[int] | None:
        """Microjoules of each package."""
        found = [_number(package / "energy_uj") for package in self._packages]
        known = [value for value in found if value is not None]
        return known if known and len(known) == len(found) else None


def _number(path: Path) -> int | None:
    try:
        return int(_text(path))
    except ValueError:
        return None


def _text(path: Path) -> str:
    """Empty if it cannot be read."""
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""


def _clocks_of(information: Path) -> list[float]:
    try:
        lines = information.read_text(encoding="utf-8", errors="replace").splitlines()
        return [float(line.partition(":")[2]) for line in lines if line.startswith("cpu MHz")]
    except (OSError, ValueError):
        return []
