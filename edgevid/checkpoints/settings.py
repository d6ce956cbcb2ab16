"""Settings of a checkpoint from all sources, merged by precedence, each with its source.

``flag`` stands before ``file`` (its metadata), ``keys``, ``preset``, ``name`` and
``default``. What the keys prove cannot be overruled: a flag, metadata, preset or name that
says otherwise is an error that names both.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

from edgevid.contract import Normalization, Sampling, Sourced
from edgevid.errors import ConfigError, VideoError
from edgevid.models.attention_config import AttentionConfig
from edgevid.models.config import NetworkConfig, ShiftConfig
from edgevid.models.frozen import Frozen
from edgevid.models.gate_config import GateConfig
from edgevid.models.inflation_config import InflationConfig
from edgevid.models.preset import Preset
from edgevid.models.synthesis_config import SynthesisConfig
from edgevid.models.volume_config import VolumeConfig
from edgevid.video.labels import read_labels as read_labels_file

__all__ = ["FLAGS", "SOURCES", "Merger", "check_flags", "network_config", "preset_settings", "read_labels"]

SOURCES = ("flag", "file", "keys", "preset", "name", "default")
"""From the strongest to the weakest."""

PARTS: Mapping[str, type[Frozen]] = {
    "gate": GateConfig,
    "volumes": VolumeConfig,
    "synthesis": SynthesisConfig,
    "inflation": InflationConfig,
    "attention": AttentionConfig,
}
"""Settings that are a part of the configuration with fields of its own."""

STRUCTURE = (
    *("backbone", "classes", "blocks", "channels", "expansion", "placement", "every", "repeats"),
    *("gate", "volumes", "attention", "frame_channels"),
)
_SHIFT = tuple(ShiftConfig.model_fields)
_NETWORK = (
    *("backbone", "classes", "segments", "blocks", "channels", "width", "expansion", "dropout"),
    *("frame_channels", *PARTS),
)
_NORMALIZATION = tuple(asdict(Normalization()))
_SAMPLING = tuple(name for name in asdict(Sampling()) if name != "segments")
FLAGS = (*_NETWORK, *_SHIFT, "shift_div", "size", *_NORMALIZATION, *_SAMPLING, "labels")
"""Names of all settings that `edgevid.checkpoints.read` takes."""


def check_flags(flags: Mapping[str, Any], where: object = None) -> dict[str, Any]:
    """The flags that are given (not ``None``), with ``size`` read as ``crop`` and `PARTS` validated.

    Raises:
        ConfigError: an unknown flag, two flags that contradict each other, or a part that makes no sense.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    for name in given:
        if name not in FLAGS:
            close = difflib.get_close_matches(name, FLAGS, n=3) or list(FLAGS)
            raise ConfigError(
                f"no setting named {name!r}", where=where, fix=f"take one of {', '.join(close)}"
            )
    for name, part in PARTS.items():
        if name in given:
            given[name] = part.model_validate(given[name])
    if "size" in given:
        size = given.pop("size")
        if given.setdefault("crop", size) != size:
            raise ConfigError(f"size {size} but crop {given['crop']}", where=where, fix="give one of them")
    return given


def preset_settings(preset: Preset) -> dict[str, Any]:
    """A preset as settings. Its number of classes and dropout are only an example's."""
    config = preset.config
    found: dict[str, Any] = {"backbone": config.backbone, "segments": config.segments}
    if config.shift is None:
        found["proportion"] = Fraction(0)
    else:
        found |= config.shift.model_dump(exclude={"every", "repeats"})
        found["proportion"] = config.shift.proportion
    if config.is_inception:
        found |= {"gate": config.gate, "volumes": config.volumes}
    elif not config.is_mobilenet:
        found["attention"] = config.attention
    for name in ("synthesis", "inflation"):
        if getattr(config, name) is not None:
            found[name] = getattr(config, name)
    found |= asdict(preset.normalization)
    sampling = {name: getattr(preset.sampling, name) for name in _SAMPLING}
    return found | {name: value for name, value in sampling.items() if value is not None}


