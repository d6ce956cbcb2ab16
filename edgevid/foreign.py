"""A foreign ONNX file: its shifts found, and what such a file cannot say asked for.

An ONNX file holds a network and no more: how pixels are normalized, which frames are looked at
and what the classes are called comes from flags or from a preset.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevid.checkpoints.preprocessing import normalization_of, sampling_of
from edgevid.checkpoints.settings import Merger, check_flags, preset_settings, read_labels
from edgevid.contract import Normalization, Sampling, Sourced
from edgevid.errors import ConfigError
from edgevid.graph.canonicalize import Canonical, canonicalize
from edgevid.graph.clip_input import ClipInput, ClipLayout, clip_input
from edgevid.graph.clip_io import with_one_output
from edgevid.graph.read_onnx import read_onnx
from edgevid.models.registry import preset as find_preset
from edgevid.targets.onnxruntime import evaluate

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["Foreign", "read_foreign"]

_NORMALIZATION = ("mean", "std", "color")
_SAMPLING = ("mode", "window", "clips", "crops", "resize", "library", "average")
_FLAGS = ("segments", "crop", "labels", "interval", *_NORMALIZATION, *_SAMPLING)
_AS_GIVEN = {"crop": "size", "clips": "temporal-clips", "interval": "frame-interval"}
"""Settings whose flag has another name; the window has none."""

_LOST = "whole channels are set to zero"
"""What is said of a region in which an exporter may have lost a shift."""


@dataclass(frozen=True)
class Foreign:
    """A foreign network and all that its file, flags and a preset say about it.

    Attributes:
        path: of the file.
        model: as it was read, with one input and one output.
        clip: what the input holds.
        canonical: the same for one clip, with its shifts as ``edgevid::Shift``.
        normalization: of the pixels; None where nothing says it.
        sampling: of the frames.
        labels: class names, None where nothing says them.
        settings: every value by name with its source: ``flag``, ``file``, ``preset`` or ``default``.
    """

    path: Path
    model: ir.Model
    clip: ClipInput
    canonical: Canonical
    normalization: Normalization | None
    sampling: Sampling
    labels: tuple[str, ...] | None
    settings: Mapping[str, Sourced]

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Names of the settings that nothing says: they are defaults, and may be wrong."""
        return tuple(name for name, item in self.settings.items() if item.source == "default")

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the settings that compiling needs and nothing says."""
        return tuple(name for name in _NORMALIZATION if name not in self.settings)

    @property
    def description(self) -> dict[str, Any]:
        """Who made the file and what it holds, as plain data."""
        graph = self.model.graph
        return {
            "producer": " ".join(filter(None, (self.model.producer_name, self.model.producer_version))),
            "opset": self.model.opset_imports[""],
            "nodes": len(graph),
            "inputs": [_described(value) for value in graph.inputs],
            "outputs": [_described(value) for value in graph.outputs],
            "input_layout": str(self.clip.layout),
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the network, in words."""
        notes = []
        if not any(candidate.spec for candidate in self.canonical.candidates):
            notes.append("no shift found: the network is compiled as it stands")
        if lost := [each.where for each in self.canonical.candidates if each.reason == _LOST]:
            regions = "1 region sets" if len(lost) == 1 else f"{len(lost)} regions set"
            notes.append(
                f"{regions} whole channels to zero, the first at {lost[0]}: "
                "if the network has a shift there, its exporter lost it"
            )
        if self.canonical.averaged:
            notes.append("the file answers for each frame: the logits are their mean over the clip")
        if self.canonical.softmax:
            notes.append("the Softmax at the end of the file is left out: it follows when logits are read")
        return tuple(notes)

    def graph(self, batch: int) -> ir.Model:
        """The canonical graph of ``batch`` clips.

        Raises:
            GraphError: the graph does not hold for that batch, though its input does, or its
                shifts are others than those of one clip.
        """
        if batch == 1:
            return self.canonical.model
        return canonicalize(self.model, self.clip, batch, evaluate, self.canonical.shifts).model


