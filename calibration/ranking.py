"""The layers of a network by what int8 costs at each of them; plots and reports are made from this alone.

Shares are from 0 to 1; drops are float minus int8, so that a loss is positive.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgevid.calibration.statistics import Estimate, Paired
from edgevid.disk import write_text
from edgevid.errors import ConfigError

__all__ = ["Effect", "LayerEffect", "Ranking", "load_ranking", "save_ranking"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Effect(_Record):
    """What some int8 does to the answers of a float network.

    Attributes:
        sqnr: of the logits in dB; None where they are the same.
        agreement: share of clips with the same first answer.
        top1: first answers right in float and in int8; None without labels.
    """

    sqnr: float | None
    agreement: Estimate
    top1: Paired | None

    @property
    def decibels(self) -> float:
        """`sqnr`, infinite for the same logits."""
        return math.inf if self.sqnr is None else self.sqnr


class LayerEffect(_Record):
    """One layer alone in int8; ``weight`` names its parameter."""

    name: str
    kind: Literal["Conv", "Dense"]
    weight: str
    effect: Effect


class Ranking(_Record):
    """All layers, the most sensitive first.

    Attributes:
        edgevid: version that wrote it.
        runtime: that ran the network.
        command: that was given.
        graph_sha256: of `edgevid.graph.graph_hash.graph_hash`.
        scheme: of the int8 graphs.
        source: where the clips are.
        data_sha256: of them.
        clips: that were looked at.
        labelled: those of them whose class is known.
        skipped: videos that could not be read, and why.
        top1: of the float network; None without labels.
        layers: by SQNR.
        rest: additions, maxima and means in int8, and every layer in float.
        everything: all of the network in int8.
    """

    schema_version: Literal[1] = 1
    edgevid: str
    runtime: str
    command: tuple[str, ...]
    graph_sha256: str
    scheme: Mapping[str, Any]
    source: str
    data_sha256: str
    clips: int = Field(ge=1)
    labelled: int = Field(ge=0)
    skipped: Mapping[str, str]
    top1: Estimate | None
    layers: tuple[LayerEffect, ...]
    rest: Effect
    everything: Effect

    @property
    def decibels(self) -> dict[str, float]:
        """SQNR at the logits by the layer's name, infinite where nothing changes."""
        return {layer.name: layer.effect.decibels for layer in self.layers}


def save_ranking(ranking: Ranking, path: Path) -> None:
    """Write it as JSON, whole or not at all.

    Raises:
        ConfigError: the folder is missing or cannot be written.
    """
    write_text(path, ranking.model_dump_json(indent=1) + "\n")


def load_ranking(path: Path) -> Ranking:
    """Read what `save_ranking` wrote.

    Raises:
        ConfigError: the file cannot be read or is damaged.
    """
    try:
        return Ranking.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"the ranking of layers cannot be read: {error.strerror or error}",
            where=path,
            fix="check the path",
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"the ranking of layers is damaged: {first['msg']}",
            where=f"{path}, {key}" if key else path,
            fix="take the file that `edgevid sensitivity` wrote",
        ) from error
