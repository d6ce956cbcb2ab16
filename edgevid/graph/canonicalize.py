"""From a foreign graph to the canonical one: ``frames`` to ``logits``, shifts as one operation each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from edgevid.errors import ConfigError, GraphError
from edgevid.graph.check_same import check_same
from edgevid.graph.clip_input import ClipInput, ClipLayout
from edgevid.graph.clip_io import with_frames, with_logits
from edgevid.graph.diagnose import check_dependence, diagnose
from edgevid.graph.find_shift import Candidate, find_shift
from edgevid.graph.place import place
from edgevid.graph.probe import Evaluate
from edgevid.graph.shift_op import shift_nodes, spec_of
from edgevid.graph.standardize import standardize
from edgevid.shift import Layout, ShiftSpec

__all__ = ["Canonical", "canonicalize"]


@dataclass(frozen=True)
class Canonical:
    """A canonical graph, and what became of the foreign one in it.

    Attributes:
        model: ``frames`` float32 ``[N, T, 3, H, W]`` to ``logits`` float32 ``[N, classes]``.
        candidates: what might have been a shift.
        averaged: the file answers for each frame; the mean over the clip was added.
        softmax: the file ends in a Softmax; it was left out.
    """

    model: ir.Model
    candidates: tuple[Candidate, ...]
    averaged: bool
    softmax: bool

    @property
    def shifts(self) -> tuple[ShiftSpec, ...]:
        """In the order of the graph."""
        return tuple(map(spec_of, shift_nodes(self.model)))

    @property
    def classes(self) -> int:
        """Of the logits."""
        shape = self.model.graph.outputs[0].shape
        assert shape is not None
        return int(shape.numpy()[1])


def canonicalize(
    model: ir.Model, clip: ClipInput, batch: int, evaluate: Evaluate, known: Sequence[ShiftSpec] = ()
) -> Canonical:
    """The canonical graph of ``batch`` clips; that of one clip is compared with the file's.

    Args:
        model: as it was read, with one input and one output.
        clip: what the input holds.
        batch: N.
        evaluate: runs graphs, such as `edgevid.targets.onnxruntime.evaluate`.
        known: the shifts of one clip in the order of the graph; other batches must have the same.

    Raises:
        GraphError: the graph is not supported, does not hold for this batch, or its exporter
            folded an activation to a constant.
        ConfigError: the shifts are of clips of another number of frames.
        VerificationError: the rewritten graph computes something else than the file's.
    """
    try:
        check_dependence(model)
        standard = standardize(model, {clip.name: clip.shape(batch)})
        diagnose(standard, clip.segments)
        found = find_shift(with_frames(standard, clip), evaluate, segments=clip.segments, known=known)
        if batch == 1:
            _check_segments(model, clip, found.model)
        else:
            _check_known(found.model, known)
        logits = with_logits(found.model, clip.segments)
    except GraphError as error:
        raise _in_file(error, model, batch) from error
    if batch == 1:
        check_same(model, clip, found.model, evaluate)
    return Canonical(logits.model, found.candidates, logits.averaged, logits.softmax)


def _check_segments(model: ir.Model, clip: ClipInput, found: ir.Model) -> None:
    """Raise if a shift along time takes the one clip for several of fewer frames."""
    for node in shift_nodes(found):
        spec, value = spec_of(node), node.inputs[0]
        assert value is not None
        assert value.shape is not None
        first = int(value.shape.numpy()[0])
        clips = first if spec.layout is Layout.VOLUME else first // spec.segments
        # Behind a pooling over time there are fewer frames, and T of a shift is smaller by right.
        fits = clips == 1 or spec.segments == clip.segments
        if any(move.dt for move in spec.moves) and not fits:
            raise ConfigError(
                f"clips of {clip.segments} frames, but the shift {node.name} is of {spec.segments}",
                where=place(model),
                fix=_segments_fix(clip, spec.segments),
            )


def _segments_fix(clip: ClipInput, segments: int) -> str:
    if clip.layout is ClipLayout.FRAMES and clip.batch is None:
        return f"give --segments {segments}"
    return f"export the network with a dynamic batch, or for one clip of {segments} frames"


def _check_known(found: ir.Model, known: Sequence[ShiftSpec]) -> None:
    """Raise if the shifts of a larger batch are not those of one clip."""
    shifts = [(str(node.name), spec_of(node)) for node in shift_nodes(found)]
    for (name, spec), one in zip(shifts, known, strict=False):
        if spec != one:
            raise GraphError(
                f"the shift is {spec}, that of one clip {one}: its frames are not stacked clip by clip, "
                "or it crosses from clip to clip",
                where=name,
            )
    if len(shifts) != len(known):
        raise GraphError(f"{len(shifts)} shifts are found, and in one clip {len(known)}")


def _in_file(error: GraphError, model: ir.Model, batch: int) -> GraphError:
    """The error with the file, and the batch if there are several clips."""
    file = place(model)
    where = error.where if error.where and error.where.startswith(file) else place(model, error.where)
    if batch == 1:
        return GraphError(error.what, where=where, fix=error.fix)
    return GraphError(
        f"for a batch of {batch}: {error.what}",
        where=where,
        fix="compile batch 1, or export a network that takes N from the shape of its input",
    )
