"""The int8 part of the journey: ranges, the quantized graph, and the proof that it was kept.

A runtime that takes Q/DQ pairs may still compute something else of them, silently, or leave
layers in float. So what it computes is held to ONNX Runtime's result for the same graph,
operation by operation, and its layers are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edgevid.calibration.points import layers_named, points
from edgevid.calibration.table import Method, Table, check_graph, load_table
from edgevid.contract import Layer, Scheme, Session
from edgevid.errors import ConfigError
from edgevid.graph.verify import Check, Expectation, compare, run_all
from edgevid.manifest import LayerRecord, QuantizationRecord

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgevid.calibration.data import Data
    from edgevid.calibration.inference import Progress
    from edgevid.source import Source

__all__ = [
    "TABLE",
    "Int8",
    "kept_in_float",
    "layer_records",
    "quantization_record",
    "quantized",
    "same_as_graph",
    "table_for",
]

TABLE = "calibration.json"
"""Where a bundle keeps the ranges that it was made with."""

SAME_SQNR = 20.0
"""dB between a runtime and ONNX Runtime on one int8 graph. They round at other places; what was
seen to be computed wrongly is below 15 dB."""


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
        progress: is told the number of clips.
    """

    calibration: Path | Table | Data
    method: Method = "minmax"
    clips: int = 300
    float_layers: Mapping[str, str] = field(default_factory=dict)
    progress: Progress | None = None


def table_for(request: Int8, graph: ir.Model, source: Source) -> Table:
    """The ranges of a canonical float graph of one clip.

    Raises:
        ConfigError: the table is damaged or of another network; the data do not fit.
        VideoError: no clip can be read.
        GraphError: an activation is not finite.
    """
    from edgevid.calibration.calibrate import calibrate

    given = request.calibration
    if isinstance(given, Path) and given.suffix.lower() == ".json":
        table = load_table(given)
        check_graph(table, graph, given)
        return table
    if isinstance(given, Table):
        check_graph(given, graph, "the given table")
        return given
    if isinstance(given, Path):
        from edgevid.calibration.open_data import open_videos

        given = open_videos(given, source.sampling, labels=source.labels)
    return calibrate(graph, given, method=request.method, count=request.clips, progress=request.progress)


def quantized(graph: ir.Model, table: Table, scheme: Scheme, float_layers: Mapping[str, str]) -> ir.Model:
    """A canonical float graph of any batch in int8.

    Raises:
        ConfigError: the table is of another network.
        GraphError: an unknown float layer.
    """
    from edgevid.calibration.quantize import quantize

    check_graph(table, graph)
    names = points(graph)
    if len(names) != len(table.tensors):
        raise ConfigError(
            f"the table has {len(table.tensors)} ranges, the network needs {len(names)}",
            fix="calibrate again with this version of edgevid",
        )
    # Exporters number tensors anew for every batch; their order stays.
    thresholds = dict(zip(names, table.thresholds.values(), strict=True))
    return quantize(graph, thresholds, scheme, float_layers=tuple(float_layers))


def kept_in_float(graph: ir.Model, request: Int8) -> dict[str, str]:
    """Name of each layer that stays in float to the reason.

    Raises:
        GraphError: the request names a layer that there is not.
    """
    named = layers_named(graph, request.float_layers)
    return {name: request.float_layers[word] for name, word in named.items()}


def same_as_graph(
    session: Session,
    graph: ir.Model,
    expected: Sequence[Expectation],
    open_simulation: Callable[[ir.Model], Session],
) -> Check:
    """Does a session compute what ONNX Runtime makes of the quantized graph?"""
    worst = None
    with open_simulation(graph) as simulation:
        for part in expected:
            difference = compare(run_all(session, part.clips), run_all(simulation, part.clips))
            if worst is None or difference.sqnr < worst.sqnr:
                worst = difference
    assert worst is not None
    return Check(
        "onnxruntime computes the same from the int8 graph",
        worst.sqnr >= SAME_SQNR,
        f"SQNR {worst.sqnr:.1f} dB, at least {SAME_SQNR:.0f} dB is wanted; {worst}",
    )


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


def quantization_record(table: Table, scheme: Scheme, float_layers: Mapping[str, str]) -> QuantizationRecord:
    """What the manifest says of it."""
    return QuantizationRecord(
        method=table.method,
        clips=len(table.clips),
        graph_sha256=table.graph_sha256,
        table=TABLE,
        scheme=asdict(scheme),
        float_layers=dict(float_layers),
        warnings=list(table.warnings),
    )
