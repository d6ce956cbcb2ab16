"""From a foreign graph to the canonical one: ``frames`` to ``logits``, shifts as one operation each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgevid.errors import ConfigError, GraphError, VerificationError
from edgevid.graph.clip_input import ClipInput, ClipLayout
from edgevid.graph.clip_io import with_frames, with_logits
from edgevid.graph.diagnose import diagnose
from edgevid.graph.find_shift import Candidate, find_shift
from edgevid.graph.place import place
from edgevid.graph.probe import Evaluate
from edgevid.graph.shift_op import shift_nodes, spec_of
from edgevid.graph.standardize import standardize
from edgevid.graph.verify import compare
from edgevid.shift import Layout

__all__ = ["Canonical", "canonicalize"]

_SEED = 3
_HALVES = frozenset({ir.DataType.FLOAT16, ir.DataType.BFLOAT16})


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
    def classes(self) -> int:
        """Of the logits."""
        shape = self.model.graph.outputs[0].shape
        assert shape is not None
        return int(shape.numpy()[1])


def canonicalize(model: ir.Model, clip: ClipInput, batch: int, evaluate: Evaluate) -> Canonical:
    """The canonical graph of ``batch`` clips; that of one clip is compared with the file's.

    Args:
        model: as it was read, with one input and one output.
        clip: what the input holds.
        batch: N.
        evaluate: runs graphs, such as `edgevid.targets.onnxruntime.evaluate`.

    Raises:
        GraphError: the graph is not supported, does not hold for this batch, or its exporter
            folded an activation to a constant.
        ConfigError: the shifts are of clips of another number of frames.
        VerificationError: the rewritten graph computes something else than the file's.
    """
    try:
        standard = standardize(model, {clip.name: clip.shape(batch)})
        diagnose(standard)
        found = find_shift(with_frames(standard, clip), evaluate, segments=clip.segments)
        _check_segments(model, clip, found.model, batch)
        logits = with_logits(found.model, clip.segments)
    except GraphError as error:
        if batch == 1:
            raise
        raise GraphError(
            f"for a batch of {batch}: {error.what}",
            where=error.where,
            fix="compile batch 1, or export a network whose code takes N from the shape of its input",
        ) from error
    if batch == 1:
        _check_same(model, clip, found.model, evaluate)
    return Canonical(logits.model, found.candidates, logits.averaged, logits.softmax)


def _check_segments(model: ir.Model, clip: ClipInput, found: ir.Model, batch: int) -> None:
    for node in shift_nodes(found):
        spec, value = spec_of(node), node.inputs[0]
        assert value is not None
        assert value.shape is not None
        # Behind a pooling over time there are fewer frames, and T of a shift is smaller by right.
        stacked = spec.layout is Layout.FRAMES and value.shape[0] == batch * clip.segments
        if stacked and any(move.dt for move in spec.moves) and spec.segments != clip.segments:
            raise ConfigError(
                f"clips of {clip.segments} frames, but the shift {node.name} is of {spec.segments}",
                where=place(model),
                fix=f"give --segments {spec.segments}; a file that is fixed to several clips "
                "has to be exported with a dynamic batch, or for one clip",
            )


def _check_same(model: ir.Model, clip: ClipInput, found: ir.Model, evaluate: Evaluate) -> None:
    """Raise unless the rewritten graph computes what the file does, on one clip of noise."""
    kind = model.graph.inputs[0].dtype
    if kind is None or kind is ir.DataType.BFLOAT16:
        return  # ONNX Runtime takes no such input on a CPU
    shape = (1, clip.segments, 3, clip.size, clip.size)
    frames = np.random.default_rng(_SEED).standard_normal(shape, np.float32)
    ordered = frames.swapaxes(1, 2) if clip.layout is ClipLayout.VOLUME else frames
    feed = np.ascontiguousarray(ordered).reshape(clip.shape(1)).astype(kind.numpy())
    wanted, got = evaluate(model, {clip.name: feed})[0], evaluate(found, {"frames": frames})[0]
    tensors = [value.const_value for value in model.graph.initializers.values()]
    halves = _HALVES & {kind, *(tensor.dtype for tensor in tensors if tensor is not None)}
    classes = wanted.shape[-1]
    difference = compare(wanted.reshape(-1, classes).astype(np.float32), got.reshape(-1, classes))
    if not difference.within("fp16" if halves else "fp32"):
        raise VerificationError(
            f"the graph that was made of the file computes something else: {difference}",
            where=place(model),
            fix="compile the checkpoint instead, and report the file",
        )
