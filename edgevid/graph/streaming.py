"""From the graph of a clip to one of a frame: every shift along time reads and writes a cache.

A shift that takes from the past needs channels of earlier frames, which are all that the next step has to
be given (TSM, Lin et al., ICCV 2019, section 3.3 and fig. 4). One that takes from the future is turned into
a delay: its answer is late by as many frames as it looks ahead, and whatever it is joined with later is held
back as long. Frames before the first one and after the last one are zeros at every shift, as at the ends of
a clip; where they are not by themselves, gates say which steps those are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import common as passes

from edgevid.contract import Cache, Streaming
from edgevid.errors import GraphError
from edgevid.graph.graph_hash import graph_hash
from edgevid.graph.integer_shifts import has_one_scale, shift_integers
from edgevid.graph.plain_shift import Writer
from edgevid.graph.retime import per_frame, segments_of
from edgevid.graph.shift_op import (
    DOMAIN,
    SHIFT,
    attach_functions,
    shift_nodes,
    spec_attributes,
    spec_of,
    zero_point_of,
)
from edgevid.shift import Move, ShiftSpec

__all__ = ["VALID", "StreamGraph", "stream_graph"]

VALID = "valid"


@dataclass(frozen=True)
class StreamGraph:
    """A network that takes one frame a call.

    Attributes:
        model: ``clips`` uint8 ``[1, 1, H, W, 3]``, then ``valid`` if there are gates, then the caches, to
            ``logits`` ``[1, classes]`` and the next caches. Its shifts are gone, but for what they displace
            in space.
        streaming: what a session has to know.
    """

    model: ir.Model
    streaming: Streaming


def stream_graph(model: ir.Model, *, lookahead: bool = False) -> StreamGraph:
    """The streaming form of a canonical graph of one clip, in float or with Q/DQ.

    Ensures:
        Over a sequence of frames the logits are those that `edgevid.graph.retime.per_frame` gives for the
        whole sequence as one clip.

    Args:
        model: canonical, batch 1, static shapes.
        lookahead: shifts that take from the future are delayed, instead of being refused.

    Raises:
        GraphError: a shift takes from the future, or something other than a shift mixes frames.
    """
    segments = segments_of(model)
    changed = per_frame(model, 1)
    shift_integers(changed)
    stream = _Stream(changed, lookahead)
    for node in list(changed.graph):
        stream.visit(node)
    streaming = stream.close(segments)
    passes.RemoveUnusedNodesPass()(changed)
    attach_functions(changed)
    if not shift_nodes(changed):
        changed.opset_imports.pop(DOMAIN, None)
    return StreamGraph(changed, replace(streaming, network=graph_hash(changed)))


class _Stream:
    """The caches made so far, and by how many frames each value is late."""

    def __init__(self, model: ir.Model, lookahead: bool) -> None:
        self.graph, self.lookahead = model.graph, lookahead
        self.late: dict[ir.Value, int] = {model.graph.inputs[0]: 0}
        self.caches: list[Cache] = []
        self.gates: list[int] = []
        self._inputs: list[ir.Value] = []
        self._next: list[ir.Value] = []
        self._valid = ir.Value(name=VALID, type=ir.TensorType(ir.DataType.UINT8))
        self._earlier: dict[tuple[ir.Value, int], ir.Value] = {}

    def visit(self, node: ir.Node) -> None:
        inside = [value for value in node.inputs if value is not None and value in self.late]
        if not inside:
            return
        if node.domain == DOMAIN and node.op_type == SHIFT:
            self._shift(node)
            return
        latest = max(self.late[value] for value in inside)
        for index, value in enumerate(node.inputs):
            if value is not None and value in self.late and self.late[value] < latest:
                write = self._writer(node, value, f"{node.name}.input{index}")
                earlier = self._before(write, value, latest - self.late[value], waits=True)
                node.replace_input_with(index, earlier)
                self.graph.insert_before(node, write.steps.nodes)
        self.late.update(dict.fromkeys(node.outputs, latest))

    def close(self, segments: int) -> Streaming:
        """Add the caches to the graph's inputs and outputs."""
        if self.gates:
            self._valid.shape = ir.Shape([len(self.gates)])
            self.graph.inputs.append(self._valid)
        self.graph.inputs.extend(self._inputs)
        self.graph.outputs.extend(self._next)
        delay = self.late[self.graph.outputs[0]]
        return Streaming(segments, tuple(self.caches), delay, tuple(self.gates))

    def _shift(self, node: ir.Node) -> None:
        value, spec, output = node.inputs[0], spec_of(node), node.outputs[0]
        assert value is not None
        ahead = max((-move.dt for move in spec.moves), default=0)
        ahead = max(ahead, 0)
        if ahead and not self.lookahead:
            moves = ", ".join(map(str, spec.moves))
            raise GraphError(
                f"the shift takes from {ahead} frame{'s' * (ahead > 1)} ahead: {moves}",
                where=node.name,
                fix="give --lookahead, which answers later; or stream the offline bundle by --window",
            )
        late = self.late[value]
        write = self._writer(node, value, str(node.name), zero_point_of(node))
        pieces = self._pieces(write, value, spec, ahead)
        moved = write.concat(pieces, 1)
        moved.type, moved.shape = value.type, value.shape
        spatial = _in_space(spec)
        if not spatial.is_identity:
            attributes = dict(spec_attributes(spatial))
            if zero_point_of(node):
                attributes["zero_point"] = zero_point_of(node)
            moved = write.steps.op(SHIFT, [moved], attributes, domain=DOMAIN, name=f"{node.name}.space")
            moved.name = f"{node.name}.space.out"
        if moved is not value and moved.producer() not in write.steps.nodes:
            # All channels come from a cache, which keeps its name.
            moved = write.op("Identity", [moved])
        moved.type, moved.shape = output.type, output.shape
        if moved is value:  # Nothing moves.
            ir.convenience.replace_all_uses_with(output, value, replace_graph_outputs=True)
            self.graph.remove(node, safe=True)
            return
        ir.convenience.replace_nodes_and_values(
            self.graph, node, [node], write.steps.nodes, [output], [moved]
        )
        self.late[moved] = late + ahead

    def _pieces(self, write: Writer, value: ir.Value, spec: ShiftSpec, ahead: int) -> list[ir.Value]:
        """The channels in order, each run as late as its move says; ``ahead`` later in all."""
        late = self.late[value]
        pieces = []
        channels = write.shape[1]
        for start, stop, dt in _runs(spec, channels):
            lag = ahead + dt
            own = ahead if lag >= ahead else 0
            source = self._before(write, value, own, waits=True) if own else value
            piece = source
            if (start, stop) != (0, channels):
                piece = write.slice(source, {1: (start, stop)})
                piece.type, piece.shape = value.type, _with_channels(value, stop - start)
            if dt and (self.lookahead and (late + own or dt < 0)):
                piece = self._gated(write, piece, late + own)
            pieces.append(self._before(write, piece, lag - own) if lag > own else piece)
        return pieces

    def _before(
        self, write: Writer, value: ir.Value, lag: int, *, waits: bool = False, zero: int | None = None
    ) -> ir.Value:
        """What ``value`` was ``lag`` steps before; ``zero`` is its zero point if not the writer's.

        Of numbers that bytes stand for the bytes are kept, which other layers may have kept already.
        """
        if (value, lag) not in self._earlier:
            restored = value.producer()
            integers = restored.inputs[0] if restored is not None and has_one_scale(restored) else None
            if restored is not None and integers is not None and integers in self.late:
                kept = self._before(write, integers, lag, waits=waits, zero=_zero_of(restored))
                parameters = [each for each in restored.inputs[1:] if each is not None]
                earlier = write.op("DequantizeLinear", [kept, *parameters])
                earlier.type, earlier.shape = value.type, value.shape
            else:
                earlier = self._cached(write, value, lag, write.zero if zero is None else zero, waits)
            self._earlier[value, lag] = earlier
            self.late[earlier] = self.late.get(value, 0) + lag
        return self._earlier[value, lag]

    def _cached(self, write: Writer, value: ir.Value, lag: int, zero: int, waits: bool) -> ir.Value:
        assert value.shape is not None
        assert value.dtype is not None
        first, *rest = (int(size) for size in value.shape.numpy())
        if first != 1:
            raise GraphError(
                f"{value.name} {[first, *rest]} would be kept, and its first axis is not that of frames",
                where=write.prefix,
                fix="stream the offline bundle by a sliding window: edgevid stream --window",
            )
        shape = (lag, *rest)
        name = f"cache{len(self.caches)}"
        cache = ir.Value(name=name, type=ir.TensorType(value.dtype), shape=ir.Shape(shape))
        oldest, following = cache, value
        if lag > 1:
            oldest = write.slice(cache, {0: (0, 1)})
            following = write.concat([write.slice(cache, {0: (1, lag)}), value], 0)
        elif value.producer() not in write.steps.nodes or value in self._next:
            # A value of its own: this one has a name, or is returned already.
            following = write.op("Identity", [value])
        oldest.type, oldest.shape = value.type, value.shape
        following.name, following.type, following.shape = f"{name}.next", cache.type, cache.shape
        self._inputs.append(cache)
        self._next.append(following)
        dtype = value.dtype.numpy().name
        self.caches.append(Cache(name, f"{name}.next", shape, dtype, zero, waits))
        return oldest

    def _gated(self, write: Writer, piece: ir.Value, late: int) -> ir.Value:
        """``piece`` while it is of a frame of the sequence, else zeros."""
        if late not in self.gates:
            self.gates.append(late)
        place = self.gates.index(late)
        gate = write.op(
            "Cast", [write.slice(self._valid, {0: (place, place + 1)})], to=ir.DataType.BOOL.value
        )
        assert piece.dtype is not None
        zero = write.constant(
            f"stream.zero.{piece.dtype}.{write.zero}", np.array(write.zero, piece.dtype.numpy())
        )
        gated = write.op("Where", [gate, piece, zero])
        gated.type, gated.shape = piece.type, piece.shape
        return gated

    def _writer(self, node: ir.Node, value: ir.Value, prefix: str, zero: int | None = None) -> Writer:
        assert value.shape is not None
        assert value.dtype is not None
        if zero is None:
            zero = _zero_point(value)
        return Writer(self.graph, prefix, [int(size) for size in value.shape.numpy()], value.dtype, zero)


