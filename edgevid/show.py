"""What the command line prints. Facts come in, tables go out; nothing is computed here."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Column, Table

if TYPE_CHECKING:
    from edgevid.bundle import Bundle
    from edgevid.contract import Streaming
    from edgevid.doctor import Finding
    from edgevid.graph.verify import Verification
    from edgevid.manifest import ArtifactRecord, ChoiceRecord, Manifest, QuantizationRecord, ReferenceRecord

__all__ = [
    "Steps",
    "bundle",
    "devices",
    "findings",
    "models",
    "out",
    "print_json",
    "steps",
    "verification",
]


def out() -> Console:
    """Standard output; in a pipe plain text, and wide enough that no table cuts a name."""
    return Console(width=None if sys.stdout.isatty() else 200, highlight=False)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, indent=2, default=str))


class Steps:
    """The present step of long work, as ``say`` and ``progress`` of what does it."""

    def __init__(self, console: Console, status: Status | None) -> None:
        self._console, self._status, self._start = console, status, perf_counter()

    def __call__(self, step: str) -> None:
        """A new step began."""
        if self._status is not None:
            self._status.update(escape(step))
            seconds = perf_counter() - self._start
            self._console.print(f"[dim]{seconds:6.1f} s[/] {escape(step)}", highlight=False)

    def progress(self, stage: str, done: int, total: int) -> None:
        """How far it is."""
        if self._status is not None:
            self._status.update(escape(f"{stage}: {done} of {total}"))


@contextmanager
def steps() -> Iterator[Steps]:
    """Shows the present step on a terminal; silent in a pipe."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Steps(console, None)
        return
    with console.status("starting") as status:
        yield Steps(console, status)


_SHIFT = {
    "none": "no shift",
    "volume": "no shift, clips as volumes",
    "function": "shift kept as an operation",
}
"""How a bundle's shift is spoken of where it was not lowered."""


def bundle(made: Bundle, *, every_layer: bool = False) -> None:
    """A freshly compiled bundle; of its layers those that are not int8, or every one."""
    facts, console = made.manifest, out()
    title = f"{facts.device_title}, {facts.precision}, {facts.runtime}"
    console.print(f"[bold]{escape(str(made.path))}[/]: {escape(title)}")
    for artifact in facts.artifacts:
        form, _, layout = artifact.lowering.partition("@")
        how = _SHIFT.get(form, f"shift as {form}") + (f", layout {layout}" if layout else "")
        if artifact.streaming is None:
            console.print(f"  batch {artifact.batch}: {how}")
        else:
            _streaming(console, facts, artifact.streaming)
        if artifact.choice is not None:
            _choice(console, artifact.choice, every_layer)
        for check in artifact.checks:
            console.print(
                f"    {'ok' if check.passed else 'FAILED'}  {check.name}: {check.detail}", markup=False
            )
        _layers(console, artifact, every_layer)
        for note in artifact.notes:
            console.print(f"    note: {note}", markup=False)
    _controls(console, facts.reference)
    if facts.quantization is not None:
        _quantization(console, facts.quantization)
    for note in facts.notes:
        console.print(f"  note: {note}", markup=False)
    assumed = [name for name, setting in facts.provenance.items() if setting.source == "default"]
    if assumed:
        console.print(
            f"  [yellow]assumed, since nothing says it: {', '.join(assumed)}[/] (see 'edgevid inspect')"
        )
    console.print(f"  status: [bold]{facts.status}[/]")


def _controls(console: Console, found: ReferenceRecord) -> None:
    """What the golden clips notice."""
    if found.shift_removed is not None and found.shift_swapped is not None:
        console.print(
            f"  the golden clips notice a removed shift (logits change by {found.shift_removed:.1%}) "
            f"and a swapped one ({found.shift_swapped:.1%})"
        )
    if found.clip_reversed is not None:
        console.print(
            f"  the golden clips notice frames in reverse order (logits change by {found.clip_reversed:.1%})"
        )


