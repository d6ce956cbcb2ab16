"""Reading a checkpoint of any known layout."""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

from edgevid.checkpoints.checkpoint import Checkpoint
from edgevid.checkpoints.claims import (
    refuse_other_layout,
    refuse_other_shift,
    refuse_senseless,
    unfitting,
)
from edgevid.checkpoints.flow import flow_defaults
from edgevid.checkpoints.gsm import read_gsm, recognise_gsm
from edgevid.checkpoints.infer import infer_shift, infer_structure
from edgevid.checkpoints.keys import Reading, check_keys
from edgevid.checkpoints.mit import read_mit, recognise_mit
from edgevid.checkpoints.mmaction2 import read_mmaction2, recognise_mmaction2
from edgevid.checkpoints.names import hints
from edgevid.checkpoints.native import read_native, recognise_native
from edgevid.checkpoints.non_local import infer_attention
from edgevid.checkpoints.preprocessing import normalization_of, sampling_of
from edgevid.checkpoints.s3d import (
    HOWTO100M,
    TORCHVISION_S3D,
    infer_s3d,
    read_s3d,
    recognise_s3d,
    s3d_defaults,
)
from edgevid.checkpoints.settings import (
    PARTS,
    Merger,
    check_flags,
    network_config,
    preset_settings,
    read_labels,
)
from edgevid.checkpoints.tensors import StateFile, open_state
from edgevid.checkpoints.unsupported import refuse_unsupported, unknown_layout
from edgevid.contract import Normalization, Sampling, Sourced
from edgevid.errors import CheckpointError, ConfigError, UnknownLayoutError
from edgevid.models import build
from edgevid.models.config import BackboneName, NetworkConfig
from edgevid.models.preset import Preset
from edgevid.models.presets_gsm import CAFFE_PIXELS, SIZES
from edgevid.models.registry import preset as find_preset
from edgevid.models.volume_config import VolumeConfig

__all__ = ["read"]

_LAYOUTS = (
    (recognise_gsm, read_gsm),
    (recognise_s3d, read_s3d),
    (recognise_mit, read_mit),
    (recognise_mmaction2, read_mmaction2),
    (recognise_native, read_native),
)
_WITH_VOLUMES = (recognise_gsm, recognise_s3d)
_SHIFT_SETTINGS = frozenset(("axes", "direction", "placement", "first", "rounding", "every", "repeats"))


def read(path: str | Path, *, preset: str | None = None, **flags: Any) -> Checkpoint:
    """Read a checkpoint, and say where every setting comes from.

    The layout is recognised by its keys. What weights cannot say comes from flags, the
    file's metadata, a preset, the file's or its folder's name, or a default, in this order.

    Args:
        path: a file of ``torch.save`` (the weights bare or under ``state_dict``, ``model``,
            ``net`` or ``model_state_dict``) or of safetensors. No code in it is run.
        preset: a name that `edgevid.models.registry.preset` knows.
        flags: settings by name; ``None`` means not given. Of the network: ``segments``,
            ``proportion`` (0 for no shift) or ``shift_div``, ``axes``, ``direction``, ``first``,
            ``rounding``, ``placement``, ``every``, ``repeats``, ``backbone``, ``classes``,
            ``blocks``, ``channels``, ``width``, ``expansion``, ``dropout``; ``gate``, ``volumes``,
            ``synthesis``, ``inflation`` and ``attention`` as configurations or their fields. Of
            the pixels: ``mean``, ``std`` (for values from 0 to 255), ``color``. Of the frames:
            ``mode``, ``window``, ``clips``, ``crops``, ``resize``, ``crop`` (or ``size``),
            ``library``, ``average``, and ``flow``, how optical flow is computed of videos. And ``labels``,
            a file or a list of names.

    Raises:
        CheckpointError: unreadable, or its weights are not finite.
        UnsafeCheckpointError: its pickle holds code.
        UnknownLayoutError: its keys are of no supported layout.
        KeyMismatchError: keys are missing, unexpected or misshapen.
        ConfigError: settings are unknown, or contradict each other or the keys.
    """
    path = Path(path)
    merger = Merger(path)
    merger.add("flag", check_flags(flags, path))
    known = None if preset is None else find_preset(preset)
    if known is not None:
        merger.add("preset", preset_settings(known))
    file = open_state(path)
    merger.add("file", check_flags(file.settings, path))
    named = hints(path)
    unsupported = named.pop("unsupported", None)
    merger.add("name", named)
    reading = _recognise(file, path, inflated=merger.says("inflation"))
    if unsupported is not None:
        raise UnknownLayoutError(
            f"by its name this network has {unsupported}, which edgevid does not support yet",
            where=path,
            fix="rename the file, if its name is wrong",
        )
    if known is not None and not file.settings:
        refuse_other_layout(reading, known, path)
        _follow_publisher(merger, known, reading.layout)
    try:
        plain = _structure(merger, reading)
        # A shift has no weights: the keys are checked first, so that a missing one is named as missing.
        state = _strict_state(reading, plain)
        config = _with_shift(merger, reading, plain)
    except CheckpointError as error:
        raise type(error)(error.what, where=path, fix=error.fix) from error
    chosen = merger.chosen
    channels = config.frame_channels
    normalization = normalization_of(merger, channels)
    sampling = sampling_of(merger, config.segments, channels)
    labels = _labels(merger, config, path)
    layout = "edgevid" if file.settings and reading.marks is None else reading.layout
    settings = {"layout": Sourced(layout, "file" if layout == "edgevid" else "keys"), **chosen}
    if file.converted:
        settings["dtype"] = Sourced(f"float32, converted from {' and '.join(file.converted)}", "keys")
    return Checkpoint(path, layout, config, state, normalization, sampling, labels, settings)


