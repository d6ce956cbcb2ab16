"""What makes an int8 network of a float one: ranges, passes, and which layers stay in float.

It is found once, on the graph of one clip, and applied to the graph of every batch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgevid.calibration.bias_correction import Corrections, bias_corrections
from edgevid.calibration.chunks import chunks, clip_shape
from edgevid.calibration.data import Data
from edgevid.calibration.equalize import equalize
from edgevid.calibration.mixed import Mixed, float_layers_within
from edgevid.calibration.sensitivity import sensitivity
from edgevid.calibration.table import Table
from edgevid.contract import Scheme, Session
from edgevid.errors import ConfigError
from edgevid.int8 import (
    TABLE,
    Int8,
    clip_notes,
    kept_in_float,
    opened,
    quantized,
    table_for,
    thresholds_for,
)
from edgevid.manifest import DropRecord, PassRecord, QuantizationRecord
from edgevid.pass_effect import EFFECT_CLIPS, measured
from edgevid.source import Say, Source

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["Recipe", "find_recipe"]

Open = Callable[["ir.Model"], AbstractContextManager[Session]]

_EQUALIZED, _CORRECTED = "cross-layer equalization", "bias correction"

JUDGED_CLIPS = 8
"""Clips that must be close to float in every compile."""

RANKING_CLIPS = 32
"""Clips that layers are ranked on: on the demonstration their order has a rank correlation of 0.98 with
that on 256."""


@dataclass(frozen=True)
class Recipe:
    """How a canonical float graph becomes int8.

    Attributes:
        table: of the ranges, after equalization.
        scheme: of the target.
        equalized: channels were equalized first.
        corrections: of the biases.
        float_layers: name of each layer that stays in float to the reason.
        passes: what was done, with its effect.
        drop: of top-1 on labelled videos; None if none was asked for.
        clips: some that were calibrated with, or else some of the labelled ones; None without either.
    """

    table: Table
    scheme: Scheme
    equalized: bool = False
    corrections: Corrections = field(default_factory=dict)
    float_layers: Mapping[str, str] = field(default_factory=dict)
    passes: tuple[PassRecord, ...] = ()
    drop: DropRecord | None = None
    clips: NDArray[np.uint8] | None = None

    def apply(self, graph: ir.Model) -> ir.Model:
        """The int8 form of a canonical float graph of any batch, as `edgevid.int8.quantized` writes it.

        Raises:
            ConfigError: the table is of another network.
        """
        graph = equalize(graph) if self.equalized else graph
        return quantized(graph, self.table, self.scheme, self.float_layers, self.corrections)

    def record(self) -> QuantizationRecord:
        """What the manifest says of it."""
        return QuantizationRecord(
            method=self.table.method,
            clips=len(self.table.clips),
            graph_sha256=self.table.graph_sha256,
            table=TABLE,
            scheme=asdict(self.scheme),
            float_layers=dict(self.float_layers),
            warnings=list(self.table.warnings),
            passes=list(self.passes),
            drop=self.drop,
        )


def find_recipe(
    request: Int8,
    graph: ir.Model,
    source: Source,
    scheme: Scheme,
    *,
    open_float: Open,
    open_int8: Open,
    measured_with: str,
    say: Say = lambda _: None,
) -> Recipe:
    """Calibrate, do the passes that were asked for, and return layers to float until the drop is allowed.

    Args:
        request: what is asked for.
        graph: canonical, of one clip.
        source: of the network.
        scheme: of the target.
        open_float: opens the reference.
        open_int8: opens a quantized graph as the target would run it.
        measured_with: what ``open_int8`` uses, in words.
        say: is told each step.

    Raises:
        ConfigError: a damaged table or one of another network; data that do not fit; no labels.
        VideoError: no clip can be read.
        GraphError: an activation is not finite; an unknown float layer; nothing to equalize.
        VerificationError: the drop is above the limit with every layer in float.
    """
    frames = {"frame_template": request.frame_template}
    clips = None if request.has_table else opened(request.calibration, source, **frames)  # type: ignore[arg-type]
    labelled = None if request.data is None else opened(request.data, source, **frames)
    kept = kept_in_float(graph, request, scheme)
    say("finding the ranges of the network's tensors")
    if request.equalize:
        recipe = _equalized(request, graph, scheme, clips, kept, say)
    else:
        recipe = Recipe(table_for(request, graph, clips), scheme, float_layers=kept)
    recipe = replace(recipe, table=recipe.table.model_copy(update={"notes": clip_notes(clips, source)}))
    if request.correct_biases:
        assert clips is not None
        recipe = _corrected(recipe, graph, clips, request, say)
    if labelled is not None and request.max_drop is not None:
        recipe = _within(recipe, graph, labelled, request, open_float, open_int8, measured_with, say)
    return replace(recipe, clips=_some_of(labelled if clips is None else clips, graph))


def _some_of(data: Data | None, graph: ir.Model) -> NDArray[np.uint8] | None:
    if data is None:
        return None
    return next(chunks(data, clip_shape(graph), JUDGED_CLIPS, count=JUDGED_CLIPS)).clips


def _equalized(
    request: Int8,
    graph: ir.Model,
    scheme: Scheme,
    clips: Data | None,
    kept: Mapping[str, str],
    say: Say,
) -> Recipe:
    after = equalize(graph)
    if clips is None:
        _refuse_table_of(graph, request)
        unmeasured = PassRecord(name=_EQUALIZED, sqnr_before=None, sqnr_after=None, clips=0)
        return Recipe(table_for(request, after, None), scheme, True, {}, kept, (unmeasured,))
    before = Recipe(table_for(request, graph, clips), scheme, float_layers=kept)
    say("finding the ranges again, of equalized channels")
    recipe = replace(before, table=table_for(request, after, clips, equalized=True), equalized=True)
    effect = measured(_EQUALIZED, graph, before.apply(graph), recipe.apply(graph), clips)
    return replace(recipe, passes=(effect,))


def _corrected(recipe: Recipe, graph: ir.Model, clips: Data, request: Int8, say: Say) -> Recipe:
    say("correcting biases")
    calibrated = equalize(graph) if recipe.equalized else graph
    corrections = bias_corrections(
        calibrated,
        thresholds_for(calibrated, recipe.table),
        recipe.scheme,
        clips,
        float_layers=tuple(recipe.float_layers),
        count=EFFECT_CLIPS,
        progress=request.progress,
    )
    corrected = replace(recipe, corrections=corrections)
    effect = measured(
        _CORRECTED, graph, recipe.apply(graph), corrected.apply(graph), clips, fitted=EFFECT_CLIPS
    )
    return replace(corrected, passes=(*recipe.passes, effect))


def _within(
    recipe: Recipe,
    graph: ir.Model,
    labelled: Data,
    request: Int8,
    open_float: Open,
    open_int8: Open,
    measured_with: str,
    say: Say,
) -> Recipe:
    """The recipe with the fewest of the most sensitive layers in float that hold the drop of top-1."""
    assert request.max_drop is not None
    decibels: dict[str, float] = {}

    def rank() -> list[str]:
        say("ranking the layers by what each one alone costs")
        calibrated = equalize(graph) if recipe.equalized else graph
        found = sensitivity(
            calibrated,
            thresholds_for(calibrated, recipe.table),
            recipe.scheme,
            labelled,
            count=RANKING_CLIPS,
            progress=request.progress,
        )
        decibels.update(found.decibels)
        return [name for name in decibels if name not in recipe.float_layers]

    def with_float(names: Collection[str]) -> Recipe:
        reasons = {name: _reason(name, decibels) for name in names}
        return replace(recipe, float_layers={**recipe.float_layers, **reasons})

    say("measuring top-1 in float and in int8")
    with open_float(graph) as reference:
        found = float_layers_within(
            request.max_drop,
            reference,
            lambda names: open_int8(with_float(names).apply(graph)),
            rank,
            labelled,
            request.progress,
        )
    drop = _drop_record(found, request.max_drop, labelled.source, measured_with)
    return replace(with_float(found.layers), drop=drop)


def _reason(name: str, decibels: Mapping[str, float]) -> str:
    place = 1 + list(decibels).index(name)
    return (
        f"returned to float by --max-drop: number {place} of {len(decibels)} by the error that it alone "
        f"adds (SQNR {decibels[name]:.1f} dB at the logits)"
    )


def _drop_record(found: Mixed, limit: float, source: str, measured_with: str) -> DropRecord:
    top1 = found.top1
    return DropRecord(
        limit=limit,
        drop=top1.drop.value,
        low=top1.drop.low,
        high=top1.drop.high,
        lost=top1.lost,
        gained=top1.gained,
        videos=top1.count,
        data=source,
        measured_with=measured_with,
        trials=[(trial.float_layers, trial.top1.drop.value) for trial in found.trials],
        verdict=found.verdict,
        remark=found.remark,
    )


def _refuse_table_of(graph: ir.Model, request: Int8) -> None:
    """Raise if the given table is of the network as it is before equalization."""
    fits = False
    with suppress(ConfigError):
        table_for(request, graph, None)
        fits = True
    if fits:
        raise ConfigError(
            "the calibration table is of the network before equalization",
            where="--equalize",
            fix="give clips instead, or the table that such a compile left in its bundle",
        )
