"""Three layouts of S3D: kylemin/S3D, torchvision's ``s3d``, and S3D-G of the HowTo100M release.

kylemin's keys are ours, but for its classifier ``fc.0``, a 1x1x1 convolution, which is a dense
layer here; what we write ourselves has ``fc``. torchvision's are the same tensors in the same
order. The HowTo100M release holds a text network beside the video network: what is read of it is
what it calls ``mixed_5c``, the averaged features, and neither the text network nor the layer that
maps the features to texts. Saved without the text network, that layer is the classifier.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import torch

from edgevid.checkpoints.keys import Reading, rename
from edgevid.errors import CheckpointError, KeyMismatchError
from edgevid.models.presets_s3d import RELEASES
from edgevid.models.volume_config import UNITS, Gating, VolumeConfig

__all__ = [
    "HOWTO100M",
    "S3D_LAYOUTS",
    "TORCHVISION_S3D",
    "infer_s3d",
    "read_s3d",
    "recognise_s3d",
    "s3d_defaults",
]

Tensors = Mapping[str, torch.Tensor]

S3D_LAYOUTS = tuple(RELEASES)
KYLEMIN, TORCHVISION_S3D, HOWTO100M = S3D_LAYOUTS

_SIGNATURES = {
    KYLEMIN: re.compile(r"base\.\d+\.(branch\d|conv_[st]|bn_[st])\."),
    TORCHVISION_S3D: re.compile(r"features\.\d+\.branch\d\."),
    HOWTO100M: re.compile(r"mixed_\d[b-f]\.(conv|gating)_b\d|conv_2c\.(conv|bn)\d\."),
}
_MIXED = MappingProxyType(dict(zip(UNITS[2:], (5, 6, 8, 9, 10, 11, 12, 14, 15), strict=True)))
"""Where mixed blocks stand behind ``base``."""

_SEPARABLE = frozenset({"base.3", *(f"base.{n}.branch{b}.1" for n in _MIXED.values() for b in (1, 2))})
_BRANCHES = {"b0": "branch0.0", "b1_a": "branch1.0", "b2_a": "branch2.0"} | {
    "b1_b": "branch1.1",
    "b2_b": "branch2.1",
    "b3_b": "branch3.1",
}
_LAYERS = MappingProxyType(
    {"conv1": "base.0", "conv_2b": "base.2", "conv_2c": "base.3"}
    | {f"{name}.conv_{b}": f"base.{n}.{ours}" for name, n in _MIXED.items() for b, ours in _BRANCHES.items()}
)
_ENDS = ("branch0.0", "branch1.1", "branch2.1", "branch3.1")
_GATES = MappingProxyType(
    {"gating": "base.3"}
    | {
        f"{name}.gating_b{b}": f"base.{n}.{gate}"
        for name, n in _MIXED.items()
        for b, gate in enumerate(_ENDS)
    }
)
"""Modules of the HowTo100M release, by their names there."""


def recognise_s3d(keys: frozenset[str]) -> bool:
    """One of the three layouts, or an Inception-V1 over volumes that we wrote."""
    return any(pattern.match(key) for key in keys for pattern in _SIGNATURES.values())


def s3d_defaults(layout: str, segments: object = None) -> dict[str, Any]:
    """Settings that nothing in a file of one of the three layouts says, as its publisher has them.

    Args:
        layout: one of `S3D_LAYOUTS`.
        segments: frames a clip, where something else says them: the window grows with them.
    """
    release = RELEASES[layout]
    frames = segments if isinstance(segments, int) and segments > 0 else release.segments
    found: dict[str, Any] = {"segments": frames, "window": frames * release.stride, "mode": "dense"}
    return found | {"interval": release.interval, **asdict(release.pixels)}


def read_s3d(tensors: Tensors) -> Reading:
    """The checkpoint in our keys.

    Requires:
        `recognise_s3d` holds of its keys.

    Raises:
        KeyMismatchError: two keys mean the same weight.
    """
    counts = {name: sum(bool(pattern.match(key)) for key in tensors) for name, pattern in _SIGNATURES.items()}
    layout = max(counts, key=lambda name: counts[name])
    kept = dict(tensors)
    if layout == HOWTO100M:
        dropped = ("text_module.", "fc.") if any(key.startswith("text_module.") for key in kept) else ()
        kept = {key: tensor for key, tensor in kept.items() if not key.startswith(dropped)}
        if "conv1.conv1.weight" in kept:
            kept["conv1.conv1.weight"] = _on_pixels(kept["conv1.conv1.weight"])
    for key in ("fc.0.weight", "classifier.1.weight"):
        if key in kept and kept[key].dim() == 5 and kept[key].shape[2:] == (1, 1, 1):
            kept[key] = kept[key].flatten(1)
    translate = {KYLEMIN: _kylemin, TORCHVISION_S3D: _torchvision, HOWTO100M: _howto100m}[layout]
    return rename(layout, kept, translate, wrapped=False)


def infer_s3d(reading: Reading) -> dict[str, Any]:
    """Backbone, classes, volumes and width, as fields of `NetworkConfig`.

    Raises:
        CheckpointError: it takes something else than RGB frames.
        KeyMismatchError: it has no classifier.
    """
    tensors = reading.tensors
    stem = next((key for key in ("base.0.conv_s.weight", "base.0.conv.weight") if key in tensors), None)
    shape = () if stem is None else tuple(tensors[stem].shape)
    if stem is not None and len(shape) == 5 and shape[1] != 3:
        raise CheckpointError(
            f"{reading.originals[stem]} takes {shape[1]} channels, not RGB frames",
            fix="optical flow is not supported: take the RGB network",
        )
    howto100m = reading.layout == HOWTO100M or shape[2:] == (4, 8, 8)
    classes = _most(tensors, ("fc.bias", "fc.weight"))
    if classes is None and not howto100m:
        raise KeyMismatchError(
            "no classifier: fc.weight and fc.bias are missing",
            fix="load a file that was saved with its head, not a feature extractor",
        )
    ends = ("branch0.0.bn", "branch1.1.bn_t", "branch2.1.bn_t", "branch3.1.bn")
    features = sum(_most(tensors, [f"base.15.{end}.{leaf}" for leaf in _LEAVES]) or 0 for end in ends)
    narrow = _most(tensors, ["base.2.conv.weight", *(f"base.2.bn.{leaf}" for leaf in _LEAVES)])
    return {
        "backbone": "inception_v1",
        # Wider ones than the published are not known; their shapes are named as what does not fit.
        "width": min(Fraction(narrow or 64, 64), Fraction(1)),
        "classes": classes or features,
        "volumes": _volumes(tensors, howto100m, has_head=classes is not None),
    }


_LEAVES = ("weight", "bias", "running_mean", "running_var")


def _volumes(tensors: Tensors, howto100m: bool, *, has_head: bool) -> VolumeConfig:
    gating: Gating = "none"
    gates = [key for key in tensors if ".gate.fc." in key]
    if gates:
        gating = "branches" if any(re.search(r"\.branch[03]\.", key) for key in gates) else "temporal"
    if howto100m:
        return VolumeConfig(gating=gating, release="howto100m", head="classifier" if has_head else "features")
    places = ("base.0", "base.3", *(f"base.{number}.branch1.1" for number in _MIXED.values()))
    kinds = [_kind(tensors, place) for place in places]
    reaching = [index for index, kind in enumerate(kinds) if kind is not None]
    return VolumeConfig(
        kernels="full" if kinds.count("full") > kinds.count("separable") else "separable",
        temporal=(reaching[0], reaching[-1] + 1) if reaching else (0, 0),
        gating=gating,
    )


def _kind(tensors: Tensors, place: str) -> str | None:
    """How a layer reaches over time; None if it does not."""
    if any(key.startswith((f"{place}.conv_t.", f"{place}.bn_t.")) for key in tensors):
        return "separable"
    weight = tensors.get(f"{place}.conv.weight")
    return "full" if weight is not None and weight.dim() == 5 and weight.shape[2] > 1 else None


def _kylemin(key: str) -> str:
    return f"fc.{key.removeprefix('fc.0.')}" if key.startswith("fc.0.") else key


def _torchvision(key: str) -> str:
    """Sequences of a convolution and a norm, or of two such, to the names of their parts."""
    if key.startswith("classifier.1."):
        return f"fc.{key.removeprefix('classifier.1.')}"
    match = re.fullmatch(r"features\.(\d+(?:\.branch0|\.branch[1-3]\.\d)?)\.([01])(?:\.([01]))?\.(\w+)", key)
    if match is None:
        return key
    place, first, second, leaf = match.groups()
    place += ".0" if place.endswith("branch0") else ""
    part = ("conv", "bn")[int(first if second is None else second)]
    half = "" if second is None else ("_s", "_t")[int(first)]
    return f"base.{place}.{part}{half}.{leaf}"


def _howto100m(key: str) -> str:
    module, _, rest = key.rpartition(".")[0].rpartition(".")
    leaf = key.rpartition(".")[2]
    if module in _GATES and rest == "fc":
        return f"{_GATES[module]}.gate.fc.{leaf}"
    match = re.fullmatch(r"(conv|bn)([12])", rest)
    if module not in _LAYERS or match is None:
        return key
    place = _LAYERS[module]
    if place in _SEPARABLE:
        return f"{place}.{match[1]}_{'s' if match[2] == '1' else 't'}.{leaf}"
    return f"{place}.{match[1]}.{leaf}" if match[2] == "1" else key


def _on_pixels(weight: torch.Tensor) -> torch.Tensor:
    """Weights over channels of 2 x 2 x 2 pixels as weights over pixels, see `JoinedStem`.

    The channels are in the order of time, row, column, colour.
    """
    if weight.dim() != 5 or weight.shape[1:] != (24, 2, 4, 4):
        return weight
    outputs = weight.shape[0]
    apart = weight.reshape(outputs, 2, 2, 2, 3, 2, 4, 4)
    return apart.permute(0, 4, 5, 1, 6, 2, 7, 3).reshape(outputs, 3, 4, 8, 8)


def _most(tensors: Tensors, names: Iterable[str]) -> int | None:
    """The length of the first axis that most of ``names`` have; None if none is there."""
    lengths = Counter(tensors[name].shape[0] for name in names if name in tensors and tensors[name].dim() > 0)
    return lengths.most_common(1)[0][0] if lengths else None
