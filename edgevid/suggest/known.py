"""What is measured of presets on a device, from results of any command that times networks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from edgevid.bench.environment import look_around
from edgevid.bench.results import Result
from edgevid.bench.storage import load_result
from edgevid.bench.summary import Estimate, VariantSummary, summarize
from edgevid.contract import Device
from edgevid.errors import BenchmarkError, ConfigError, EdgevidError
from edgevid.models.config import NetworkConfig
from edgevid.models.registry import preset, preset_names
from edgevid.overhead.sweep import Sweep
from edgevid.suggest.measure import networks_of

__all__ = ["Measurement", "Reader", "shape_of"]


@dataclass(frozen=True)
class Measurement:
    """One preset in one precision, one clip a call.

    Attributes:
        preset: name of the network.
        precision: of the arithmetic.
        milliseconds: wall time of a run.
        memory: bytes at the peak of a process that runs it alone; None where that was not measured.
        threads: of the session, as its result says it.
        lowering: of the shift, or form of a network without one.
        invalid: why the figures are not to be trusted; empty if they are.
        file: that holds the samples.
    """

    preset: str
    precision: str
    milliseconds: Estimate
    memory: int | None
    threads: str
    lowering: str
    invalid: str
    file: str


def shape_of(config: NetworkConfig) -> NetworkConfig:
    """What two networks share that take the same time: all but the number of classes."""
    return config.model_copy(update={"classes": 1, "dropout": 0.0})


class Reader:
    """Finds what results say of the presets on one device.

    Args:
        device: profile; if it is this machine, results of another processor do not count.
        threads: those of the sessions that count; any if None.
    """

    def __init__(self, device: Device, threads: int | None = None) -> None:
        self.device, self.threads = device, threads
        self.remarks: list[str] = []

    def read(self, paths: Sequence[Path]) -> list[Measurement]:
        """Read files, and all results in folders and the folders in them; what does not count is remarked.

        Raises:
            BenchmarkError: a file that is named cannot be read, or is no result.
        """
        return [found for file, result in self._results(paths) for found in self._of(result, str(file))]

    def _results(self, paths: Sequence[Path]) -> Iterator[tuple[Path, Result]]:
        seen: set[Path] = set()
        for path in paths:
            files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
            for file in files:
                if file.resolve() in seen:
                    continue
                seen.add(file.resolve())
                try:
                    result = load_result(file)
                except BenchmarkError:
                    if file is path:
                        raise
                    continue  # folders of results hold other files too
                yield file, result

    def _of(self, result: Result, file: str) -> Iterator[Measurement]:
        here, there = self._processor, result.environment.cpu
        if self.device.is_this_machine and there and here and there != here:
            self.remarks.append(f"{file} does not count: measured on {there}, and this machine is {here}")
            return
        found = [*self._of_presets(result), *self._of_sweep(result, file), *self._of_bundles(result)]
        for names, precision, summary, lowering in found:
            if summary.wall_ms is None or summary.label != "measured":
                continue
            for name in names:
                yield Measurement(
                    preset=name,
                    precision=precision,
                    milliseconds=summary.wall_ms,
                    memory=result.peak_memory.get(summary.name),
                    threads=str(result.parameters.get("threads", "")),
                    lowering=lowering,
                    invalid="; ".join(result.verdict.reasons),
                    file=file,
                )

    def _of_presets(self, result: Result) -> Iterator[_Found]:
        """Of what `edgevid.suggest.measure` wrote."""
        if not self._counts(result):
            return
        networks = networks_of(result)
        for summary in _without_twin(result):
            said = networks.get(summary.name, {})
            config = _config(said.get("config"))
            if config is None or said.get("one frame"):
                continue
            yield self._names(config), _text(result, "precision"), summary, str(said.get("lowering", ""))

    def _of_sweep(self, result: Result, file: str) -> Iterator[_Found]:
        """Of what `edgevid overhead` wrote: the fastest form of each proportion."""
        if result.parameters.get("kind") != "overhead" or not self._counts(result):
            return
        base = self._swept(result)
        if base is None:
            self.remarks.append(f"{file} does not count: no preset is named {_text(result, 'model')!r} now")
            return
        summaries = {summary.name: summary for summary in _without_twin(result)}
        sweep = Sweep(model=_text(result, "model"), config=base)
        fastest: dict[Fraction, tuple[float, VariantSummary, str]] = {}
        for point in _points(result):
            summary, proportion = summaries.get(point["variant"]), Fraction(point["proportion"])
            if summary is None or summary.wall_ms is None or point["role"] == "plain export":
                continue
            took = summary.wall_ms.median
            if proportion not in fastest or took < fastest[proportion][0]:
                fastest[proportion] = took, summary, point["lowering"]
        for proportion, (_, summary, lowering) in fastest.items():
            names = self._names(sweep.shifted(proportion))
            yield names, _text(result, "precision"), summary, lowering

    def _of_bundles(self, result: Result) -> Iterator[_Found]:
        """Of what `edgevid bench` wrote, as far as the bundles are where they were."""
        if result.parameters.get("kind") or not self._threads_count(result):
            return
        summaries = {summary.name: summary for summary in _without_twin(result)}
        for variant in result.variants:
            if variant.bundle is None or variant.name not in summaries or variant.clips != 1:
                continue
            manifest = _manifest(Path(variant.bundle.path), variant.bundle.manifest_sha256)
            if manifest is None:
                self.remarks.append(
                    f"{variant.name} does not count: its bundle is gone or another one is there, and only "
                    "that says which network it is"
                )
                continue
            config = _config(manifest.get("network"))
            if config is None or manifest.get("streaming") or manifest.get("device") != self.device.name:
                continue
            lowering = ", ".join(dict.fromkeys(str(each["lowering"]) for each in manifest["artifacts"]))
            yield self._names(config), str(manifest["precision"]), summaries[variant.name], lowering

    def _counts(self, result: Result) -> bool:
        """It is of this device, one clip a call, and as many threads as are asked for."""
        parameters = result.parameters
        mine = parameters.get("device") == self.device.name and parameters.get("batch") == 1
        return mine and self._threads_count(result)

    def _threads_count(self, result: Result) -> bool:
        return self.threads is None or result.parameters.get("threads") == self.threads

    def _names(self, config: NetworkConfig) -> tuple[str, ...]:
        """Presets that are this network, the number of classes aside."""
        return tuple(name for name, shape in self._shapes.items() if shape == shape_of(config))

    def _swept(self, result: Result) -> NetworkConfig | None:
        """The network of a sweep, of any proportion; None if its preset is gone."""
        try:
            known = preset(_text(result, "model")).config
        except ConfigError:
            return None
        changes = {name: result.parameters.get(name) for name in ("segments", "size")}
        return NetworkConfig.model_validate({**known.model_dump(), **changes})

    @cached_property
    def _shapes(self) -> dict[str, NetworkConfig]:
        return {name: shape_of(preset(name).config) for name in preset_names()}

    @cached_property
    def _processor(self) -> str | None:
        return look_around().cpu


_Found = tuple[tuple[str, ...], str, VariantSummary, str]
"""Presets, precision, figures, lowering."""


def _without_twin(result: Result) -> list[VariantSummary]:
    return [summary for summary in summarize(result) if summary.role != "twin"]


def _points(result: Result) -> list[Mapping[str, Any]]:
    """The variants of a sweep's curve."""
    found = result.parameters.get("points")
    return [point for point in found if isinstance(point, dict)] if isinstance(found, list) else []


def _text(result: Result, name: str) -> str:
    return str(result.parameters.get(name, ""))


def _config(given: JsonValue) -> NetworkConfig | None:
    """The network that plain data describe; None for something else, as of a foreign file."""
    try:
        return NetworkConfig.model_validate(given)
    except EdgevidError:
        return None


def _manifest(folder: Path, sha256: str) -> Mapping[str, Any] | None:
    """The manifest of a bundle, if it still is the one with that hash."""
    try:
        text = (folder / "manifest.json").read_bytes()
    except OSError:
        return None
    if hashlib.sha256(text).hexdigest() != sha256:
        return None
    found: Mapping[str, Any] = json.loads(text)
    return found
