"""The time of each layer of an artifact on this machine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevid.contract import Artifact
from edgevid.errors import TargetError
from edgevid.targets.tvm.layer_list import FALLBACK, ListedLayer, load_list
from edgevid.targets.tvm.session import TvmSession

__all__ = ["fallback_notes", "time_layers"]

_ROUNDS = 3


def time_layers(
    artifact: Artifact, clip: NDArray[Any], *, rounds: int
) -> tuple[tuple[ListedLayer, ...], list[list[float]]]:
    """The layers of an artifact, and the seconds of each in every round.

    Raises:
        TargetError: the module calls other functions than its list says.
    """
    layers = load_list(artifact.folder)
    names = {layer.kernel for layer in layers}
    times: list[list[float]] = [[] for _ in layers]
    with TvmSession(artifact, artifact.settings) as session:
        for _ in range(rounds):
            calls = [(name, seconds) for name, seconds in session.times(clip) if name in names]
            if [name for name, _ in calls] != [layer.kernel for layer in layers]:
                raise TargetError(
                    "the module calls other kernels than its list of layers says",
                    where=artifact.path,
                    fix="compile again",
                )
            for own, (_, seconds) in zip(times, calls, strict=True):
                own.append(seconds)
    return layers, times


def fallback_notes(artifact: Artifact, *, here: bool) -> tuple[str, ...]:
    """What is computed without a kernel of ours, each with its share of the time where it runs here."""
    layers = load_list(artifact.folder)
    if all(layer.kind != FALLBACK for layer in layers):
        return ()
    shares = [""] * len(layers)
    if here:
        clip = np.zeros(artifact.input.shape, artifact.input.dtype)
        _, times = time_layers(artifact, clip, rounds=_ROUNDS)
        best = [min(own) for own in times]
        shares = [f", {seconds / sum(best):.1%} of the time" for seconds in best]
    return tuple(
        f"{layer.name} has no kernel of ours, and runs as TVM's own {layer.kernel}{share}"
        for layer, share in zip(layers, shares, strict=True)
        if layer.kind == FALLBACK
    )
