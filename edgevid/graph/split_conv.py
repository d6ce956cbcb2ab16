"""Split a shift's consumer over the channels, so that channels at rest are never copied.

A 1x1 convolution is a sum over its input channels, ``conv(x) = sum_g conv_g(x_g)``, and so a
shift in front of it can be done group by group: only the groups that move are written again,
and the convolutions add up in their accumulators. Moving a share p of the channels of a
ResNet bottleneck then costs p times one copy, not a copy of the whole tensor.

A move in time also commutes with the convolution, ``conv_g(move(x_g)) = move(conv_g(x_g))``: a
group with more channels than the convolution gives is moved behind it, where less is copied.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgevid.graph.plain_shift import Writer, WriteShift
from edgevid.graph.shift_op import shift_nodes, spec_of
from edgevid.shift import Move, ShiftSpec

__all__ = ["BLOCK", "channel_cuts", "decimate_pointwise", "gains_by_splitting", "split_convolutions"]

BLOCK = 16
"""Channels of one block of the layouts nChw16c and nCdhw16c (oneDNN, "Understanding memory
formats"): a split between blocks is a view, one inside a block a copy."""


def split_convolutions(model: ir.Model, write: WriteShift) -> bool:
    """Split, in place, the 1x1 convolutions that a shift feeds.

    Requires:
        A canonical graph, in either layout, with static channels, rows and columns.

    Ensures:
        The same numbers at every output. A shift whose consumers all are ungrouped 1x1
        convolutions is gone: a Split at multiples of `BLOCK` channels stands in its place, the
        pieces that move are written by ``write``, and the convolutions of the pieces are
        added. Every other shift is left as it was.

    Returns:
        Whether any shift was replaced.
    """
    changed = False
    for number, node in enumerate(shift_nodes(model)):
        if not _is_splittable(node):
            continue
        changed = True
        value = node.inputs[0]
        assert value is not None
        pieces = _pieces(model.graph, node, value, spec_of(node), f"split{number}")
        for consumer in [use.node for use in node.outputs[0].uses()]:
            _Sum(model.graph, consumer, write).replace(pieces)
        model.graph.remove(node, safe=True)
    return changed


def gains_by_splitting(model: ir.Model) -> bool:
    """Has a canonical graph shifts, and does splitting keep them all in whole blocks?

    Behind each shift stand only 1x1 convolutions (as in bottlenecks), or also something else
    such as a skip connection; and its moves, or at least the cuts around them, leave blocks
    whole. Otherwise a tensor would be put together in another layout and slow down what reads
    it.
    """
    shifts = shift_nodes(model)
    return bool(shifts) and all(_keeps_blocks(node) for node in shifts)


def _keeps_blocks(shift: ir.Node) -> bool:
    users = [use.node for use in shift.outputs[0].uses()]
    if not all(_is_pointwise(user, shift) for user in users if user.op_type == "Conv"):
        return False
    value, spec = shift.inputs[0], spec_of(shift)
    assert value is not None
    if value.shape is None or not isinstance(value.shape[1], int):
        return False
    channels = value.shape[1]
    if all(stop % BLOCK == 0 for _, stop, _ in spec.pieces(channels)):
        return True
    return _is_splittable(shift) and len(channel_cuts(spec, channels)) > 2


def decimate_pointwise(model: ir.Model) -> bool:
    """Replace, in place, each 1x1 convolution with a stride by a pooling of one element and one without.

    A kernel for unit strides then serves all 1x1 convolutions.

    Requires:
        Float tensors with static ranks.

    Ensures:
        The same numbers; no 1x1 convolution without padding has a stride.

    Returns:
        Whether there was one.
    """
    strided = [node for node in model.graph if _is_pointwise(node) and max(_strides(node)) > 1]
    for number, node in enumerate(strided):
        value, strides = node.inputs[0], _strides(node)
        assert value is not None
        write = Writer(model.graph, f"decimate{number}", [], value.dtype or ir.DataType.FLOAT)
        kept = write.op("MaxPool", [value], kernel_shape=[1] * len(strides), strides=strides)
        model.graph.insert_before(node, write.steps.nodes)
        node.replace_input_with(0, kept)
        node.attributes["strides"] = ir.AttrInt64s("strides", [1] * len(strides))
    return bool(strided)


def channel_cuts(spec: ShiftSpec, channels: int, block: int = BLOCK) -> list[int]:
    """Where to split ``channels``: at multiples of ``block`` next to the edges of the moves.

    An edge inside a block is left to the piece around it, which ends where the next whole
    block at rest begins.
    """
    cuts = {0, channels}
    pieces = spec.pieces(channels)
    for (begin, edge, before), (_, end, after) in itertools.pairwise(pieces):
        if edge % block == 0:
            cuts.add(edge)
            continue
        down = edge // block * block
        if not any(after) and down + block < end:
            cuts.add(down + block)
        if not any(before) and down > begin:
            cuts.add(down)
    return sorted(cuts)


@dataclass(frozen=True)
class _Piece:
    """Channels ``[start, stop)`` as they are before the shift, and how they move."""

    start: int
    stop: int
    value: ir.Value
    sizes: list[int]
    spec: ShiftSpec

    @property
    def in_time(self) -> Move | None:
        """The move that all of its channels make, if it is one in time alone."""
        moves = self.spec.moves
        if len(moves) != 1 or moves[0].dh or moves[0].dw:
            return None
        return moves[0] if (moves[0].start, moves[0].stop) == (0, self.stop - self.start) else None


def _pieces(graph: ir.Graph, node: ir.Node, value: ir.Value, spec: ShiftSpec, prefix: str) -> list[_Piece]:
    shape = _sizes(value)
    ranges = list(itertools.pairwise(channel_cuts(spec, shape[1])))
    writer = Writer(graph, prefix, shape, value.dtype or ir.DataType.FLOAT)
    parts = writer.split(value, [stop - start for start, stop in ranges], 1)
    graph.insert_before(node, writer.steps.nodes)
    return [
        _Piece(start, stop, part, [shape[0], stop - start, *shape[2:]], _within(spec, start, stop))
        for (start, stop), part in zip(ranges, parts, strict=True)
    ]


def _within(spec: ShiftSpec, start: int, stop: int) -> ShiftSpec:
    """The spec of channels ``[start, stop)`` taken for themselves."""
    moves = [
        Move(max(move.start, start) - start, min(move.stop, stop) - start, *move.displacement)
        for move in spec.moves
        if move.start < stop and start < move.stop
    ]
    return ShiftSpec(spec.segments, tuple(moves), spec.layout)


class _Sum:
    """A convolution as a sum of those of the pieces of its input.

    Those moved behind their convolution come first, then those at rest, which need no copy, then
    the others: each of these adds up in its accumulators what came before it.
    """

    def __init__(self, graph: ir.Graph, node: ir.Node, write: WriteShift) -> None:
        _, weight, *bias = node.inputs
        assert weight is not None
        self.graph, self.node, self.write = graph, node, write
        self.weight, self.array = weight, _constant(weight)
        self.bias = [value for value in bias if value is not None]
        self.writer = Writer(graph, f"{node.outputs[0].name}.split", [], weight.dtype or ir.DataType.FLOAT)
        self.total: ir.Value | None = None

    def replace(self, pieces: Sequence[_Piece]) -> None:
        """Put the sum in the convolution's place."""
        late = [piece for piece in pieces if self._moves_behind(piece)]
        early = sorted(
            (piece for piece in pieces if not self._moves_behind(piece)),
            key=lambda piece: (not piece.spec.is_identity, piece.start),
        )
        for piece in late:
            self._add(self._moved_behind(piece))
        for number, piece in enumerate(early):
            self._add(self._convolved(piece, self._moved(piece), [] if number else self.bias))
        output = self.node.outputs[0]
        if not early:
            self._add_bias(len(_sizes(output)))
        assert self.total is not None
        self.total.type, self.total.shape = output.type, output.shape
        steps = self.writer.steps.nodes
        ir.convenience.replace_nodes_and_values(
            self.graph, self.node, [self.node], steps, [output], [self.total]
        )

    def _moves_behind(self, piece: _Piece) -> bool:
        return piece.in_time is not None and piece.stop - piece.start > self.array.shape[0]

    def _moved_behind(self, piece: _Piece) -> ir.Value:
        move = piece.in_time
        assert move is not None
        channels = self.array.shape[0]
        self.writer.shape = _sizes(self.node.outputs[0])
        spec = ShiftSpec(piece.spec.segments, (Move(0, channels, *move.displacement),), piece.spec.layout)
        return self.write(self.writer, self._convolved(piece, piece.value, []), spec)

    def _moved(self, piece: _Piece) -> ir.Value:
        if piece.spec.is_identity:
            return piece.value
        self.writer.shape = piece.sizes
        return self.write(self.writer, piece.value, piece.spec)

    def _convolved(self, piece: _Piece, value: ir.Value, bias: Sequence[ir.Value]) -> ir.Value:
        start, stop = piece.start, piece.stop
        # By the weight's name: clips that are computed apart share it.
        kernel = self.writer.constant(f"{self.weight.name}.{start}_{stop}", self.array[:, start:stop])
        return self.writer.op("Conv", [value, kernel, *bias], **self.node.attributes)

    def _add(self, partial: ir.Value) -> None:
        self.total = partial if self.total is None else self.writer.op("Add", [partial, self.total])

    def _add_bias(self, rank: int) -> None:
        for value in self.bias:
            array = _constant(value).reshape(-1, *[1] * (rank - 2))
            self._add(self.writer.constant(f"{value.name}.rank{rank}", array))


def _sizes(value: ir.Value) -> list[int]:
    """Static sizes; -1 for a symbolic one."""
    assert value.shape is not None
    return [size if isinstance(size, int) else -1 for size in value.shape]


def _is_splittable(shift: ir.Node) -> bool:
    """All of its consumers are convolutions that `split_convolutions` can split."""
    output = shift.outputs[0]
    return not output.is_graph_output() and all(_is_pointwise(use.node, shift) for use in output.uses())


def _is_pointwise(node: ir.Node, shift: ir.Node | None = None) -> bool:
    """An ungrouped 1x1 (or 1x1x1) convolution without padding, of what ``shift`` gives if told."""
    if node.op_type != "Conv" or node.domain or node.attributes.get_int("group", 1) != 1:
        return False
    data, weight, *rest = node.inputs
    if shift is not None and (data is not shift.outputs[0] or shift.outputs[0] in (weight, *rest)):
        return False
    if weight is None or ir.convenience.get_const_tensor(weight) is None:
        return False
    unpadded = node.attributes.get_string("auto_pad", "NOTSET") in ("NOTSET", "VALID")
    pads = node.attributes.get_ints("pads", ())
    return unpadded and not any(pads) and all(size == 1 for size in _constant(weight).shape[2:])


def _strides(node: ir.Node) -> list[int]:
    """Of a convolution, one a spatial axis."""
    weight = node.inputs[1]
    assert weight is not None
    return list(node.attributes.get_ints("strides", [1] * (_constant(weight).ndim - 2)))


def _constant(value: ir.Value) -> np.ndarray:
    tensor = ir.convenience.get_const_tensor(value)
    assert tensor is not None
    return tensor.numpy()
