"""What `edgevid inspect` prints of a checkpoint or of a foreign ONNX file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edgevid.shift import Move, ShiftSpec
from edgevid.show import out

if TYPE_CHECKING:
    from edgevid.checkpoints import Checkpoint
    from edgevid.contract import Sourced
    from edgevid.foreign import Foreign

__all__ = ["checkpoint", "checkpoint_facts", "foreign", "foreign_facts", "in_words"]

_NO_PLACE_FOR_A_SHIFT = ("the shape changes", "a tensor of ")
"""How reasons begin why a region cannot displace along T, H or W."""


def checkpoint_facts(found: Checkpoint) -> dict[str, Any]:
    """Everything `inspect` shows of a checkpoint, as plain data."""
    from edgevid.models.cost import cost

    work = cost(found.config)
    shifts = found.network().shift_specs()
    return {
        "path": str(found.path),
        "layout": found.layout,
        "network": found.config.model_dump(mode="json"),
        "parameters": work.parameters,
        "macs": work.macs,
        "settings": _settings_facts(found.settings),
        "assumptions": list(found.assumptions),
        "labels": list(found.labels) if found.labels else None,
        "shifts": [{"layer": name, "shift": str(spec)} for name, spec in shifts],
        "mixes_time": found.config.mixes_time,
    }


def checkpoint(facts: Mapping[str, Any]) -> None:
    """The facts of a checkpoint for people."""
    console = out()
    _heading(console, facts)
    _settings(console, facts["settings"])
    for entry in facts["shifts"]:
        console.print(f"  {entry['layer']}: {entry['shift']}", markup=False)
    if not facts["shifts"]:
        console.print(
            "no shift: other layers mix the frames" if facts["mixes_time"] else "no shift: a 2D network (TSN)"
        )
    _assumptions(console, facts["assumptions"])


def foreign_facts(found: Foreign) -> dict[str, Any]:
    """Everything `inspect` shows of an ONNX file, as plain data."""
    from edgevid.graph.cost import macs, parameters

    canonical = found.canonical
    return {
        "path": str(found.path),
        "layout": "onnx",
        "bytes": found.path.stat().st_size,
        **found.description,
        "canonical_nodes": len(canonical.model.graph),
        "parameters": parameters(canonical.model),
        "macs": macs(canonical.model),
        "segments": found.clip.segments,
        "size": found.clip.size,
        "classes": canonical.classes,
        "batch": found.clip.batch or "any",
        "settings": _settings_facts(found.settings),
        "assumptions": list(found.assumptions),
        "missing": list(found.missing),
        "labels": list(found.labels) if found.labels else None,
        "candidates": [
            {
                "where": candidate.where,
                "nodes": candidate.nodes,
                "shift": None if candidate.spec is None else str(candidate.spec),
                "found": candidate.reason
                if candidate.spec is None
                else in_words(candidate.spec, candidate.channels),
            }
            for candidate in canonical.candidates
        ],
        "notes": list(found.notes),
    }


def foreign(facts: Mapping[str, Any]) -> None:
    """The facts of an ONNX file for people."""
    console = out()
    _heading(console, facts)
    made = facts["producer"] or "an unnamed exporter"
    lines = [
        f"by {made}, opset {facts['opset']}, {facts['nodes']} operations, {facts['bytes'] / 1e6:.1f} MB; "
        f"{facts['canonical_nodes']} with each shift as one",
        *(f"input {_tensor(value)}, read as {facts['input_layout']}" for value in facts["inputs"]),
        *(f"output {_tensor(value)}" for value in facts["outputs"]),
        f"clips of {facts['segments']} frames of {facts['size']} x {facts['size']} pixels, "
        f"{facts['classes']} classes, batch: {facts['batch']}",
    ]
    for line in lines:
        console.print(line, markup=False)
    others = [each for each in facts["candidates"] if each["found"].startswith(_NO_PLACE_FOR_A_SHIFT)]
    for candidate in facts["candidates"]:
        if candidate in others:
            continue
        mark = "no shift" if candidate["shift"] is None else "shift"
        console.print(f"  {mark} at {candidate['where']}: {candidate['found']}", markup=False)
    if others:
        plural = "region only reshapes or takes" if len(others) == 1 else "regions only reshape or take"
        console.print(f"  {len(others)} other {plural} parts (listed by --json)", markup=False)
    for note in facts["notes"]:
        console.print(f"note: {note}", markup=False)
    _settings(console, facts["settings"])
    if facts["missing"]:
        flags = ", ".join(f"--{name}" for name in facts["missing"])
        console.print(f"[yellow]to compile it, give {flags}[/] (or --preset): an ONNX file cannot say them.")
    _assumptions(console, facts["assumptions"])


def in_words(spec: ShiftSpec, channels: int | None) -> str:
    """``T = 8, channels 0 to 7 take the next frame, ..., 1/4 of 64 channels move``."""
    parts = [f"T = {spec.segments}"]
    parts += [f"{_channels(move)} {_taken(move)}" for move in spec.moves]
    if channels is not None:
        share = spec.proportion(channels)
        parts.append(f"{'all' if share == 1 else f'{share} of'} {channels} channels move")
    return ", ".join(parts)


def _channels(move: Move) -> str:
    if move.stop - move.start == 1:
        return f"channel {move.start} takes"
    return f"channels {move.start} to {move.stop - 1} take"


def _taken(move: Move) -> str:
    """Where content comes from: a move by -1 brings the next frame's."""
    names = (("previous", "next", "frame"), ("upper", "lower", "row"), ("left", "right", "column"))
    parts = []
    for step, (before, after, unit) in zip(move.displacement, names, strict=True):
        side = before if step > 0 else after
        if abs(step) == 1:
            parts.append(f"the {side} {unit}")
        elif step:
            parts.append(f"the {side} {unit} but {abs(step) - 1}")
    return " and ".join(parts)


def _heading(console: Console, facts: Mapping[str, Any]) -> None:
    console.print(f"[bold]{escape(facts['path'])}[/]")
    console.print(f"{facts['parameters'] / 1e6:.2f} M parameters, {facts['macs'] / 1e9:.2f} GMACs a clip")


def _settings_facts(settings: Mapping[str, Sourced]) -> dict[str, dict[str, str]]:
    return {name: {"value": str(item.value), "source": item.source} for name, item in settings.items()}


def _settings(console: Console, settings: Mapping[str, Mapping[str, str]]) -> None:
    table = Table("setting", "value", "source", box=None, pad_edge=False)
    for name, setting in settings.items():
        style = "yellow" if setting["source"] == "default" else ""
        table.add_row(name, escape(setting["value"]), setting["source"], style=style)
    console.print(table)


def _assumptions(console: Console, names: Iterable[str]) -> None:
    if listed := ", ".join(names):
        console.print(
            f"[yellow]assumed, since nothing says it: {listed}.[/] Check them, or give --preset or the flags."
        )


def _tensor(value: Mapping[str, Any]) -> str:
    sizes = "?" if value["shape"] is None else ", ".join(map(str, value["shape"]))
    return f"{value['name']} {value['type']} [{sizes}]"
