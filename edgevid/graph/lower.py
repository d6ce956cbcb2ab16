"""Lowerings: equal ways to write a shift in plain ONNX operations.

Every runtime likes another one, and the difference is most of the shift's cost, so each is a
named entry of `LOWERINGS` and the choice is made per device. All of them are proved equal to
`edgevid.shift.shift_numpy`; one that holds only for some batches says so and is refused for
the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import onnx_ir as ir
from onnx_ir.passes import common as passes

from edgevid.errors import LoweringError, ShiftError
from edgevid.graph.clips_apart import compute_clips_apart
from edgevid.graph.plain_shift import (
    Writer,
    WriteShift,
    fused_pad,
    fused_slice_concat,
    negative_pad,
    slice_concat,
)
from edgevid.graph.shift_op import DOMAIN, SHIFT, shift_nodes, spec_of, zero_point_of
from edgevid.graph.split_conv import decimate_pointwise, split_convolutions
from edgevid.graph.volume import frames_to_volume
from edgevid.graph.whole_blocks import fill_blocks
from edgevid.shift import Layout, ShiftSpec

__all__ = ["KEEP", "LOWERINGS", "PLAIN_FORMS", "Lowering", "form_of", "lower", "lower_plain"]

KEEP = "function"
"""Not a lowering: the canonical graph as it is, for runtimes that read local functions."""

_LAYOUT = "@"


@dataclass(frozen=True)
class Lowering:
    """One way to write the shifts of a graph.

    Attributes:
        name: by which targets and users choose it.
        summary: one line for help and reports.
        write: writes a single shift.
        prepare: rewrites the whole graph before, in place, and may use ``write``; shifts that
            it leaves are written one by one. A graph in which nothing moves is not touched.
        one_clip_only: wrong as soon as a batch holds two clips, so refused there.
        static_batch: needs to know N.
    """

    name: str
    summary: str
    write: WriteShift
    prepare: Callable[[ir.Model, WriteShift], object] | None = None
    static_batch: bool = True
    one_clip_only: bool = False


def form_of(name: str) -> str:
    """A lowering's name without the layout that a target adds to it, as in ``negative_pad@blocked``."""
    return name.partition(_LAYOUT)[0]


def lower(model: ir.Model, name: str) -> ir.Model:
    """A copy of a canonical graph in which the lowering ``name`` replaces every shift.

    A layout in the name is the target's to follow; the graph is the same.

    Raises:
        LoweringError: unknown name, or the lowering does not hold for this graph's batch or,
            where it rewrites more than the shifts, for one of its operations.
    """
    lowered = model.clone()
    name = form_of(name)
    if name == KEEP:
        return lowered
    if name not in LOWERINGS:
        raise LoweringError(f"unknown lowering {name!r}", fix=f"one of {', '.join([KEEP, *LOWERINGS])}")
    lowering = LOWERINGS[name]
    for node in shift_nodes(lowered):
        _check(node, lowering)
    if lowering.prepare is not None and any(not spec_of(node).is_identity for node in shift_nodes(lowered)):
        lowering.prepare(lowered, lowering.write)
    for number, node in enumerate(shift_nodes(lowered)):
        _replace(lowered, node, lowering, f"shift{number}")
    for identifier in [key for key in lowered.functions if key[:2] == (DOMAIN, SHIFT)]:
        del lowered.functions[identifier]
    lowered.opset_imports.pop(DOMAIN, None)
    passes.RemoveUnusedNodesPass()(lowered)
    passes.ShapeInferencePass()(lowered)
    return lowered


PLAIN_FORMS = ("none", "volume")
"""Forms of a network without a shift: as it is, and with clips as volumes."""


def lower_plain(model: ir.Model, name: str) -> ir.Model:
    """A copy of a graph without shifts in one of `PLAIN_FORMS`, which may have a layout in its name.

    Raises:
        LoweringError: an unknown form, no frames to hold as volumes, or one of the operations cannot
            be rewritten.
    """
    plain, form = model.clone(), form_of(name)
    if form not in PLAIN_FORMS:
        raise LoweringError(f"unknown form {name!r}", fix=f"one of {', '.join(PLAIN_FORMS)}")
    if form == "volume":
        begins = frames_to_volume(plain)
        if not begins:
            raise LoweringError("there are no stacked frames that could be volumes", fix="take the form none")
        compute_clips_apart(plain, begins)
        decimate_pointwise(plain)
        passes.ShapeInferencePass()(plain)
    return plain


