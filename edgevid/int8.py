"""The int8 part of the journey: what is asked for, ranges, the quantized graph, and its layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevid.calibration.points import layers_named, points
from edgevid.calibration.table import Method, Table, check_graph, load_table
from edgevid.contract import Layer, Scheme
from edgevid.errors import ConfigError
from edgevid.manifest import LayerRecord

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgevid.calibration.bias_correction import Corrections
    from edgevid.calibration.data import Data
    from edgevid.calibration.inference import Progress
    from edgevid.source import Source

__all__ = [
    "TABLE",
    "Int8",
    "clip_notes",
    "is_table",
    "kept_in_float",
    "layer_records",
    "opened",
    "partial_of",
    "quantized",
    "remove_partial",
    "table_for",
    "thresholds_for",
]

_DEPTHWISE = "depthwise: the runtime would expand it to a dense convolution in int8"
_GATE = "a gate: its results are only weights of others, and cheap"

TABLE = "calibration.json"
"""Where a bundle keeps the ranges that it was made with."""


@dataclass(frozen=True)
class Int8:
    """What an int8 network is made of beside its checkpoint.

    Attributes:
        calibration: a table or its file (``.json``); or videos, a list of them, packed clips, or
            any other `edgevid.calibration.data.Data`.
        method: how bounds are chosen, where there is no table yet.
        clips: how many are enough.
        float_layers: layers that stay in float, and why; by name, or by a word for several, see
            `edgevid.calibration.points.layers_named`.
        max_drop: of top-1 against float, from 0 to 1; more layers go back to float until it holds.
        data: labelled videos, a list of them or packed clips that it holds on.
        equalize: like channels' ranges before calibration, see `edgevid.calibration.equalize`.
        correct_biases: by calibration clips, see `edgevid.calibration.bias_correction`.
        frame_template: names of the frames, where videos are folders of frames.
        partial: where calibration is written down, so that it can be taken up; it is not if not given.
            See `remove_partial`.
        progress: is told the number of clips.

    Raises:
        ConfigError: a drop without data or the reverse, one that is no share, or corrected biases
            with a table, which holds no clips.
    """

    calibration: Path | Table | Data
    method: Method = "minmax"
    clips: int = 300
    float_layers: Mapping[str, str] = field(default_factory=dict)
    max_drop: float | None = None
    data: Path | Data | None = None
    equalize: bool = False
    correct_biases: bool = False
    frame_template: str | None = None
    partial: Path | None = None
    progress: Progress | None = None

    def __post_init__(self) -> None:
        if (self.max_drop is None) != (self.data is None):
            given, missing = ("--data", "--max-drop") if self.max_drop is None else ("--max-drop", "--data")
            raise ConfigError(
                f"{given} without {missing}",
                where=given,
                fix="give labelled videos, and the points of top-1 that may be lost on them",
            )
        if self.max_drop is not None and not 0 <= self.max_drop < 1:
            raise ConfigError(
                f"a drop of {100 * self.max_drop:g} points", where="--max-drop", fix="give 0 to 99"
            )
        if self.correct_biases and self.has_table:
            raise ConfigError(
                "biases are corrected by clips, and a table holds none",
                where="--correct-bias",
                fix="give --calibration videos, a list of them or packed clips",
            )

    @property
    def has_table(self) -> bool:
        """Ranges are given, and no clips."""
        return is_table(self.calibration)


def is_table(given: object) -> bool:
    """Does ``--calibration`` name ranges, and no clips?"""
    return isinstance(given, Table) or (isinstance(given, Path) and given.suffix.lower() == ".json")


def partial_of(output: Path) -> Path:
    """Where calibration for a bundle is written down, in case that compiling is interrupted."""
    return output.with_name(f"{output.name}.calibration.partial")


def remove_partial(partial: Path) -> None:
    """Remove what calibration wrote down."""
    for file in (partial, _of_equalized(partial)):
        file.unlink(missing_ok=True)


def _of_equalized(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.equalized")


def opened(given: Path | Data, source: Source, **options: Any) -> Data:
    """Videos or packed clips, the videos sampled as the network wants them.

    Args:
        given: where they are; clips that are open already are returned.
        source: of the network.
        options: of `edgevid.calibration.open_data.open_videos`.

    Raises:
        VideoError: there are none.
    """
    from edgevid.calibration.open_data import open_videos

    if not isinstance(given, Path):
        return given
    return open_videos(given, source.sampling, labels=source.labels, **options)


def clip_notes(clips: Data | None, source: Source) -> tuple[str, ...]:
    """How packed clips differ from those that the network was trained with."""
    from edgevid.calibration.contestants import sampling_notes
    from edgevid.calibration.shards import Pack

    if not isinstance(clips, Pack):
        return ()
    # Of several views the first counts.
    wanted = replace(source.sampling, clips=clips.sampling.clips, crops=clips.sampling.crops)
    return tuple(sampling_notes("the network", wanted, clips.sampling))


def table_for(request: Int8, graph: ir.Model, clips: Data | None, *, equalized: bool = False) -> Table:
    """The ranges of a canonical float graph of one clip: those given, or what ``clips`` show.

    ``equalized`` says that `edgevid.calibration.equalize.equalize` made the graph.

    Raises:
        ConfigError: the table is damaged or of another network; the data do not fit.
        VideoError: no clip can be read.
        GraphError: an activation is not finite.
    """
    from edgevid.calibration.calibrate import calibrate

    if clips is not None:
        return calibrate(
            graph,
            clips,
            method=request.method,
            count=request.clips,
            equalized=equalized,
            partial=_of_equalized(request.partial) if request.partial and equalized else request.partial,
            progress=request.progress,
        )
    given = request.calibration
    table = load_table(given) if isinstance(given, Path) else given
    assert isinstance(table, Table)
    check_graph(table, graph, given if isinstance(given, Path) else "the given table")
    return table


def thresholds_for(graph: ir.Model, table: Table) -> dict[str, float]:
    """The table's bounds by the names of a canonical float graph of any batch.

    Raises:
        ConfigError: the table is of another network.
    """
    check_graph(table, graph)
    names = points(graph)
    if len(names) != len(table.tensors):
        raise ConfigError(
            f"the table has {len(table.tensors)} ranges, the network needs {len(names)}",
            fix="calibrate again with this version of edgevid",
        )
    # Exporters number tensors anew for every batch; their order stays.
    return dict(zip(names, table.thresholds.values(), strict=True))


def quantized(
    graph: ir.Model,
    table: Table,
    scheme: Scheme,
    float_layers: Mapping[str, str],
    corrections: Corrections | None = None,
) -> ir.Model:
    """A canonical float graph of any batch in int8.

    Args:
        graph: the one that was calibrated, of any batch.
        table: of its ranges.
        scheme: of the target.
        float_layers: names of layers that stay in float, and why.
        corrections: of the biases of the others.

    Raises:
        ConfigError: the table is of another network.
        GraphError: an unknown float layer.
    """
    from edgevid.calibration.bias_correction import with_corrected_biases
    from edgevid.calibration.quantize import quantize

    thresholds = thresholds_for(graph, table)
    wanted = {name: values for name, values in (corrections or {}).items() if name not in float_layers}
    return quantize(
        with_corrected_biases(graph, wanted), thresholds, scheme, float_layers=tuple(float_layers)
    )


def kept_in_float(graph: ir.Model, request: Int8, scheme: Scheme) -> dict[str, str]:
    """Name of each layer that stays in float to the reason.

    Raises:
        GraphError: the request names a layer that there is not.
    """
    words = {"gates": _GATE, **request.float_layers}
    if scheme.depthwise == "float":
        words.setdefault("depthwise", _DEPTHWISE)
    named = layers_named(graph, words)
    return {name: words[word] for name, word in named.items()}


def layer_records(layers: Sequence[Layer], float_layers: Mapping[str, str]) -> list[LayerRecord]:
    """Every layer with its precision, and for one in float the reason."""
    return [
        LayerRecord(
            **asdict(layer),
            reason=""
            if layer.precision == "int8"
            else float_layers.get(layer.name, "the runtime did not take its int8 form"),
        )
        for layer in layers
    ]
