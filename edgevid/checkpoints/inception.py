"""Keys of the Caffe releases of BN-Inception and Inception-V3, as TSN, TSM and GSM name them.

A layer ``NAME`` of BN-Inception is ``NAME`` and ``NAME_bn``, of Inception-V3 ``NAME_Conv2D`` and
``NAME_batchnorm``; a gate of GSM is ``gsm_`` and the convolution's name. In our keys all of them
are parts of ``units.NAME``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import torch

from edgevid.checkpoints.keys import name_in_file, torchvision_key
from edgevid.errors import UnknownLayoutError
from edgevid.models import bn_inception, inception_v3
from edgevid.models.gate_config import GateConfig
from edgevid.models.inception import Block, Stem, convolutions, gate_places

__all__ = ["GATE_PARTS", "gate_key", "inception_key", "infer_inception", "is_inception"]

GATE_PARTS = {
    "conv3D.weight": "taps.weight",
    "conv3D.bias": "bias",
    **{f"bn.{leaf}": f"bn.{leaf}" for leaf in ("weight", "bias", "running_mean", "running_var")},
}
"""What a published gate consists of, and our names."""

_NETWORKS: Mapping[str, tuple[Stem, Sequence[Block]]] = {
    "bn_inception": (bn_inception.STEM, bn_inception.BLOCKS),
    "inception_v3": (inception_v3.STEM, inception_v3.BLOCKS),
}
_PUBLISHED = re.compile(
    r"(base_model\.)?(gsm_)?(conv\d_[37]x[37]\w*|inception_\d[a-e]_\w+|(conv|mixed)\w*_(Conv2D|batchnorm))\."
)


def is_inception(keys: Iterable[str]) -> bool:
    """Layers are named as in one of the two releases."""
    return any(_PUBLISHED.match(key) for key in keys)


def inception_key(key: str) -> str:
    """A published key to ours; one that is none stays as it is."""
    key = key.removeprefix("base_model.")
    head = torchvision_key(key, nested=False, head="fc")
    gate = re.fullmatch(r"gsm_(\w+?)(?:_Conv2D)?\.((?:conv3D|bn)\.\w+)", key)
    layer = re.fullmatch(r"(\w+?)(_bn|_batchnorm|_Conv2D)?\.(\w+)", key)
    if head.startswith("fc."):
        return head
    if gate:
        return f"units.{gate[1]}.gate.{GATE_PARTS.get(gate[2], gate[2])}"
    if layer:
        part = "bn" if layer[2] in ("_bn", "_batchnorm") else "conv"
        return f"units.{layer[1]}.{part}.{layer[3]}"
    return key


def gate_key(key: str, originals: Mapping[str, str]) -> str:
    """What a missing key would be called in the file, where it is of a gate by the release's names.

    Args:
        key: ours.
        originals: our key to the key in the file.
    """
    match = re.fullmatch(r"units\.(\w+)\.gate\.(.+)", key)
    conv = None if match is None else originals.get(f"units.{match[1]}.conv.weight")
    parts = {ours: theirs for theirs, ours in GATE_PARTS.items()}
    if match is None or conv is None or conv.startswith("units.") or match[2] not in parts:
        return name_in_file(key, originals)
    module = conv.removesuffix(".weight")
    prefix = "base_model." if module.startswith("base_model.") else ""
    return f"{prefix}gsm_{module.removeprefix(prefix)}.{parts[match[2]]}"


def infer_inception(tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Backbone, width and gates, as fields of `NetworkConfig`, from tensors by our keys.

    Raises:
        UnknownLayoutError: gates stand where no published network has them.
    """
    units = {match[1] for match in map(re.compile(r"units\.(\w+)\.").match, tensors) if match}
    names = {
        backbone: [conv.name for conv in convolutions(*tables)] for backbone, tables in _NETWORKS.items()
    }
    backbone = max(names, key=lambda name: len(units & set(names[name])))
    tables = _NETWORKS[backbone]
    widths: Counter[Fraction] = Counter()
    for conv in convolutions(*tables):
        weight = tensors.get(f"units.{conv.name}.conv.weight")
        if weight is not None and weight.dim() > 0:
            widths[Fraction(weight.shape[0], conv.channels)] += 1
    width = widths.most_common(1)[0][0] if widths else Fraction(1)
    if backbone == "bn_inception" and any(key.startswith("net3d.") for key in tensors):
        backbone = "eco_bn_inception"
    return {
        "backbone": backbone,
        # Wider ones than the published are not known; their shapes are named as what does not fit.
        "width": min(width, Fraction(1)),
        "gate": _gate(tensors, gate_places(*tables)),
    }


def _gate(tensors: Mapping[str, torch.Tensor], places: tuple[str, ...]) -> GateConfig | None:
    gated = {match[1] for match in map(re.compile(r"units\.(\w+)\.gate\.").match, tensors) if match}
    if not gated:
        return None
    if strange := sorted(gated - set(places)):
        raise UnknownLayoutError(
            f"it has gates behind {', '.join(strange[:4])}, where no published network has them",
            fix=f"gates are read behind {', '.join(places)}",
        )
    first = min(map(places.index, gated))
    if missing := [name for name in places[first:] if name not in gated]:
        raise UnknownLayoutError(
            f"it has a gate behind {places[first]}, but none behind {', '.join(missing[:4])}",
            fix="gates stand in neighbouring blocks, up to the last one: check that the file is complete",
        )
    return GateConfig(count=len(gated), norm=any(".gate.bn." in key for key in tensors))
