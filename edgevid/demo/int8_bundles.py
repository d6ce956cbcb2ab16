"""The demonstration's network compiled in float32 and in int8, well and badly, to be compared."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgevid import targets
from edgevid.bundle import Bundle, seal
from edgevid.calibration.nncf_peer import PRESETS, Preset, quantize_by_nncf
from edgevid.calibration.table import Method, Table, load_table
from edgevid.compiler import compile_checkpoint
from edgevid.contract import Artifact, CompileOptions, RunSettings
from edgevid.demo import checkpoint
from edgevid.demo.generated import Generated
from edgevid.errors import VerificationError
from edgevid.graph.lower import lower
from edgevid.graph.prelude import with_uint8_clips
from edgevid.int8 import TABLE, Int8, quantized
from edgevid.new_bundle import new_bundle
from edgevid.source import Source, open_source
from edgevid.targets._profiles import device as find_device

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = [
    "CALIBRATION_CLIPS",
    "DEVICES",
    "METHODS",
    "MORE_DEVICES",
    "NNCF",
    "SPOILT",
    "compile_all",
    "demo_source",
    "spoilt",
]

DEVICES = ("host", "tensorrt-simulated")
MORE_DEVICES = ("host-tvm",)
"""That may be asked for too."""
METHODS: tuple[Method, ...] = ("minmax", "entropy")
FLOAT, SPOILT, NNCF = "float32", "spoilt", "NNCF"
CALIBRATION_SEED = 31_337
CALIBRATION_CLIPS = 300
SPOILT_BY = 20
"""What the ranges of the bad table are divided by."""

_THREADS = RunSettings(threads=1)


def compile_all(
    folder: Path,
    *,
    devices: Sequence[str] = DEVICES,
    methods: Sequence[Method] = METHODS,
    clips: int = CALIBRATION_CLIPS,
    nncf: bool = False,
) -> dict[str, Path]:
    """Bundles of the shipped network in ``folder`` by name, the float32 reference first.

    Args:
        folder: of the bundles.
        devices: for which int8 is compiled.
        methods: by which ranges are chosen.
        clips: to calibrate with, of the hard split.
        nncf: also what NNCF makes of the network.

    Raises:
        EdgevidError: a bundle cannot be compiled.
        VerificationError: the bad table was taken.
    """
    network = demo_source()
    data = Generated("hard", clips, CALIBRATION_SEED)
    bundles = {FLOAT: compile_checkpoint(network, folder / FLOAT, settings=_THREADS)}
    tables: dict[Method, Path] = {}
    for device in devices:
        for method in methods:
            name = f"{device}-{method}"
            int8 = Int8(tables.get(method, data), method, clips)
            bundles[name] = compile_checkpoint(
                network, folder / name, device=device, precision="int8", int8=int8, settings=_THREADS
            )
            tables.setdefault(method, folder / name / TABLE)
    good = next(bundle for name, bundle in bundles.items() if name != FLOAT)
    bundles[SPOILT] = spoilt(good, folder / SPOILT, network)
    for preset in PRESETS if nncf else ():
        name = f"{NNCF}-{preset}"
        bundles[name] = _by_nncf(good, folder / name, preset, data, network)
    return {name: bundle.path for name, bundle in bundles.items()}


def demo_source() -> Source:
    """The shipped network; each of its graphs is exported once."""
    source = open_source(checkpoint("tsm"))
    return replace(source, graph=cache(source.graph))


def spoilt(good: Bundle, place: Path, network: Source) -> Bundle:
    """``good`` with an artifact of ranges that are far too small, which no compile would let pass.

    Raises:
        VerificationError: the compiler let it pass.
    """
    table = load_table(good.path / TABLE)
    tensors = {
        name: values.model_copy(update={"threshold": values.threshold / SPOILT_BY})
        for name, values in table.tensors.items()
    }
    table = table.model_copy(update={"tensors": tensors})
    manifest = good.manifest
    try:
        compile_checkpoint(network, place, device=manifest.device, precision="int8", int8=Int8(table))
    except VerificationError:
        return _with_artifact(good, place, lambda folder: _compile_unverified(good, table, folder, network))
    raise VerificationError(
        f"ranges divided by {SPOILT_BY} passed the compiler's checks", where=place, fix="mend the checks"
    )


def _lowered(bundle: Bundle, table: Table | None, network: Source) -> ir.Model:
    """The network as the bundle's target gets it: in int8 of a table, or in float32."""
    graph = with_uint8_clips(network.graph(1), network.normalization)
    device = find_device(bundle.manifest.device)
    scheme = targets.find(device.target).probe(device).scheme
    if table is not None and scheme is not None:
        graph = quantized(graph, table, scheme, {})
    return lower(graph, bundle.artifact().lowering)


def _compile_unverified(good: Bundle, table: Table, folder: Path, network: Source) -> Artifact:
    device = find_device(good.manifest.device)
    folder.mkdir()
    options = CompileOptions(
        device=device,
        folder=folder,
        precision="int8",
        lowering=good.artifact().lowering,
        settings=good.manifest.settings,
    )
    return targets.find(device.target).compile(_lowered(good, table, network), options)


def _by_nncf(good: Bundle, place: Path, preset: Preset, data: Generated, network: Source) -> Bundle:
    clips = np.concatenate([sample.clips for sample in data.read() if isinstance(sample.clips, np.ndarray)])

    def quantize(folder: Path) -> Artifact:
        return quantize_by_nncf(
            _lowered(good, None, network),
            clips,
            preset,
            folder,
            device=find_device(good.manifest.device),
            lowering=good.artifact().lowering,
            threads=good.manifest.settings.threads,
        )

    return _with_artifact(good, place, quantize)


def _with_artifact(bundle: Bundle, place: Path, write: Callable[[Path], Artifact]) -> Bundle:
    """The same bundle with another artifact, of which nothing is proven."""
    (record,) = bundle.manifest.artifacts
    with new_bundle(place) as draft:
        shutil.copytree(bundle.path, draft, dirs_exist_ok=True)
        shutil.rmtree(draft / record.folder)
        entry = write(draft / record.folder).entry
        other = record.model_copy(update={"entry": entry, "checks": [], "layers": []})
        seal(draft, bundle.manifest.model_copy(update={"artifacts": [other]}))
    return Bundle.open(place)