class Merger:
    """Candidates for every setting, and the choice among them.

    Args:
        where: the file, for messages.

    Attributes:
        evidence: what of the file does not fit one of `PARTS` that is claimed, and what it lacks
            for it; for messages.
    """

    def __init__(self, where: object) -> None:
        self.where = where
        self.candidates: dict[str, dict[str, Any]] = {source: {} for source in SOURCES}
        self.chosen: dict[str, Sourced] = {}
        self.evidence: Callable[[str, Any], str] | None = None

    def add(self, source: str, settings: Mapping[str, Any]) -> None:
        """Candidates of one source."""
        self.candidates[source] |= settings

    def says(self, name: str) -> bool:
        """Some source has a value for it."""
        return any(name in settings for settings in self.candidates.values())

    def strongest(self, name: str, sources: Sequence[str] = SOURCES) -> Any:
        """The value of the strongest of ``sources`` that has one, or ``None``."""
        return next((self.candidates[each][name] for each in sources if name in self.candidates[each]), None)

    def choose(self, name: str) -> Any:
        """The value of the strongest source, which is recorded.

        Raises:
            ConfigError: a source contradicts what the keys prove.
        """
        for source in SOURCES:
            if name in self.candidates[source]:
                value = self.candidates[source][name]
                self._refuse_conflict(name, value, source)
                self.chosen[name] = Sourced(value, source)
                return value
        raise ConfigError(f"nothing says its {name}", where=self.where, fix=f"give the {name}")

    def choose_proportion(self, direction: str) -> Fraction:
        """The proportion, from whichever of ``proportion`` and ``shift_div`` the strongest source has.

        Raises:
            ConfigError: a source gives both and they differ, or contradicts the keys.
        """
        per_fold = 2 if direction == "bidirectional" else 1
        for settings in self.candidates.values():
            if "shift_div" in settings:
                divided = Fraction(per_fold, _positive(settings["shift_div"], self.where))
                if "proportion" in settings and _proportion(settings["proportion"]) != divided:
                    raise ConfigError(
                        f"proportion {settings['proportion']} but shift_div {settings['shift_div']}, "
                        f"which is {divided} when {direction}",
                        where=self.where,
                        fix="give one of them",
                    )
                settings["proportion"] = divided
            elif "proportion" in settings:
                settings["proportion"] = _proportion(settings["proportion"])
        self._refuse_shift_conflict()
        chosen: Fraction = self.choose("proportion")
        return chosen

    def _refuse_conflict(self, name: str, value: Any, source: str) -> None:
        keys = self.candidates["keys"]
        if name not in STRUCTURE or name not in keys:
            return
        for other in ("flag", "file", "preset", "name"):
            if name in self.candidates[other] and not _same(self.candidates[other][name], keys[name]):
                claimed = self.candidates[other][name]
                said, proven = _differing(claimed, keys[name])
                evidence = self.evidence(name, claimed) if name in PARTS and self.evidence else ""
                raise ConfigError(
                    f"the {_title(other)} says {name} {said}, but the keys say {proven}" + evidence,
                    where=self.where,
                    fix=_way_out(other, name),
                )

    def _refuse_shift_conflict(self) -> None:
        shifted = self.candidates["keys"].get("shifted")
        if shifted is None:
            return
        for other in ("flag", "file", "preset", "name"):
            claimed = self.candidates[other].get("proportion")
            if claimed is not None and (claimed > 0) != shifted:
                says = f"a shift of proportion {claimed}" if claimed > 0 else "no shift"
                has = "wrap convolutions in a shift (.net)" if shifted else "have no shift (.net)"
                raise ConfigError(
                    f"the {_title(other)} says {says}, but the keys {has}",
                    where=self.where,
                    fix=_way_out(other, "proportion"),
                )
        if not shifted:
            self.candidates["keys"]["proportion"] = Fraction(0)


def _differing(claimed: Any, proven: Any) -> tuple[str, str]:
    """Both as text; of two parts only the fields that are not the same."""
    if not isinstance(claimed, Frozen) or type(claimed) is not type(proven):
        return str(claimed), str(proven)
    fields = [name for name in type(proven).model_fields if getattr(claimed, name) != getattr(proven, name)]
    said, shown = (
        " ".join(f"{name}={getattr(part, name)!r}" for name in fields) for part in (claimed, proven)
    )
    return said, shown


def _same(claimed: Any, proven: Any) -> bool:
    # Flags may come as text, and metadata as JSON lists.
    if isinstance(proven, tuple):
        return isinstance(claimed, (list, tuple)) and list(map(str, claimed)) == list(map(str, proven))
    return str(claimed) == str(proven)


def _title(source: str) -> str:
    return {"flag": "flag", "file": "file's metadata", "preset": "preset", "name": "file name"}[source]


def _way_out(source: str, name: str) -> str:
    return {
        "flag": f"leave {name} out, or take the checkpoint that it belongs to",
        "file": "write the file again with edgevid.checkpoints.write",
        "preset": "take the preset of this network, or none",
        "name": "rename the file, if its name is wrong, or take the right file",
    }[source]


def _proportion(value: Any) -> Fraction:
    return ShiftConfig(proportion=value).proportion


def _positive(value: Any, where: object) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"shift_div is {value!r}, not a whole number", where=where) from error
    if number < 1:
        raise ConfigError(f"shift_div is {number}", where=where, fix="give 1 or more; published is 8")
    return number


def read_labels(value: Any, classes: int, where: object) -> tuple[str, ...]:
    """Class names from a sequence, or from a file, see `edgevid.video.labels.read_labels`.

    Raises:
        ConfigError: the file cannot be read, or has another number of names than classes.
    """
    if isinstance(value, (str, Path)):
        try:
            return tuple(read_labels_file(value, classes))
        except VideoError as error:
            raise ConfigError(error.what, where=error.where, fix=error.fix) from error
    if not isinstance(value, Sequence) or not all(isinstance(name, str) for name in value):
        raise ConfigError("labels are no list of names", where=where, fix="give one name a line")
    if len(value) != classes:
        raise ConfigError(
            f"{len(value)} labels for {classes} classes", where=where, fix="give the labels of this network"
        )
    return tuple(value)


def network_config(chosen: Mapping[str, Sourced]) -> NetworkConfig:
    """The configuration that the chosen settings make.

    Raises:
        ConfigError: they contradict each other.
    """
    values = {name: item.value for name, item in chosen.items()}
    fields = {name: values[name] for name in _NETWORK if name in values}
    shift = None
    if values.get("proportion"):
        shift = ShiftConfig(**{name: values[name] for name in _SHIFT if name in values})
    config = NetworkConfig(size=values["crop"], shift=shift, **fields)
    standard = NetworkConfig(backbone=config.backbone, classes=1)
    # One network has one configuration: what is standard is not spelled out.
    update: dict[str, Any] = {}
    if config.widths == standard.widths:
        update["channels"] = None
    if config.stage_blocks == standard.stage_blocks:
        update["blocks"] = None
    if config.shift is not None:
        published = config.model_copy(update={"shift": config.shift.model_copy(update={"every": None})})
        if config.shift_every == published.shift_every:
            update["shift"] = published.shift
    return config.model_copy(update=update)
