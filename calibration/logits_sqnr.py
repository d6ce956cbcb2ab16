"""How far a variant of a network is from the network itself, at the logits."""

from __future__ import annotations

import onnx_ir as ir

from edgevid.calibration.chunks import batch_of, chunks, clip_shape, filled
from edgevid.calibration.data import Data
from edgevid.calibration.tallies import Tallies
from edgevid.targets.onnxruntime import observer

__all__ = ["logits_sqnr"]


def logits_sqnr(
    reference: ir.Model, variant: ir.Model, data: Data, *, count: int | None = None
) -> float | None:
    """Signal to quantization noise of the logits in dB over some clips; None if they are the same.

    Args:
        reference: canonical float graph.
        variant: of the same batch; Q/DQ pairs are computed operation by operation.
        data: clips.
        count: how many clips are enough, spread over the classes; all by default.

    Raises:
        ConfigError: a clip of another shape.
        VideoError: no clip can be read.
    """
    tallies, batch = Tallies.of(1), batch_of(reference)
    first, second = observer(reference), observer(variant)
    for chunk in chunks(data, clip_shape(reference), batch, count=count):
        ((clips, counted),) = filled(chunk.clips, batch)
        (wanted, found) = (
            run({str(model.graph.inputs[0].name): clips})[0][:counted]
            for run, model in ((first, reference), (second, variant))
        )
        tallies.add(0, wanted, found, chunk.labels)
        tallies.finish(wanted, chunk)
    return tallies.effect(0).sqnr