def read_foreign(
    path: str | os.PathLike[str],
    *,
    preset: str | None = None,
    output_name: str | None = None,
    input_layout: str | None = None,
    complete: bool = True,
    say: Callable[[str], None] = lambda _: None,
    **flags: Any,
) -> Foreign:
    """Read an ONNX file, find its shifts, and say where every setting comes from.

    Args:
        path: of the file.
        preset: a name that `edgevid.models.registry.preset` knows; its pixels and frames count.
        output_name: which of several outputs holds the class scores.
        input_layout: of the clips, where the shape of the input allows several.
        complete: refuse a file whose normalization nothing says.
        say: is told each step.
        flags: settings by name; ``None`` means not given. ``mean``, ``std`` (for values from 0 to
            255), ``color``; ``segments``, ``size``, ``mode``, ``window``, ``clips``, ``crops``,
            ``resize``, ``library``, ``average``; and ``labels``, a file or a list of names.

    Raises:
        GraphError: the file is damaged or unsupported, its output does not depend on its input,
            or an exporter folded an activation of it to a constant.
        ConfigError: a setting is missing, makes no sense for a graph, or contradicts it.
        VerificationError: the graph with its shifts found computes something else than the file.
    """
    path = Path(path)
    merger = Merger(path)
    merger.add("flag", _foreign_flags(flags, path))
    if preset is not None:
        known = preset_settings(find_preset(preset))
        merger.add("preset", {name: known[name] for name in _FLAGS if name in known})
    normalization = _normalization(merger, complete)
    say(f"reading {path}")
    model = with_one_output(read_onnx(path), output_name)
    flag, published = merger.candidates["flag"], merger.candidates["preset"]
    clip = clip_input(
        model,
        segments=flag.get("segments", published.get("segments")),
        size=flag.get("crop"),
        layout=input_layout,
        usual_size=published.get("crop"),
    )
    if clip.batch not in (None, 1):
        raise ConfigError(
            f"the file is fixed to a batch of {clip.batch} clips of {clip.segments} frames",
            where=path,
            fix="export the network with a dynamic batch, or with a batch of one clip",
        )
    say("looking for shifts")
    canonical = canonicalize(model, clip, 1, evaluate)
    merger.add("file", {"crop": clip.size})
    if clip.layout is not ClipLayout.FRAMES or clip.batch is not None:
        merger.add("file", {"segments": clip.segments})
    if canonical.softmax:
        merger.add("file", {"average": "softmax"})
    merger.add("default", {name: getattr(Sampling(), name) for name in _SAMPLING if name != "resize"})
    merger.choose("segments")
    return Foreign(
        path=path,
        model=model,
        clip=clip,
        canonical=canonical,
        normalization=normalization,
        sampling=sampling_of(merger, clip.segments),
        labels=_labels(merger, canonical.classes, path),
        settings=merger.chosen,
    )


def _foreign_flags(flags: Mapping[str, Any], path: Path) -> dict[str, Any]:
    given = check_flags(flags, path)
    if senseless := [name for name in given if name not in _FLAGS]:
        said = [_flag(name) for name in _FLAGS if name != "window"]
        raise ConfigError(
            f"{', '.join(senseless)}: an ONNX file holds its network already, shifts and all",
            where=path,
            fix=f"leave it out; of such a file one can say {', '.join(said)}",
        )
    for name in {"segments", "crop"} & set(given):
        if type(given[name]) is not int:
            raise ConfigError(
                f"{_flag(name)} is {given[name]!r}", where=path, fix="give a whole number from 1"
            )
    return given


def _flag(name: str) -> str:
    return "--" + _AS_GIVEN.get(name, name)


def _normalization(merger: Merger, complete: bool) -> Normalization | None:
    missing = [name for name in _NORMALIZATION if not merger.says(name)]
    if not missing:
        return normalization_of(merger)
    if not complete:
        for name in _NORMALIZATION:
            if merger.says(name):
                merger.choose(name)
        return None
    raise ConfigError(
        f"an ONNX file cannot say how its pixels were normalized: {', '.join(missing)} missing",
        where=merger.where,
        fix="give --mean, --std (for pixels from 0 to 255) and --color, or the --preset of the network; "
        "--mean 0 --std 1 if the graph normalizes by itself",
    )


def _labels(merger: Merger, classes: int, path: Path) -> tuple[str, ...] | None:
    if merger.says("labels"):
        return read_labels(merger.choose("labels"), classes, path)
    merger.chosen["labels"] = Sourced(None, "default")
    return None


def _described(value: ir.Value) -> dict[str, Any]:
    shape = (
        None
        if value.shape is None
        else [axis if isinstance(axis, int) else str(axis) for axis in value.shape]
    )
    return {"name": value.name, "type": str(value.dtype), "shape": shape}