def _streaming(console: Console, facts: Manifest, streaming: Streaming) -> None:
    """What a frame costs, what each stream keeps, and how late its answers are."""
    interval = facts.streaming.frame_interval if facts.streaming is not None else None
    late = held = ""
    if streaming.delay:
        seconds = f" ({streaming.delay * interval:.3g} s)" if interval is not None else ""
        late = f", answers {streaming.delay} frames late{seconds}"
        waiting = sum(cache.nbytes for cache in streaming.caches if cache.waits)
        held = f", {waiting:,} of them only to wait for the frames ahead"
    console.print(
        f"  frame by frame{late}: {facts.macs / streaming.segments / 1e9:.3g} GMAC a frame, "
        f"{streaming.nbytes:,} bytes in {len(streaming.caches)} caches a stream{held}"
    )
    if interval is not None:
        console.print(f"  trained at {interval:g} s from frame to frame")


def _choice(console: Console, choice: ChoiceRecord, every: bool) -> None:
    """How the lowering was chosen; of the candidates the chosen one, the default and those rejected."""
    trusted = "" if choice.verdict == "VALID" else f" ({choice.verdict})"
    where = "this machine" if choice.source.startswith("measured") else choice.machine
    console.print(
        f"    the fastest of {len(choice.tried)}, {choice.source} on {where}, {choice.runtime}{trusted}",
        markup=False,
    )
    for one in choice.tried:
        if not every and one.state == "slower" and one.ratio != 1.0:
            continue
        time = "" if one.milliseconds is None else f" {one.milliseconds:.4g} ms"
        ratio = "" if one.ratio is None else f", {one.ratio:.3f} of the default"
        reason = f": {one.reason}" if one.reason else ""
        console.print(f"      {one.state:<8} {one.name}{time}{ratio}{reason}", markup=False)


def _layers(console: Console, artifact: ArtifactRecord, every_layer: bool) -> None:
    """How many layers are in int8, and by name why the others are not."""
    for kind, plural in (("Conv", "convolutions"), ("Dense", "dense layers")):
        layers = [layer for layer in artifact.layers if layer.kind == kind]
        if layers:
            integer = sum(layer.precision == "int8" for layer in layers)
            console.print(f"    {integer} of {len(layers)} {plural} in int8")
        for layer in layers:
            if every_layer or layer.precision != "int8":
                why = f": {layer.reason}" if layer.reason else ""
                console.print(f"      {layer.name} in {layer.precision} ({layer.kernel}){why}", markup=False)


def _quantization(console: Console, made: QuantizationRecord) -> None:
    """Ranges, what was done for int8 and what came of it, and what int8 loses."""
    lines = [f"ranges: {made.method} of {made.clips} clips, in {made.table}"]
    for step in made.passes:
        before, after = (
            "as float" if x is None else f"{x:.2f} dB" for x in (step.sqnr_before, step.sqnr_after)
        )
        effect = f"logits SQNR {before} before, {after} after, on {step.clips} calibration clips"
        if step.gain is not None and step.gain_interval is not None:
            low, high = step.gain_interval
            effect += (
                f"; the median clip gains {step.gain:.2f} dB ({low:.2f} to {high:.2f} with 95 % confidence)"
            )
        if not step.held_out:
            effect += "; it was fitted to these clips"
        lines.append(f"{step.name}: {effect if step.clips else 'its effect was not measured, without clips'}")
    if made.drop is not None:
        lost = made.drop
        lines.append(
            f"top-1 drop {100 * lost.drop:.2f} points of {lost.videos} videos ({lost.lost} lost, "
            f"{lost.gained} gained; {lost.measured_with}): {lost.verdict}: {lost.remark}"
        )
        if len(lost.trials) > 1:
            tried = ", ".join(f"{count}: {100 * drop:.2f}" for count, drop in lost.trials)
            lines.append(f"layers returned to float and the drop in points, as tried: {tried}")
    for line in lines:
        console.print(f"  {line}", markup=False)
    for warning in made.warnings:
        console.print(f"  [yellow]warning:[/] {escape(warning)}")


def simulation(imitated: str) -> str:
    """What an imitated runtime's results are worth."""
    return f"simulated: {imitated}'s int8 arithmetic on this machine; answers count, times mean nothing"


def verification(result: Verification, title: str, *, simulated: str = "") -> None:
    """The checks of one artifact, and the runtime that it imitates if it does."""
    console = out()
    console.print(f"[bold]{escape(title)}[/]: {'passed' if result.passed else '[red]FAILED[/]'}")
    if simulated:
        console.print(f"  {simulation(simulated)}", markup=False)
    for check in result.checks:
        console.print(
            f"  {'ok    ' if check.passed else 'FAILED'}  {check.name}: {check.detail}", markup=False
        )


