"""Where caches are written: by the last convolution that reads one, or by a layer of its own behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgevid.errors import TargetError
from edgevid.targets.tvm.network import Convolution, Frames, Keep, Layer, Network
from edgevid.targets.tvm.reading.caches import keeps
from edgevid.targets.tvm.reading.state import State

__all__ = ["with_keeps"]


def with_keeps(state: State, source: str, output: str, others: Sequence[str]) -> Network:
    """The network of all that was read.

    Args:
        source: the frames.
        output: the logits.
        others: further inputs, gates and caches.

    Raises:
        TargetError: a cache is not returned as it is taken, or is held back by a later one.
    """
    caches = [name for name in others if isinstance(state.activations[name], Frames)]
    kept = keeps(state, caches)
    needed = [*others, *(layer.inputs[0] for layer in kept)]
    network = state.network(source, output, needed)
    layers = list(network.layers)
    # What a cache holds may go on into another one, which comes behind it and must be served first.
    for number, layer in reversed(list(enumerate(kept))):
        if layer.inputs[0] in caches[number:]:
            raise TargetError(f"{layer.inputs[0]} goes into {layer.output}", where=layer.name)
        _place(layers, layer)
    return replace(network, layers=tuple(layers), others=tuple(others))


def _place(layers: list[Layer], keep: Layer) -> None:
    """Write a cache as soon as it is read and what goes into it is computed."""
    (source,), cache = keep.inputs, keep.output
    uses = [i for i, layer in enumerate(layers) if cache in layer.inputs or layer.output == source]
    last = max(uses, default=-1)
    if last >= 0 and _can_keep(layers[last], keep):
        reader = layers[last]
        assert isinstance(reader.operation, Convolution)
        layers[last] = replace(reader, operation=replace(reader.operation, keeps=True))
    else:
        layers.insert(last + 1, keep)


def _can_keep(reader: Layer, keep: Layer) -> bool:
    """Whether a layer is a convolution that reads the very cache and source."""
    operation, kept = reader.operation, keep.operation
    assert isinstance(kept, Keep)
    return (
        isinstance(operation, Convolution)
        and operation.cache is not None
        and reader.inputs[:2] == (*keep.inputs, keep.output)
        and operation.source == kept.source
        and kept.start == 0
    )
