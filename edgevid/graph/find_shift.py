"""Find shifts in a foreign graph and write each as one ``edgevid::Shift``.

No spelling of any exporter is matched. Regions that can only move data (`edgevid.graph.movement`)
are run on numbered elements (`edgevid.graph.probe`), the largest first; a region that turns out
to be a shift is replaced, and what is not is left as it stands, with the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir
from onnx_ir.passes import common as passes

from edgevid.errors import EdgevidError, GraphError
from edgevid.graph.index_map import NOTHING_MOVES
from edgevid.graph.movement import Movements, static_sizes
from edgevid.graph.plain_shift import Writer
from edgevid.graph.probe import Evaluate, probe
from edgevid.graph.shift_op import DOMAIN, SHIFT, attach_functions, shift_nodes, spec_attributes, spec_of
from edgevid.shift import Layout, ShiftSpec

__all__ = ["Candidate", "Found", "find_shift"]


@dataclass(frozen=True)
class Candidate:
    """A region that might have been a shift.

    Attributes:
        where: the value that the region makes, and the node that makes it.
        spec: the shift that it is, and that stands there now; None if it is none.
        reason: what was found, or why it is no shift.
        nodes: how many operations it took, constants included.
    """

    where: str
    spec: ShiftSpec | None
    reason: str
    nodes: int


@dataclass(frozen=True)
class Found:
    """The canonical graph, and what became of every candidate in the order of the graph."""

    model: ir.Model
    candidates: tuple[Candidate, ...]

    @property
    def shifts(self) -> tuple[Candidate, ...]:
        """The candidates that are shifts."""
        return tuple(candidate for candidate in self.candidates if candidate.spec is not None)


def find_shift(model: ir.Model, evaluate: Evaluate, *, segments: int | None = None) -> Found:
    """A copy of ``model`` in which every shift is one operation.

    Requires:
        Opset 20, static shapes, nodes in topological order, such as `standardize` makes.

    Ensures:
        Every output is computed as before. Each replaced region was run, and was equal to its
        shift on random numbers, exactly.

    Args:
        model: any graph.
        evaluate: runs small graphs, such as `edgevid.targets.onnxruntime.evaluate`.
        segments: T of shifts along rows and columns alone, which do not show it; by default
            that of the other shifts.

    Raises:
        GraphError: the runtime cannot run a region; the message names it.
    """
    found = model.clone()
    taken = {node.name for node in found.graph}
    regions: list[tuple[ir.Node, str, int]] = []
    while True:
        replaced, left = _replace_shifts(found, evaluate, segments, taken)
        if not replaced:
            break
        regions += replaced
        passes.RemoveUnusedNodesPass()(found)
    _agree_on_segments(found, segments)
    if shift_nodes(found):
        attach_functions(found)
    alive = set(shift_nodes(found))
    shifts = [
        Candidate(where, spec_of(node), "a shift", nodes) for node, where, nodes in regions if node in alive
    ]
    return Found(found, (*shifts, *left))


def _replace_shifts(
    model: ir.Model, evaluate: Evaluate, segments: int | None, taken: set[str | None]
) -> tuple[list[tuple[ir.Node, str, int]], list[Candidate]]:
    """Replace, in place, all shifts that do not overlap; say what else there is."""
    movements = Movements(model.graph)
    replaced: list[tuple[ir.Node, str, int]] = []
    left = [Candidate(_place(node.outputs[0]), None, _BY_DATA, 1) for node in movements.by_data]
    covered: set[ir.Node] = set()
    values = [value for node in model.graph for value in node.outputs if value in movements.origin]
    for value in reversed(values):
        if movements.origin[value] is value or value.producer() in covered:
            continue
        reasons: list[tuple[ir.Value, str]] = []
        for cut in _candidate_cuts(movements, value):
            spec = _probed(movements, cut, value, evaluate, segments)
            if isinstance(spec, ShiftSpec):
                region = movements.nodes_between(cut, value)
                covered.update(region)
                node = _write_shift(model.graph, cut, value, spec, taken)
                replaced.append((node, _place(value), len(region)))
                reasons = []
                break
            reasons.append((cut, spec))
        if not movements.is_end(value):
            continue
        origin = movements.origin[value]
        if not reasons and movements.displaces(origin, value) and static_sizes(origin) != static_sizes(value):
            reasons = [(origin, f"the shape changes from {static_sizes(origin)} to {static_sizes(value)}")]
        reasons = [(cut, why) for cut, why in reasons if why != NOTHING_MOVES]
        if reasons:
            cut, why = reasons[0]
            left.append(Candidate(_place(value), None, why, len(movements.nodes_between(cut, value))))
    return replaced[::-1], left[::-1]


def _candidate_cuts(movements: Movements, value: ir.Value) -> Iterator[ir.Value]:
    """The farthest first: where a shift of ``value`` may begin."""
    sizes = static_sizes(value)
    for cut in movements.cuts[value]:
        if sizes == static_sizes(cut) and movements.displaces(cut, value):
            yield cut


def _probed(
    movements: Movements, cut: ir.Value, value: ir.Value, evaluate: Evaluate, segments: int | None
) -> ShiftSpec | str:
    try:
        return probe(movements, cut, value, evaluate, segments)
    except EdgevidError as error:
        raise GraphError(
            f"the operations that might be a shift cannot be run: {error.what}",
            where=_place(value),
            fix="check the file with onnx.checker, or export it again",
        ) from error


def _write_shift(
    graph: ir.Graph, cut: ir.Value, value: ir.Value, spec: ShiftSpec, taken: set[str | None]
) -> ir.Node:
    """Compute ``value`` from ``cut`` by one Shift; frames of a 5-D tensor are put together for it."""
    producer, sizes = value.producer(), static_sizes(value)
    assert producer is not None
    assert sizes is not None
    write = Writer(graph, f"{value.name}.shift", sizes, value.dtype or ir.DataType.FLOAT)
    joins = len(sizes) == 5 and spec.layout is Layout.FRAMES
    frames = write.reshape(cut, [sizes[0] * sizes[1], *sizes[2:]]) if joins else cut
    attributes = {**spec_attributes(spec), "moves": ir.AttrInt64s("moves", spec.flat)}
    shifted = write.steps.op(
        SHIFT, [frames], attributes, domain=DOMAIN, name=_free(f"{value.name}.shift", taken)
    )
    shifted.name = f"{value.name}.shifted"
    if joins:
        shifted.type, shifted.shape = value.type, ir.Shape([sizes[0] * sizes[1], *sizes[2:]])
        frames.type, frames.shape = cut.type, shifted.shape
    result = write.reshape(shifted, sizes) if joins else shifted
    result.type, result.shape = value.type, value.shape
    graph.insert_after(producer, write.steps.nodes)
    name, is_output = value.name, value.is_graph_output()
    ir.convenience.replace_all_uses_with(value, result, replace_graph_outputs=True)
    if is_output:
        value.name, result.name = f"{name}.before", name
    node = shifted.producer()
    assert node is not None
    return node


def _agree_on_segments(model: ir.Model, segments: int | None) -> None:
    """Give shifts along rows and columns alone the T of those that show theirs."""
    nodes = [(node, spec_of(node)) for node in shift_nodes(model)]
    shown = Counter(spec.segments for _, spec in nodes if any(move.dt for move in spec.moves))
    agreed = segments or (shown.most_common(1)[0][0] if shown else None)
    for node, spec in nodes:
        value = node.inputs[0]
        sizes = None if value is None else static_sizes(value)
        if agreed is None or sizes is None or spec.layout is Layout.VOLUME or any(m.dt for m in spec.moves):
            continue
        if sizes[0] % agreed == 0:
            node.attributes["segments"] = ir.AttrInt64("segments", agreed)


def _place(value: ir.Value) -> str:
    producer = value.producer()
    return f"{value.name} ({producer.op_type} {producer.name})" if producer is not None else str(value.name)


def _free(name: str, taken: set[str | None]) -> str:
    number = 0
    while (free := f"{name}{number or ''}") in taken:
        number += 1
    taken.add(free)
    return free


_BY_DATA = "its indices are computed from the input: no fixed movement"