def _name(heading: str) -> Column:
    """A column whose entries are typed again by the reader, and so are never cut."""
    return Column(heading, no_wrap=True, overflow="ignore", min_width=len(heading))


def devices(*, as_json: bool) -> None:
    """Every profile with what its target can do on it."""
    from edgevid import targets
    from edgevid.targets._profiles import device, device_names

    records: list[dict[str, Any]] = []
    for name in device_names():
        profile = device(name)
        capability = targets.find(profile.target).probe(profile)
        records.append(
            {
                "device": name,
                "title": profile.title,
                "target": profile.target,
                "this_machine": profile.is_this_machine,
                "isa": list(profile.isa),
                "precisions": list(capability.precisions),
                "emulated": dict(profile.emulated),
                "missing": dict(capability.missing),
                "compiles": capability.compiles,
                "executes": capability.executes,
                "reason": capability.reason,
                "note": profile.note,
            }
        )
    if as_json:
        print_json(records)
        return
    table = Table(_name("device"), "what it is", "target", "precisions", "here", box=None, pad_edge=False)
    for record in records:
        precisions = ", ".join(
            f"{kind} (emulated)" if kind in record["emulated"] else kind for kind in record["precisions"]
        )
        here = "yes" if record["this_machine"] else "compile only"
        table.add_row(
            record["device"],
            record["title"],
            record["target"],
            precisions,
            escape(record["reason"].partition("; ")[0] or here),
        )
    out().print(table)
    lacking: dict[str, list[str]] = {}
    for record in records:
        for kind, why in record["missing"].items():
            lacking.setdefault(f"no {kind}: {why}", []).append(record["device"])
    for why, names in sorted(lacking.items()):
        out().print(f"{', '.join(names)}: {why}", markup=False)


def models(*, as_json: bool) -> None:
    """Every preset with its size and work beside the paper's."""
    from edgevid.models.cost import cost
    from edgevid.models.registry import preset, preset_names

    counted = cache(cost)
    records: list[dict[str, Any]] = []
    for name in preset_names():
        known = preset(name)
        # A shift costs nothing, so many are the same.
        work = counted(known.config.without_shift())
        records.append(
            {
                "name": name,
                "frames": known.config.segments,
                "size": known.config.size,
                "parameters": work.parameters,
                "macs": work.macs,
                "published_parameters_m": known.parameters,
                "published_gmacs": known.gmacs,
                "parameters_difference": _share(work.parameters / 1e6, known.parameters),
                "macs_difference": _share(work.macs / 1e9, known.gmacs),
                "source": known.source,
                "remark": known.remark,
            }
        )
    if as_json:
        print_json(records)
        return
    published = ("published", "difference")
    headings = ("frames", "size", "M parameters", *published, "GMACs", *published, "source")
    table = Table(_name("name"), *headings, box=None, pad_edge=False)
    remarks = list(dict.fromkeys(r["remark"] for r in records if r["remark"]))
    for r in records:
        source = r["source"] + (f" [{remarks.index(r['remark']) + 1}]" if r["remark"] else "")
        millions = _beside(r["parameters"] / 1e6, r["published_parameters_m"])
        billions = _beside(r["macs"] / 1e9, r["published_gmacs"])
        table.add_row(r["name"], str(r["frames"]), str(r["size"]), *millions, *billions, escape(source))
    out().print(table)
    for number, remark in enumerate(remarks, start=1):
        out().print(f"[{number}] {remark}", markup=False)


def _share(counted: float, published: float | None) -> float | None:
    return None if published is None else round(counted / published - 1, 4)


def _beside(counted: float, published: float | None) -> tuple[str, str, str]:
    """A count, the published one, and what is counted more or less than that."""
    if published is None:
        return f"{counted:.2f}", "-", "-"
    return f"{counted:.2f}", f"{published:g}", f"{counted / published - 1:+.1%}"


def findings(found: Sequence[Finding]) -> None:
    """The doctor's findings, and what to do about them."""
    console = out()
    table = Table("needed for", "package", "version", "state", box=None, pad_edge=False)
    for finding in found:
        state = finding.problem or "ok"
        table.add_row(
            finding.purpose,
            finding.package,
            finding.version,
            state,
            style="yellow" if finding.problem else "",
        )
    console.print(table)
    for command in dict.fromkeys(finding.command for finding in found if finding.problem):
        console.print(f"to install what is missing: {command}", markup=False)
