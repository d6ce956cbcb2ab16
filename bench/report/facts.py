"""What stands beside the figures: title, labels, remarks and the machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgevid.bench.environment import Environment
from edgevid.bench.report.material import Material
from edgevid.bench.report.measured import Measured
from edgevid.bench.results import LABELS

__all__ = ["environments", "labels_used", "remarks", "title_of"]


def title_of(material: Material) -> str:
    """Of the only result, or how many there are."""
    titles = list(dict.fromkeys(measured.result.title for measured in material.results))
    if len(titles) == 1:
        return titles[0]
    if titles:
        return f"{len(material.results)} measurements with edgevid"
    return "Accuracy measured with edgevid"


def labels_used(material: Material) -> dict[str, str]:
    """Meaning of every label in the report that is not ``measured``."""
    used = {variant.label for measured in material.results for variant in measured.result.variants}
    used |= {network.label for found in material.accuracies for network in found.variants}
    return {label: meaning for label, meaning in LABELS.items() if label in used and label != "measured"}


def remarks(measured: Measured) -> list[str]:
    """What the reader must know of one result."""
    result = measured.result
    notes = list(result.notes)
    notes += [f"{variant.name}: {variant.note}" for variant in result.variants if variant.note]
    if result.sustained is not None:
        notes += [f"{result.sustained.variant} over time: {note}" for note in result.sustained.notes]
    return notes


def environments(results: Sequence[Measured]) -> list[tuple[list[str], dict[str, str]]]:
    """Each machine once, with the files that were measured on it and what is known of it."""
    found: list[tuple[list[str], dict[str, str]]] = []
    for measured in results:
        facts = _facts(measured.result.environment)
        known = next((files for files, other in found if other == facts), None)
        if known is None:
            found.append(([measured.file], facts))
        elif measured.file not in known:
            known.append(measured.file)
    return found


def _facts(environment: Environment) -> dict[str, str]:
    clock, memory = environment.frequency_khz, environment.memory_bytes
    affinity = environment.affinity
    lines: dict[str, Any] = {
        "processor": environment.cpu,
        "instruction sets": ", ".join(environment.isa),
        "processors": environment.cpus,
        "of them may be used": None if affinity is None else ", ".join(map(str, affinity)),
        "governor": environment.governor,
        "clock": clock and f"{clock[0] / 1000:.0f} to {clock[1] / 1000:.0f} MHz",
        "memory": memory and f"{memory / 2**30:.1f} GiB",
        "virtualization": ", ".join(environment.virtualization),
        "system": f"{environment.system}, {environment.kernel}, {environment.architecture}",
        "software": ", ".join(
            [f"edgevid {environment.edgevid}", environment.python]
            + [f"{name} {version}" for name, version in environment.packages.items()]
        ),
        "variables": " ".join(f"{name}={value}" for name, value in environment.variables.items()),
    }
    return {name: str(value) for name, value in lines.items() if value not in (None, "")}
