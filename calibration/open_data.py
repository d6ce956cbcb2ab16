"""The videos that a command names, sampled as a bundle wants them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from edgevid.bundle import Bundle
from edgevid.calibration.data import Data, find_videos
from edgevid.calibration.shards import is_pack, open_pack
from edgevid.contract import Sampling
from edgevid.errors import ConfigError
from edgevid.video.labels import read_labels
from edgevid.video.sample import check_sampling

__all__ = ["open_data", "open_videos", "sampling_and_labels"]


def open_data(
    place: Path, bundle: Path, *, labels: Path | None = None, **options: Any
) -> tuple[tuple[str, ...], Data]:
    """What `open_videos` gives for a bundle, and the names of its classes; none if nothing tells them.

    Args:
        place: a list, a folder or a video; or a folder of packed clips, which says its own sampling.
        bundle: folder; says the sampling, and the names of the classes.
        labels: file of names instead of the bundle's.
        options: of `open_videos`.

    Raises:
        BundleError: no bundle there.
        VideoError: no video there, damaged packed clips, or names that are not one a class.
        ConfigError: see `open_videos`.
    """
    opened = Bundle.open(bundle)
    manifest = opened.manifest
    names = read_labels(labels, opened.artifact().output.shape[1]) if labels else manifest.labels
    return tuple(names or ()), open_videos(place, manifest.sampling, labels=names, **options)


def open_videos(place: Path, sampling: Sampling, **options: Any) -> Data:
    """Packed clips if ``place`` is a folder of them, else what `find_videos` finds with ``options``.

    Raises:
        VideoError: no video there, or damaged packed clips.
        ConfigError: the frame template does not number files, or beginnings are wanted of packed clips.
    """
    if not is_pack(place):
        return find_videos(place, sampling, **options)
    if options.get("shares"):
        raise ConfigError(
            "packed clips are of whole videos: their beginnings are not there",
            where="--early",
            fix="give the videos that were packed as --data",
        )
    return open_pack(place)


def sampling_and_labels(bundle: Path | None, **changes: Any) -> tuple[Sampling, list[str] | None]:
    """A bundle's sampling with the given fields of `Sampling` instead, and its class names.

    Without a bundle TSM's own sampling: the centres of 8 segments, 224 pixels of 256. A crop without a
    short side takes one that is larger by the same ratio.

    Raises:
        BundleError: no bundle there.
        ConfigError: a sampling that no video can satisfy.
    """
    manifest = Bundle.open(bundle).manifest if bundle else None
    sampling = manifest.sampling if manifest else Sampling()
    given = {name: value for name, value in changes.items() if value is not None}
    if "crop" in given and "resize" not in given:
        given["resize"] = round(given["crop"] * sampling.resize / sampling.crop)
    changed = replace(sampling, **given)
    check_sampling(changed)
    return changed, manifest.labels if manifest else None