def _runs(spec: ShiftSpec, channels: int) -> list[tuple[int, int, int]]:
    """Channels in order as ``(start, stop, dt)``; neighbours that move alike in time are one run."""
    runs: list[tuple[int, int, int]] = []
    for start, stop, (dt, _, _) in spec.pieces(channels):
        if runs and runs[-1][2] == dt:
            start = runs.pop()[0]
        runs.append((start, stop, dt))
    return runs


def _in_space(spec: ShiftSpec) -> ShiftSpec:
    moves = tuple(
        Move(move.start, move.stop, 0, move.dh, move.dw) for move in spec.moves if move.dh or move.dw
    )
    return ShiftSpec(1, moves, spec.layout)


def _with_channels(value: ir.Value, channels: int) -> ir.Shape:
    assert value.shape is not None
    first, _, *rest = value.shape.numpy()
    return ir.Shape([first, channels, *rest])


def _zero_point(value: ir.Value) -> int:
    """Of a tensor that is held back: what stands for zero where it is an integer one."""
    node = value.producer()
    return 0 if node is None or node.op_type != "QuantizeLinear" else _zero_of(node)


def _zero_of(node: ir.Node) -> int:
    """The zero point of a QuantizeLinear or DequantizeLinear."""
    if len(node.inputs) < 3 or node.inputs[2] is None:
        return 0
    tensor = ir.convenience.get_const_tensor(node.inputs[2])
    return 0 if tensor is None else int(tensor.numpy().reshape(-1)[0])
