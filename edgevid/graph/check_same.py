"""Compare the graph that was made of a foreign file with the file's own, in numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgevid.errors import GraphError, TargetError, VerificationError
from edgevid.graph.clip_input import ClipInput, ClipLayout
from edgevid.graph.diagnose import constant_output
from edgevid.graph.place import place
from edgevid.graph.probe import Evaluate
from edgevid.graph.verify import compare
from edgevid.graph.widen import widen

__all__ = ["check_same"]

_SEED = 3
_HALVES = frozenset({ir.DataType.FLOAT16, ir.DataType.BFLOAT16})


def check_same(model: ir.Model, clip: ClipInput, found: ir.Model, evaluate: Evaluate) -> None:
    """Raise unless a rewritten graph computes what the file does, and that depends on the clip.

    Args:
        model: as it was read, with one output.
        clip: what its input holds.
        found: made of it, from ``frames`` ``[1, T, 3, H, W]``.
        evaluate: runs graphs.

    Raises:
        GraphError: the file's graph cannot be run, yields NaN or infinite numbers, or the same
            for two clips, bit for bit.
        VerificationError: the rewritten graph computes something else.
    """
    random = np.random.default_rng(_SEED)
    shape = (1, clip.segments, 3, clip.size, clip.size)
    noise = random.standard_normal(shape, np.float32)
    # What is lost on small numbers shows on large ones: the file may normalize pixels itself.
    pixels = random.integers(0, 256, shape).astype(np.float32)
    wanted, other = (_own(model, clip, frames, evaluate) for frames in (noise, pixels))
    if not np.isfinite(wanted).all():
        raise GraphError(
            "the file's own graph yields NaN or infinite numbers for a clip of noise",
            where=place(model),
            fix="take an earlier checkpoint if training has diverged; export halves in float32",
        )
    if np.array_equal(wanted, other):
        raise constant_output(model, model.graph.outputs[0])
    try:
        got = evaluate(found, {"frames": noise})[0]
    except TargetError as error:
        raise _cannot_run(model, error) from error
    classes = wanted.shape[-1]
    difference = compare(wanted.reshape(-1, classes).astype(np.float32), got.reshape(-1, classes))
    if not difference.within("fp16" if _has_halves(model) else "fp32"):
        raise VerificationError(
            f"the graph that was made of the file computes something else: {difference}",
            where=place(model),
            fix="compile the checkpoint instead, and report the file",
        )


def _own(model: ir.Model, clip: ClipInput, frames: NDArray[np.float32], evaluate: Evaluate) -> NDArray[Any]:
    """What the file's graph computes; in float32 where the runtime has no other type for it."""
    kind = model.graph.inputs[0].dtype
    assert kind is not None
    ordered = frames.swapaxes(1, 2) if clip.layout is ClipLayout.VOLUME else frames
    feed = np.ascontiguousarray(ordered).reshape(clip.shape(1))
    try:
        return evaluate(model, {clip.name: feed.astype(kind.numpy())})[0]
    except TargetError as error:
        wide = model.clone()
        widen(wide)
        try:
            return evaluate(wide, {clip.name: feed})[0]
        except TargetError:
            raise _cannot_run(model, error) from error


def _cannot_run(model: ir.Model, error: TargetError) -> GraphError:
    return GraphError(
        error.what.strip().splitlines()[0],
        where=place(model),
        fix="export the network again without this operation or type, or give edgevid the checkpoint itself",
    )


def _has_halves(model: ir.Model) -> bool:
    tensors = [value.const_value for value in model.graph.initializers.values()]
    kinds = {model.graph.inputs[0].dtype, *(tensor.dtype for tensor in tensors if tensor is not None)}
    return bool(_HALVES & kinds)
