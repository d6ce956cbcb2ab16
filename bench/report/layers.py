"""Where the time of a run goes, by the runtime's own profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgevid.bench.results import LayerTime

__all__ = ["Group", "by_kernel", "by_kind", "slowest"]


@dataclass(frozen=True)
class Group:
    """Layers of one kind and kernel, or one layer.

    Attributes:
        name: of the layer; of a group its kind.
        kernel: the runtime's name of the implementation.
        count: how many layers.
        milliseconds: of all of them.
        share: of the time of all layers, from 0 to 1.
    """

    name: str
    kernel: str
    count: int
    milliseconds: float
    share: float


def slowest(layers: Sequence[LayerTime], most: int = 12) -> list[Group]:
    """The layers that take longest."""
    total = _total(layers)
    ordered = sorted(layers, key=lambda layer: -layer.milliseconds)[:most]
    return [
        Group(each.name, each.kernel, 1, each.milliseconds, each.milliseconds / total) for each in ordered
    ]


def by_kernel(layers: Sequence[LayerTime]) -> list[Group]:
    """Layers of the same kind and kernel together, those that take longest first."""
    total = _total(layers)
    groups: dict[tuple[str, str], list[float]] = {}
    for layer in layers:
        groups.setdefault((layer.kind, layer.kernel), []).append(layer.milliseconds)
    found = [Group(*key, len(times), sum(times), sum(times) / total) for key, times in groups.items()]
    return sorted(found, key=lambda group: -group.milliseconds)


def by_kind(layer_times: Mapping[str, Sequence[LayerTime]], most: int = 6) -> dict[str, dict[str, float]]:
    """Milliseconds by kind and variant: the kinds that take longest, then all others as ``others``."""
    totals: dict[str, float] = {}
    for layers in layer_times.values():
        for layer in layers:
            totals[layer.kind] = totals.get(layer.kind, 0.0) + layer.milliseconds
    shown = sorted(totals, key=lambda kind: -totals[kind])[:most]
    found: dict[str, dict[str, float]] = {kind: dict.fromkeys(layer_times, 0.0) for kind in shown}
    if len(totals) > len(shown):
        found["others"] = dict.fromkeys(layer_times, 0.0)
    for variant, layers in layer_times.items():
        for layer in layers:
            found[layer.kind if layer.kind in shown else "others"][variant] += layer.milliseconds
    return found


def _total(layers: Sequence[LayerTime]) -> float:
    # Of times that are all 0 no share can be told; none is then shown as 0.
    return sum(layer.milliseconds for layer in layers) or 1.0
