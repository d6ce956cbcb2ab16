"""What `edgevid compare` found of accuracy, beside what was measured of latency.

A network is the same one if its bundle's manifest has the same hash; where one side knows no hash, if it has
the same name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from edgevid.bench.report.measured import Measured
from edgevid.bench.results import Label, VariantRecord
from edgevid.bench.summary import Estimate

__all__ = ["Accuracies", "Network", "Point", "Share", "against_latency", "of_variant", "without_latency"]


class _View(BaseModel):
    """The part of a file that the report shows."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Share(_View):
    """From 0 to 1, with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


class Network(_View):
    """One network of a comparison. ``top1`` and ``top5`` are ``None`` where no labels were known."""

    name: str
    label: Label
    note: str = ""
    sha256: str
    precision: str = ""
    bytes: int | None = None
    top1: Share | None = None
    top5: Share | None = None


class Videos(_View):
    """What the networks were shown."""

    source: str
    videos: int
    labelled: int


class Accuracies(_View):
    """A file that ``edgevid compare -o`` wrote.

    Attributes:
        file: its name.
        command: that wrote it.
        data: the videos.
        variants: the networks, the reference first.
        latency: the result of timing them, as it stands in the file; ``None`` where none was done.
        notes: of the comparison.
    """

    file: str
    command: tuple[str, ...]
    data: Videos
    variants: tuple[Network, ...]
    latency: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Point:
    """Accuracy and latency of one network.

    Attributes:
        name: of the network.
        labels: what the two figures are worth, where they were not measured.
        milliseconds: of one run.
        measured: where the latency is from.
    """

    name: str
    labels: tuple[Label, ...]
    top1: Share
    milliseconds: Estimate
    measured: Measured


def against_latency(accuracies: Sequence[Accuracies], results: Sequence[Measured]) -> list[Point]:
    """Every network whose top-1 and latency are both known, once for each result that timed it."""
    points = []
    for network in _networks(accuracies):
        for measured in results:
            for record in measured.candidates:
                figure = measured.summary[record.name].wall_ms
                if network.top1 and figure and _same(network, record):
                    labels = tuple({network.label, record.label} - {"measured"})
                    points.append(Point(network.name, labels, network.top1, figure, measured))
    return points


def without_latency(accuracies: Sequence[Accuracies], results: Sequence[Measured]) -> list[str]:
    """Names of networks whose accuracy is known, and whose latency none of the results holds."""
    records = [record for measured in results for record in measured.candidates]
    return [
        network.name
        for network in _networks(accuracies)
        if network.top1 and not any(_same(network, record) for record in records)
    ]


def of_variant(record: VariantRecord, accuracies: Sequence[Accuracies]) -> Network | None:
    """The network that a variant is, with its accuracy; ``None`` if no comparison has it."""
    return next((each for each in _networks(accuracies) if each.top1 and _same(each, record)), None)


def _networks(accuracies: Sequence[Accuracies]) -> list[Network]:
    return [network for found in accuracies for network in found.variants]


def _same(network: Network, record: VariantRecord) -> bool:
    if record.bundle is not None:
        return network.sha256 == record.bundle.manifest_sha256
    return network.name == record.name
