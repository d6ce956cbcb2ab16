"""The efficiency tables of the papers: which networks they compare, and what they measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgevid.errors import ConfigError
from edgevid.models.presets_stsm import ALPHAS
from edgevid.models.volume_config import UNITS

__all__ = ["TABLES", "PublishedRow", "PublishedTable", "find_table"]


@dataclass(frozen=True)
class PublishedRow:
    """One network of a table. None stands where no figure was published, or none was checked.

    Attributes:
        title: as the table calls it; unique there.
        preset: name of the network.
        proportion: of its shift, in the place of the preset's; empty for the preset's own.
        one_frame: it takes one frame a call, and not whole clips.
        milliseconds: a run of one clip, or of one frame.
        clips_a_second: at the table's larger batch.
        parameters: in millions.
        gmacs: billions of multiply-accumulates, as the table counts them.
        note: what a reader must know of the row.
    """

    title: str
    preset: str
    proportion: str = ""
    one_frame: bool = False
    milliseconds: float | None = None
    clips_a_second: float | None = None
    parameters: float | None = None
    gmacs: float | None = None
    note: str = ""


@dataclass(frozen=True)
class PublishedTable:
    """A table that is remade.

    Attributes:
        name: what it is asked for by.
        title: what it shows.
        source: paper and table.
        machine: that the paper measured on; empty where it published no time, or did not name it.
        reference: title of the row that the others are divided by.
        batches: clips a call that are measured; latency is that of 1.
        per: what a run is divided by in comparisons.
        rows: in the paper's order.
    """

    name: str
    title: str
    source: str
    machine: str
    reference: str
    rows: tuple[PublishedRow, ...]
    batches: tuple[int, ...] = (1,)
    per: Literal["clip", "frame"] = "clip"

    def row(self, title: str) -> PublishedRow:
        """The row of that title.

        Raises:
            ConfigError: there is none.
        """
        for row in self.rows:
            if row.title == title:
                return row
        raise ConfigError(f"the table {self.name} has no row {title!r}", where=self.name)


_TSM_4 = PublishedTable(
    name="tsm-4",
    title="Latency and throughput of TSM and of what it is compared with",
    source="TSM (ICCV 2019) table 4",
    machine="NVIDIA Tesla P100",
    reference="TSM-8F",
    batches=(1, 16),
    rows=(
        PublishedRow(
            "I3D",
            "i3d-resnet50",
            milliseconds=165.3,
            clips_a_second=6.1,
            parameters=35.3,
            gmacs=306,
            note="the paper counts the work of 2 clips of 32 frames, and parameters with non-local blocks; "
            "here it is one clip, without them",
        ),
        PublishedRow(
            "I3D, non-local", "nl-i3d-resnet50", parameters=35.3, gmacs=336, note="of table 2, for 2 clips"
        ),
        PublishedRow("ECO-16F", "eco-16f", milliseconds=30.6, clips_a_second=45.6, parameters=47.5, gmacs=64),
        PublishedRow(
            "Temporal-1D",
            "temporal1d-resnet50",
            milliseconds=46.0,
            clips_a_second=19.9,
            parameters=72.1,
            gmacs=107,
        ),
        PublishedRow(
            "I3D-3x1x1",
            "i3d-3x1x1-resnet50",
            milliseconds=25.8,
            clips_a_second=42.4,
            parameters=29.3,
            gmacs=33,
        ),
        PublishedRow(
            "TSM-8F", "tsm-resnet50", milliseconds=17.4, clips_a_second=77.4, parameters=24.3, gmacs=33
        ),
        PublishedRow(
            "TSM-16F", "tsm-resnet50-16f", milliseconds=29.0, clips_a_second=39.5, parameters=24.3, gmacs=65
        ),
    ),
)

_TSM_5 = PublishedTable(
    name="tsm-5",
    title="What the online shift adds to a frame",
    source="TSM (ICCV 2019) section 4.2, table 5",
    machine="",
    reference="TSN",
    per="frame",
    rows=(
        PublishedRow("TSN", "tsn-resnet50", one_frame=True, milliseconds=8.5),
        PublishedRow(
            "TSM, offline", "tsm-resnet50", note="takes the frames of a clip at once; a frame is its part"
        ),
        PublishedRow("TSM, online", "tsm-resnet50-online", one_frame=True, milliseconds=9.1),
    ),
)

_STSM_1 = PublishedTable(
    name="stsm-1",
    title="Latency against the share of channels that move",
    source="STSM (Mathematics 2022) table 1, which published no times",
    machine="",
    reference="alpha = 0",
    rows=tuple(
        PublishedRow(f"alpha = {alpha}", "stsm-resnet50", proportion=str(alpha), gmacs=33, parameters=24.3)
        for alpha in ALPHAS
    ),
)


def _partial(title: str, kernels: str) -> tuple[PublishedRow, ...]:
    """Networks that reach over time in the uppermost or in the lowest K layers, K ascending."""
    return tuple(
        PublishedRow(f"{side} {title}, K = {count}", f"{side.lower()}-{kernels}-{count}")
        for side in ("Top-heavy", "Bottom-heavy")
        for count in range(1, len(UNITS))
    )


_S3D_4 = PublishedTable(
    name="s3d-fig4",
    title="Where convolutions over time stand, against work and latency",
    source="S3D (ECCV 2018) section 4.2, figure 4, which published no times",
    machine="",
    reference="I3D",
    rows=(
        PublishedRow("I2D", "i2d"),
        *_partial("I3D", "i3d"),
        PublishedRow("I3D", "i3d", parameters=12.06, gmacs=107.89),
        *_partial("S3D", "s3d"),
        PublishedRow("S3D", "s3d", parameters=8.77, gmacs=66.38),
    ),
)

_GSM_2 = PublishedTable(
    name="gsm-2",
    title="What gates add to BN-Inception",
    source="GSM (CVPR 2020) table 2, which published no times",
    machine="",
    reference="BN-Inception",
    rows=(
        PublishedRow("BN-Inception", "tsn-bninception", parameters=10.45, gmacs=16.37),
        PublishedRow("1 gate", "gsm-bninception-1gate", parameters=10.46, gmacs=16.37),
        PublishedRow("5 gates", "gsm-bninception-5gates", parameters=10.48, gmacs=16.39),
        PublishedRow("10 gates", "gsm-bninception", parameters=10.50, gmacs=16.46),
    ),
)

TABLES = (_TSM_4, _TSM_5, _STSM_1, _S3D_4, _GSM_2)


def find_table(name: str) -> PublishedTable:
    """The table of that name.

    Raises:
        ConfigError: there is none.
    """
    for table in TABLES:
        if table.name == name:
            return table
    raise ConfigError(
        f"no table named {name!r}",
        where=f"--table {name}",
        fix=f"take one of {', '.join(table.name for table in TABLES)}",
    )