def _check(node: ir.Node, lowering: Lowering) -> None:
    """Raise unless ``lowering`` holds for the batch of this shift."""
    value, spec = node.inputs[0], spec_of(node)
    assert value is not None
    shape = _shape(value, node)
    try:
        spec.check(shape if shape[0] >= 0 else [spec.segments, *shape[1:]])
    except ShiftError as error:
        raise ShiftError(error.what, where=node.name, fix=error.fix) from error
    clips = shape[0] // spec.segments if spec.layout is Layout.FRAMES and shape[0] >= 0 else shape[0]
    mixes_frames = spec.layout is Layout.FRAMES and any(move.dt for move in spec.moves)
    if mixes_frames and lowering.static_batch and clips < 0:
        raise LoweringError(
            f"lowering {lowering.name!r} needs a fixed batch",
            where=node.name,
            fix="use slice_concat, or give --batch",
        )
    if mixes_frames and lowering.one_clip_only and clips != 1:
        raise LoweringError(
            f"lowering {lowering.name!r} holds for one clip; in a batch of {clips} frames of one clip "
            "would leak into the next",
            where=node.name,
            fix="use slice_concat or fused_slice_concat, or compile batch 1",
        )


def _replace(model: ir.Model, node: ir.Node, lowering: Lowering, prefix: str) -> None:
    value, spec = node.inputs[0], spec_of(node)
    assert value is not None
    kind = value.dtype or ir.DataType.FLOAT
    writer = Writer(model.graph, prefix, _shape(value, node), kind, zero_point_of(node))
    shifted = value if spec.is_identity else lowering.write(writer, value, spec)
    old = node.outputs[0]
    if shifted is value:
        ir.convenience.replace_all_uses_with(old, value, replace_graph_outputs=True)
        model.graph.remove(node, safe=True)
        return
    shifted.type, shifted.shape = old.type, old.shape
    ir.convenience.replace_nodes_and_values(model.graph, node, [node], writer.steps.nodes, [old], [shifted])


def _shape(value: ir.Value, node: ir.Node) -> list[int]:
    """Static sizes; -1 for a symbolic first axis.

    Raises:
        LoweringError: another axis is unknown.
    """
    if value.shape is None or any(not isinstance(size, int) for size in value.shape[1:]):
        raise LoweringError(
            f"the shifted tensor has shape {value.shape}",
            where=node.name,
            fix="export with static channels, rows and columns; only the batch may be symbolic",
        )
    first, *rest = value.shape
    return [first if isinstance(first, int) else -1, *(size for size in rest if isinstance(size, int))]


def _pad(writer: Writer, value: ir.Value, spec: ShiftSpec) -> ir.Value:
    """With negative pads where they do not reach into another clip."""
    one_clip = spec.layout is Layout.VOLUME or writer.shape[0] == spec.segments
    return (negative_pad if one_clip else fused_pad)(writer, value, spec)


def _split_in_volumes(model: ir.Model, write: WriteShift) -> None:
    fill_blocks(model)
    compute_clips_apart(model, frames_to_volume(model))
    split_convolutions(model, write)
    decimate_pointwise(model)


LOWERINGS: Mapping[str, Lowering] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            Lowering(
                "slice_concat",
                "slices and concats on [N,T,C,H,W]; any batch",
                slice_concat,
                static_batch=False,
            ),
            Lowering(
                "fused_slice_concat",
                "slices and concats on the fused N*T axis; fixed batch",
                fused_slice_concat,
            ),
            Lowering("fused_pad", "slice and pad on the fused N*T axis; fixed batch", fused_pad),
            Lowering(
                "negative_pad",
                "one pad with a negative begin or end a channel group; one clip",
                negative_pad,
                one_clip_only=True,
            ),
            Lowering(
                "split_conv",
                "1x1 convolutions split over the channels behind each shift; fixed batch",
                fused_pad,
                prepare=split_convolutions,
            ),
            Lowering(
                "volume_split_conv",
                "each clip as [1,C,T,H,W], 1x1 convolutions split over the channels; fixed batch",
                _pad,
                prepare=_split_in_volumes,
            ),
        )
    }
)
