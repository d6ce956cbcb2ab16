"""Which layers int8 hurts: the error at the logits that each one alone adds.

One layer at a time is in int8 and everything else in float, so that the errors of others neither hide
nor cause what is seen. What it computes is the Q/DQ graph, operation by operation, in ONNX Runtime.
"""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial as variant
from pathlib import Path
from typing import Literal

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

import edgevid
from edgevid.bench.own_command import own_command
from edgevid.calibration.chunks import Chunk, batch_of, chunks, clip_shape, filled
from edgevid.calibration.data import Data, check_labels
from edgevid.calibration.finite import not_finite
from edgevid.calibration.inference import Progress
from edgevid.calibration.points import edges, is_layer
from edgevid.calibration.quantize import quantize
from edgevid.calibration.ranking import LayerEffect, Ranking
from edgevid.calibration.tallies import Tallies
from edgevid.contract import Scheme
from edgevid.graph.graph_hash import graph_hash
from edgevid.targets._install import installed_version
from edgevid.targets.onnxruntime import observer

__all__ = ["sensitivity"]

_CHUNK_BYTES = 32e6
"""Of the clips that are held in memory while all layers look at them."""


def sensitivity(
    graph: ir.Model,
    thresholds: Mapping[str, float],
    scheme: Scheme,
    data: Data,
    *,
    count: int | None = None,
    threads: int | None = None,
    partial: Path | None = None,
    progress: Progress | None = None,
) -> Ranking:
    """Rank the layers of a network by the error that each one alone adds in int8.

    Float logits are computed once. Memory does not grow with the clips; an interrupted run is taken
    up after the last layer that was done.

    Args:
        graph: canonical, float32; its batch is how many clips are looked at in one call.
        thresholds: by the name of each of `edgevid.calibration.points.points`.
        scheme: of the target.
        data: clips; of several views of a video the first counts. Labels are not needed.
        count: how many clips are enough, spread over the classes; all by default.
        threads: of ONNX Runtime.
        partial: where the run is written down, so that it can be taken up; it is not if not given. Whoever
            keeps the ranking removes it then.
        progress: is told the number of clips times layers.

    Raises:
        ConfigError: a clip of another shape than the graph takes, or a label beyond its classes.
        VideoError: no clip can be read.
        GraphError: a tensor has no threshold, or an activation is not finite.
    """
    classes = graph.graph.outputs[0].shape
    if classes is not None and isinstance(classes[-1], int):
        check_labels(data, classes[-1])
    layers = [node for node in graph.graph if is_layer(node)]
    names = [str(node.name) for node in layers]
    hashed, runtime = graph_hash(graph), f"onnxruntime {installed_version('onnxruntime')}"
    shape, batch = clip_shape(graph), batch_of(graph)
    size = max(batch, int(_CHUNK_BYTES // np.prod(shape)) // batch * batch)
    settings = [edgevid.__version__, runtime, hashed, dict(thresholds), asdict(scheme), count, data.sha256]
    # A chunk of another size would hold other clips than those that some layers are done with.
    settings += [batch, size]
    key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()
    tallies = (Tallies.load(partial, key) if partial else None) or Tallies.of(len(names) + 2)
    quantized = variant(quantize, graph, thresholds, scheme)
    variants = [
        *(variant(quantized, only=(name,)) for name in names),
        variant(quantized, only={str(edge.node.name) for edge in edges(graph)} - set(names)),
        quantized,
    ]
    total = min(count or len(data.labels), len(data.labels)) * len(variants)

    def logits(model: ir.Model, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        run, name = observer(model, threads=threads), str(graph.graph.inputs[0].name)
        return np.concatenate([run({name: part})[0][:counted] for part, counted in filled(clips, batch)])

    for chunk in chunks(data, shape, size, count=count, start=tallies.videos, done=tallies.clips):
        reference = logits(graph, chunk.clips)
        _check(graph, chunk, reference, batch)
        for number in range(tallies.variants, len(variants)):
            tallies.add(number, reference, logits(variants[number](), chunk.clips), chunk.labels)
            if partial:
                tallies.save(partial, key)
            if progress:
                done = tallies.clips * len(variants) + (number + 1) * len(chunk.clips)
                progress("layer by layer", done, total)
        tallies.finish(reference, chunk)
        # Graphs refer to themselves, and weights are too few objects to make the collector hurry.
        gc.collect()
    *effects, rest, everything = (tallies.effect(number) for number in range(len(variants)))
    ranked = [
        LayerEffect(name=name, kind=_kind(node), weight=_weight(node), effect=effect)
        for name, node, effect in zip(names, layers, effects, strict=True)
    ]
    return Ranking(
        edgevid=edgevid.__version__,
        runtime=runtime,
        command=own_command(),
        graph_sha256=hashed,
        scheme=asdict(scheme),
        source=data.source,
        data_sha256=data.sha256,
        clips=tallies.clips,
        labelled=tallies.labelled,
        skipped=tallies.skipped,
        top1=tallies.top1,
        layers=tuple(sorted(ranked, key=lambda layer: layer.effect.decibels)),
        rest=rest,
        everything=everything,
    )


def _check(graph: ir.Model, chunk: Chunk, logits: NDArray[np.float32], batch: int) -> None:
    """Raise `GraphError` unless the float network's answers are finite; the layer is named."""
    finite = np.isfinite(logits).all(axis=1)
    if not finite.all():
        bad = int(np.argmin(finite))
        clips, _ = next(filled(chunk.clips[bad : bad + 1], batch))
        raise not_finite(graph, clips, chunk.names[bad])


def _kind(layer: ir.Node) -> Literal["Conv", "Dense"]:
    return "Conv" if layer.op_type == "Conv" else "Dense"


def _weight(layer: ir.Node) -> str:
    weight = layer.inputs[1]
    return "" if weight is None else str(weight.name)
