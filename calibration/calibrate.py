"""Ranges of a network's tensors, from clips that it looks at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from time import monotonic

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

import edgevid
from edgevid.calibration.clips import choose
from edgevid.calibration.data import Data, Sample, check_labels
from edgevid.calibration.finite import check_activations, check_weights, not_finite
from edgevid.calibration.inference import Progress
from edgevid.calibration.methods import entropy_bound, mse_bound, percentile_bound
from edgevid.calibration.observations import Observations
from edgevid.calibration.observed_graph import observe
from edgevid.calibration.points import points as points_of
from edgevid.calibration.table import ClipRecord, Method, Range, Table, find_method, names_hash
from edgevid.errors import ConfigError, VideoError
from edgevid.graph.graph_hash import graph_hash
from edgevid.targets._install import installed_version
from edgevid.targets.onnxruntime import observer

__all__ = ["PERCENTILE", "STRIDE", "calibrate", "partial_of"]

PERCENTILE = 99.99
STRIDE = 2
"""Of the rows and columns that histograms count. With 2 the border has its true share of even sizes."""

_WITHOUT_HISTOGRAMS = frozenset({"minmax", "average"})
_SECONDS = 5.0
"""Between two writings of what was seen so far."""


def calibrate(
    graph: ir.Model,
    data: Data,
    *,
    method: Method = "minmax",
    percentile: float = PERCENTILE,
    count: int | None = None,
    points: Sequence[str] | None = None,
    stride: int = STRIDE,
    threads: int | None = None,
    equalized: bool = False,
    partial: Path | None = None,
    progress: Progress | None = None,
) -> Table:
    """Run the float network once over the clips and choose a bound for every tensor.

    The result depends neither on the batch of the graph nor on the threads. Memory does not grow
    with the clips. An interrupted run is taken up after its last finished batch.

    Args:
        graph: canonical, as `edgevid.graph.prelude.with_uint8_clips` returns it; its batch is
            how many clips are looked at in one call.
        data: clips, as `edgevid.calibration.clips` opens them; of several views of a video the
            first counts.
        method: ``minmax``: the largest magnitude; ``average``: the same, extremes averaged over
            clips; ``percentile``, ``entropy``, ``mse``: see `edgevid.calibration.methods`.
        percentile: of the method of this name.
        count: how many clips are enough, spread over the classes; all by default.
        points: names of the tensors, `edgevid.calibration.points.points` by default.
        stride: of the rows and columns that histograms count, 1 to 4.
        threads: of ONNX Runtime.
        equalized: the graph is one that `edgevid.calibration.equalize.equalize` made, which the table says.
        partial: where the run is written down, so that it can be taken up; it is not if not given. Whoever
            keeps the table removes it then.
        progress: is told the number of clips.

    Raises:
        ConfigError: an unknown method, no clips, clips of another shape than the graph takes, or
            a label beyond its classes.
        VideoError: no clip can be read.
        GraphError: a weight is not finite, or a logit, a value that has a range, or anything at all in
            the first batch; the layer is named. What is cut by a Clip in a later batch is not found.
    """
    _check(method, percentile, stride, count)
    classes = graph.graph.outputs[0].shape
    if classes is not None and isinstance(classes[-1], int):
        check_labels(data, classes[-1])
    check_weights(graph)
    data = choose(data, count)
    names = tuple(points_of(graph) if points is None else points)
    with_histograms = method not in _WITHOUT_HISTOGRAMS
    hashed = graph_hash(graph)
    runtime = f"onnxruntime {installed_version('onnxruntime')}"
    settings = [edgevid.__version__, runtime, hashed, names, with_histograms and stride, count, data.sha256]
    key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()
    seen = (Observations.load(partial, key) if partial else None) or Observations.of(
        len(names), histograms=with_histograms
    )
    total = min(len(data.labels), count or len(data.labels))
    collector = _Collector(graph, names, stride if with_histograms else None, threads, seen)
    saved = monotonic()
    try:
        with closing(data.read(seen.seen)) as reading:
            for sample in reading:
                if len(seen.clips) + collector.waiting == total:
                    break
                collector.add(sample)
                if progress:
                    progress("calibrating", len(seen.clips), total)
                if partial and monotonic() - saved > _SECONDS:
                    seen.save(partial, key)
                    saved = monotonic()
        collector.finish()
    except BaseException:
        # An interrupt may come between two counts of one clip; what was saved before then stands.
        if partial and seen.seen and collector.whole:
            seen.save(partial, key)
        raise
    if not seen.clips:
        raise _no_clips(data, seen)
    if partial:
        seen.save(partial, key)
    return Table(
        edgevid=edgevid.__version__,
        runtime=runtime,
        graph_sha256=hashed,
        method=method,
        percentile=percentile if method == "percentile" else None,
        stride=stride if with_histograms else None,
        equalized=equalized,
        clips=tuple(seen.clips),
        skipped=seen.skipped,
        tensors=dict(zip(names, _ranges(seen, method, percentile), strict=True)),
        tensors_sha256=names_hash(names),
    )


def partial_of(output: Path) -> Path:
    """Where a run that will write ``output`` is written down when it is interrupted."""
    return output.with_name(f"{output.name}.partial")


class _Collector:
    """Puts clips together to batches, runs them, and counts what is seen."""

    def __init__(
        self,
        graph: ir.Model,
        points: Sequence[str],
        stride: int | None,
        threads: int | None,
        seen: Observations,
    ) -> None:
        self._graph, self._seen, self._points = graph, seen, points
        self._observed = observe(graph, points, stride)
        self._run = observer(self._observed.model, threads=threads)
        self._own = len(graph.graph.outputs)
        clips = graph.graph.inputs[0]
        assert clips.shape is not None
        self._name, self._shape = str(clips.name), tuple(clips.shape[1:])
        self._videos: list[Sample] = []
        self._first = True
        self.whole = True
        """Is every clip that was seen counted in full?"""

    @property
    def waiting(self) -> int:
        """Clips that are not run yet."""
        return len(self._clips)

    def add(self, sample: Sample) -> None:
        if not isinstance(sample.clips, VideoError) and sample.clips.shape[1:] != self._shape:
            raise ConfigError(
                f"the clip is {list(sample.clips.shape[1:])}, the network takes {list(self._shape)}",
                where=sample.name,
                fix="sample and crop the videos as this network wants them",
            )
        self._videos.append(sample)
        if self.waiting == self._observed.batch:
            self.finish()

    def finish(self) -> None:
        """Run what waits; a batch that is not full is filled with its last clip, which counts once."""
        clips = self._clips
        found, samples = None, []
        if clips:
            full = [*clips, *[clips[-1]] * (self._observed.batch - len(clips))]
            pixels = np.stack([sample.clips[0] for sample in full])  # type: ignore[index]
            if self._first:
                check_activations(self._graph, pixels, ", ".join(sample.name for sample in clips))
                self._first = False
            outputs = self._run({self._name: pixels})
            found = self._observed.extremes(outputs[self._own :])
            # Convolutions hand on what is not finite; a Clip, or a ReLU below zero, hides it.
            finite = (np.isfinite(found.low) & np.isfinite(found.high)).all(axis=1)
            for logits in outputs[: self._own]:
                finite &= np.isfinite(logits.reshape(len(full), -1)).all(axis=1)
            if not finite.all():
                name = full[int(np.argmin(finite))].name
                raise not_finite(self._graph, pixels, name)
            samples = self._observed.samples(outputs[self._own :], len(clips))
        self.whole = False
        if found:
            self._seen.add(found, samples, len(clips))
        for sample in self._videos:
            if isinstance(sample.clips, VideoError):
                self._seen.skipped[sample.name] = str(sample.clips)
            else:
                self._seen.clips.append(_record(sample.name, sample.label, sample.clips[0]))
        self._seen.seen += len(self._videos)
        self._videos.clear()
        self.whole = True

    @property
    def _clips(self) -> list[Sample]:
        return [sample for sample in self._videos if not isinstance(sample.clips, VideoError)]


def _record(name: str, label: int | None, clip: NDArray[np.uint8]) -> ClipRecord:
    digest = hashlib.sha256(clip.tobytes()).hexdigest()
    return ClipRecord(name=name, label=label, sha256=digest, plain=bool((clip == clip[0, 0, 0]).all()))


def _ranges(seen: Observations, method: Method, percentile: float) -> list[Range]:
    largest, ranges = seen.largest, []
    averaged = np.maximum(np.abs(seen.low_sum), np.abs(seen.high_sum)) / len(seen.clips)
    for place, most in enumerate(largest.tolist()):
        threshold, digest = most, ""
        if method == "average":
            # Of clips that are constant and opposite the means cancel.
            threshold = float(averaged[place]) or most
        elif seen.histograms:
            histogram = seen.histograms[place]
            digest = histogram.digest
            if method == "percentile":
                threshold = percentile_bound(histogram, most, percentile)
            elif most:
                threshold = (entropy_bound if method == "entropy" else mse_bound)(histogram, most)
        ranges.append(
            Range(
                amin=float(seen.low[place]),
                amax=float(seen.high[place]),
                threshold=threshold,
                digest=digest,
                constant=bool(seen.low_peak[place] == seen.high[place]),
                zero=most == 0,
            )
        )
    return ranges


def _check(method: str, percentile: float, stride: int, count: int | None) -> None:
    find_method(method)
    if not 0 < percentile <= 100:
        raise ConfigError(f"a percentile of {percentile:g}", where="--percentile", fix="give it up to 100")
    if not 1 <= stride <= 4:
        raise ConfigError(f"a stride of {stride}", where="stride", fix="give 1 to 4")
    if count is not None and count < 1:
        raise ConfigError(f"{count} clips", where="--clips", fix="give at least 1")


def _no_clips(data: Data, seen: Observations) -> ConfigError | VideoError:
    if not seen.skipped:
        return ConfigError(
            "there are no clips to calibrate with", where=data.source, fix="give videos, or a list of them"
        )
    first, why = next(iter(seen.skipped.items()))
    return VideoError(
        f"none of {len(seen.skipped)} videos can be read; the first: {why.splitlines()[0]}",
        where=first,
        fix="give other videos",
    )