def _recognise(file: StateFile, path: Path, *, inflated: bool) -> Reading:
    keys = frozenset(file.tensors)
    volumes = any(recognise(keys) for recognise in _WITH_VOLUMES) or (inflated and recognise_native(keys))
    refuse_unsupported(file.tensors, path, volumes=volumes)
    for recognise, reader in _LAYOUTS:
        if recognise(keys):
            try:
                reading = reader(file.tensors)
            except CheckpointError as error:
                raise type(error)(error.what, where=f"{path}: {error.where}", fix=error.fix) from error
            if recognise_native(frozenset(reading.tensors)):
                return reading
    raise unknown_layout(file.tensors, path)


def _structure(merger: Merger, reading: Reading) -> NetworkConfig:
    """Choose the settings of the network but for its shift."""
    found = _inferred(merger, reading)
    merger.add("default", _defaults(merger, reading, found["backbone"]))
    if "frame_channels" in found:
        merger.add("default", flow_defaults(reading.layout, found["backbone"]))
        for name in ("mean", "std", "color"):  # a preset's are of pictures
            merger.candidates["preset"].pop(name, None)
    merger.add("keys", reading.facts)
    merger.add("keys", found)
    shown = {**found, "blocks": _known_blocks(merger)}
    merger.evidence = lambda name, claimed: unfitting(reading, shown, {name: claimed})
    backbone = merger.choose("backbone")
    inception = "inception" in backbone
    senseless = {"blocks", "channels"} if inception else {"width"}
    if backbone != "mobilenet_v2":
        senseless.add("expansion")
    # What mixes the frames of an Inception is seen in its keys; the rest belongs to other families.
    senseless |= {name for name in PARTS if inception and name not in found}
    refuse_senseless(merger, senseless, backbone)
    names = (
        *("classes", "blocks", "channels", "width", "expansion", "frame_channels"),
        *(*PARTS, "segments", "crop", "dropout"),
    )
    for name in names:
        if merger.says(name) and name not in senseless:
            merger.choose(name)
    plain = network_config(merger.chosen)
    if not inception:
        merger.chosen.setdefault("blocks", Sourced(plain.stage_blocks, "keys"))
    return plain


def _inferred(merger: Merger, reading: Reading) -> dict[str, Any]:
    """What the keys prove."""
    if not recognise_s3d(frozenset(reading.tensors)):
        return infer_structure(reading, _known_blocks(merger)) | _attention(merger, reading)
    found = infer_s3d(reading)
    volumes: VolumeConfig = found["volumes"]
    for settings in merger.candidates.values():
        claimed = settings.get("volumes")
        if isinstance(claimed, VolumeConfig) and _is_flat(claimed) and _is_flat(volumes):
            # Kernels of one frame do not show which kind they are.
            same = {"kernels": claimed.kernels, "temporal": claimed.temporal}
            found["volumes"] = volumes.model_copy(update=same)
    return found


def _attention(merger: Merger, reading: Reading) -> dict[str, Any]:
    """What the keys prove of non-local blocks, where there are some or something says so."""
    found = infer_attention(reading)
    claims = [settings["attention"] for settings in merger.candidates.values() if "attention" in settings]
    if found is None or found.pairwise == "gaussian" or reading.layout == "mit":
        return {"attention": found} if found or claims else {}
    if not claims:
        # The keys do not show whether it is a dot product.
        merger.add("default", {"attention": found})
        return {}
    embedded = (claim for claim in claims if claim is not None and claim.pairwise != "gaussian")
    return {"attention": next(embedded, found)}


