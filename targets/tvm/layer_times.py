"""The time of each layer of an artifact on this machine."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from edgevid.contract import Artifact, Device
from edgevid.errors import TargetError
from edgevid.targets.tvm._target import cpu_of
from edgevid.targets.tvm.layer_list import ListedLayer, load_list
from edgevid.targets.tvm.peak import peak_macs
from edgevid.targets.tvm.session import TvmSession

__all__ = ["time_layers"]


def time_layers(
    artifact: Artifact, device: Device, clip: NDArray[Any], *, rounds: int
) -> tuple[tuple[ListedLayer, ...], list[list[float]], dict[str, float]]:
    """The layers, the seconds of each in every round, and the peak of one core by precision.

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
    cpu = cpu_of(device)
    peaks = {"fp32": peak_macs(cpu, "fp32"), "int8": peak_macs(cpu, "int8")}
    return layers, times, peaks
