"""Find shifts in a foreign graph and write each as one ``edgevid::Shift``.

No spelling of any exporter is matched. Regions that can only move data (`edgevid.graph.movement`)
are run on numbered elements (`edgevid.graph.probe`), the largest first; a region that turns out
to be a shift is replaced, and what is not is left as it stands, with the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
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
        channels: of the tensor that is shifted.
    """

    where: str
    spec: ShiftSpec | None
    reason: str
    nodes: int
    channels: int | None = None


@dataclass(frozen=True)
class Found:
    """The canonical graph, and what became of every candidate in the order of the graph."""

    model: ir.Model
    candidates: tuple[Candidate, ...]

    @property
    def shifts(self) -> tuple[Candidate, ...]:
        """The candidates that are shifts."""
        return tuple(candidate for candidate in self.candidates if candidate.spec is not None)


def find_shift(
    model: ir.Model,
    evaluate: Evaluate,
    *,
    segments: int | None = None,
    known: Sequence[ShiftSpec] = (),
) -> Found:
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
        known: specs to try first, such as those that were found for one clip: they take less
            memory to prove in a larger batch.

    Raises:
        GraphError: the runtime cannot run a region; the message names it.
    """
    found = model.clone()
    search = _Search(found, evaluate, segments, tuple(dict.fromkeys(known)))
    while search.replace_shifts():
        passes.RemoveUnusedNodesPass()(found)
    _merge_equal(found)
    _agree_on_segments(found, segments)
    if shift_nodes(found):
        attach_functions(found)
    alive = set(shift_nodes(found))
    shifts = [
        Candidate(where, spec_of(node), "a shift", nodes, _channels(node))
        for node, where, nodes in search.replaced
        if node in alive
    ]
    return Found(found, (*shifts, *search.left))


class _Search:
    """One graph, changed in place pass by pass.

    Attributes:
        replaced: each new Shift, the place it took and how many operations stood there.
        left: what the last pass did not replace.
    """

    def __init__(
        self, model: ir.Model, evaluate: Evaluate, segments: int | None, known: tuple[ShiftSpec, ...]
    ) -> None:
        self.graph, self.evaluate, self.segments, self.known = model.graph, evaluate, segments, known
        self.replaced: list[tuple[ir.Node, str, int]] = []
        self.left: list[Candidate] = []
        self._joined: dict[ir.Value, ir.Value] = {}
        values = (*self.graph.inputs, *self.graph.initializers.values())
        self._taken = {str(value.name) for value in values}
        for node in self.graph:
            self._taken.update(map(str, (node.name, *(output.name for output in node.outputs))))

    def replace_shifts(self) -> bool:
        """Replace all shifts that do not overlap, the largest first; say what else there is."""
        movements = Movements(self.graph)
        found: list[tuple[ir.Node, str, int]] = []
        left = [Candidate(_place(node.outputs[0]), None, _BY_DATA, 1) for node in movements.by_data]
        covered: set[ir.Node] = set()
        values = [value for node in self.graph for value in node.outputs if value in movements.origin]
        for value in reversed(values):
            if movements.origin[value] is value or value.producer() in covered:
                continue
            where, reasons = _place(value), dict[ir.Value, str]()
            for cut in _candidate_cuts(movements, value):
                spec = self._probed(movements, cut, value)
                if isinstance(spec, ShiftSpec):
                    region = movements.nodes_between(cut, value)
                    covered.update(region)
                    found.append((self._write_shift(cut, value, spec), where, len(region)))
                    break
                reasons[cut] = spec
            else:
                left += _left_alone(movements, value, reasons)
        self.replaced += found[::-1]
        self.left = left[::-1]
        return bool(found)

    def _probed(self, movements: Movements, cut: ir.Value, value: ir.Value) -> ShiftSpec | str:
        try:
            return probe(movements, cut, value, self.evaluate, self.segments, self.known)
        except EdgevidError as error:
            raise GraphError(
                f"the operations that might be a shift cannot be run: {error.what}",
                where=_place(value),
                fix="check the file with onnx.checker, or export it again",
            ) from error

    def _write_shift(self, cut: ir.Value, value: ir.Value, spec: ShiftSpec) -> ir.Node:
        """Compute ``value`` from ``cut`` by one Shift; frames of a 5-D tensor are put together for it."""
        producer, sizes = value.producer(), static_sizes(value)
        assert producer is not None
        assert sizes is not None
        write = self._writer(value)
        joins = len(sizes) == 5 and spec.layout is Layout.FRAMES
        frames = self._frames(cut) if joins else cut
        attributes = {**spec_attributes(spec), "moves": ir.AttrInt64s("moves", spec.flat)}
        shifted = write.steps.op(SHIFT, [frames], attributes, domain=DOMAIN, name=write.prefix)
        shifted.name, shifted.type, shifted.shape = f"{write.prefix}.out", value.type, frames.shape
        result = write.reshape(shifted, sizes) if joins else shifted
        result.type, result.shape = value.type, value.shape
        self.graph.insert_after(producer, write.steps.nodes)
        name, is_output = value.name, value.is_graph_output()
        ir.convenience.replace_all_uses_with(value, result, replace_graph_outputs=True)
        if is_output:
            value.name, result.name = f"{write.prefix}.before", name
        node = shifted.producer()
        assert node is not None
        return node

    def _frames(self, cut: ir.Value) -> ir.Value:
        """``cut`` of ``[N,T,C,H,W]`` as ``[N*T,C,H,W]``; made once."""
        made = self._joined.get(cut)
        source = None if made is None else made.producer()
        if made is None or source is None or source.graph is None:  # or cleaned away since
            sizes = static_sizes(cut)
            assert sizes is not None
            write = self._writer(cut)
            stacked = [sizes[0] * sizes[1], *sizes[2:]]
            frames = write.reshape(cut, stacked)
            frames.type, frames.shape = cut.type, ir.Shape(stacked)
            producer = cut.producer()
            if producer is None:
                self.graph.insert_before(self.graph[0], write.steps.nodes)
            else:
                self.graph.insert_after(producer, write.steps.nodes)
            self._joined[cut] = made = frames
        return made

    def _writer(self, value: ir.Value) -> Writer:
        """For operations whose names nothing in the graph has."""
        number, prefix = 1, f"{value.name}.shift"
        while any(name.startswith(prefix) for name in self._taken):
            number += 1
            prefix = f"{value.name}.shift{number}"
        self._taken.add(prefix)
        return Writer(self.graph, prefix, static_sizes(value) or [], value.dtype or ir.DataType.FLOAT)


def _left_alone(movements: Movements, value: ir.Value, reasons: dict[ir.Value, str]) -> list[Candidate]:
    """Why the region that ends with ``value`` is no shift; nothing where no region ends or none moves."""
    if not movements.is_end(value):
        return []
    origin = movements.origin[value]
    if not reasons and movements.displaces(origin, value) and static_sizes(origin) != static_sizes(value):
        reasons = {origin: f"the shape changes from {static_sizes(origin)} to {static_sizes(value)}"}
    for cut, why in reasons.items():
        if why != NOTHING_MOVES:
            return [Candidate(_place(value), None, why, len(movements.nodes_between(cut, value)))]
    return []


def _candidate_cuts(movements: Movements, value: ir.Value) -> Iterator[ir.Value]:
    """The farthest first: where a shift of ``value`` may begin.

    Of a long chain of moves only both ends are tried.
    """
    sizes, kind = static_sizes(value), value.dtype
    if kind is None or not kind.is_floating_point():
        return
    cuts = [cut for cut in movements.cuts[value] if sizes == static_sizes(cut) and cut.dtype is kind]
    if len(cuts) > 2 * _CUTS_AT_AN_END:
        cuts = cuts[:_CUTS_AT_AN_END] + cuts[-_CUTS_AT_AN_END:]
    for cut in cuts:
        if movements.displaces(cut, value):
            yield cut


def _merge_equal(model: ir.Model) -> None:
    """Let shifts of one tensor by one spec be one: a shift that is used twice was found twice."""
    first: dict[tuple[ir.Value | None, ShiftSpec], ir.Node] = {}
    for node in shift_nodes(model):
        kept = first.setdefault((node.inputs[0], spec_of(node)), node)
        if kept is not node and not node.outputs[0].is_graph_output():
            ir.convenience.replace_all_uses_with(node.outputs[0], kept.outputs[0])
            model.graph.remove(node, safe=True)


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


def _channels(shift: ir.Node) -> int | None:
    sizes = None if shift.inputs[0] is None else static_sizes(shift.inputs[0])
    return None if sizes is None else sizes[1]


def _place(value: ir.Value) -> str:
    producer = value.producer()
    return f"{value.name} ({producer.op_type} {producer.name})" if producer is not None else str(value.name)


_CUTS_AT_AN_END = 12
_BY_DATA = "its indices are computed from the input: no fixed movement"