def _is_flat(volumes: VolumeConfig) -> bool:
    first, end = volumes.temporal
    return first == end


def _follow_publisher(merger: Merger, known: Preset, layout: str) -> None:
    """Take a preset of neighbouring frames as the publisher of the keys does.

    A preset of the paper has the paper's pixels and frames, where two layouts of S3D show that the
    network was trained for others; and the window grows with the frames, as its stride stays.
    """
    asked = merger.strongest("segments", ("flag",))
    preset = merger.candidates["preset"]
    if known.config.volumes is not None and not known.layouts and layout in (TORCHVISION_S3D, HOWTO100M):
        merger.add("keys", s3d_defaults(layout, asked))
    elif known.sampling.interval is not None and isinstance(asked, int):
        preset["window"] = known.sampling.window * asked // known.config.segments


def _with_shift(merger: Merger, reading: Reading, plain: NetworkConfig) -> NetworkConfig:
    """Choose the settings of the shift as well."""
    shift = infer_shift(reading, plain)
    if shift is not None:
        merger.add("keys", {**shift, "shifted": bool(shift)})
    direction = merger.choose("direction")
    if not merger.choose_proportion(direction):
        del merger.chosen["direction"]
        return plain
    for name in ("axes", "first", "rounding", "placement", "every", "repeats"):
        if merger.says(name) and (name != "first" or direction == "bidirectional"):
            merger.choose(name)
    if "axes" in merger.chosen:
        refuse_other_shift(merger, reading)
    config = network_config(merger.chosen)
    merger.chosen.setdefault("every", Sourced(config.shift_every, "default"))
    return config


def _known_blocks(merger: Merger) -> tuple[int, ...] | None:
    """Blocks a stage of an unusual network, which only a flag or the metadata can say."""
    for source in ("flag", "file"):
        blocks = merger.candidates[source].get("blocks")
        if blocks is not None:
            deep = isinstance(blocks, (list, tuple)) and len(blocks) == 7
            backbone: BackboneName = "mobilenet_v2" if deep else "resnet50"
            return NetworkConfig(backbone=backbone, classes=1, blocks=blocks).stage_blocks
    return None


def _defaults(merger: Merger, reading: Reading, backbone: str) -> dict[str, Any]:
    """What is taken where nothing else says it."""
    asked = {name for source in merger.candidates.values() for name in source}
    plain = NetworkConfig(backbone="resnet50", classes=1)
    found: dict[str, Any] = plain.model_dump(include={"segments", "dropout"})
    found |= {"direction": "bidirectional", "first": "future", "rounding": "fold", "placement": "residual"}
    found |= {"axes": "T", "repeats": 1}
    if reading.layout == "mit-online":
        found |= {"direction": "unidirectional", "shift_div": 8}
    elif reading.marks is None and not asked & _SHIFT_SETTINGS:
        found["proportion"] = Fraction(0)
    else:
        found["shift_div"] = 8
    mmaction2 = reading.layout == "mmaction2"
    found |= asdict(CAFFE_PIXELS if backbone in SIZES else Normalization())
    found["crop"], resize = SIZES.get(backbone, (plain.size, None))
    if resize is not None and "crop" not in asked:
        found["resize"] = resize
    found |= {name: getattr(Sampling(), name) for name in ("mode", "window", "clips", "crops")}
    found["library"] = "opencv" if mmaction2 else "pil"
    found["average"] = "softmax" if mmaction2 else "logits"
    if backbone == "inception_v1":
        found |= s3d_defaults(reading.layout, merger.strongest("segments"))
    return found


def _strict_state(reading: Reading, config: NetworkConfig) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        expected = {key: tensor.shape for key, tensor in build(config).state_dict().items()}
    return check_keys(reading, expected, config.backbone)


def _labels(merger: Merger, config: NetworkConfig, path: Path) -> tuple[str, ...] | None:
    if not merger.says("labels"):
        merger.chosen["labels"] = Sourced(None, "default")
        return None
    labels = merger.choose("labels")
    if isinstance(labels, str) and merger.chosen["labels"].source != "flag":
        raise ConfigError(
            f"the file's metadata names a labels file, {labels!r}: only a flag may",
            where=path,
            fix="write the names themselves into the metadata, or give --labels",
        )
    return read_labels(labels, config.classes, path)
