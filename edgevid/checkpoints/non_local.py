"""Keys of non-local blocks, as TSM's published code and mmaction2 wrap them around residual blocks.

A wrapper holds the residual block under ``block``, and what follows it under ``nl`` or
``non_local_block``. Theirs are 1x1x1 convolutions over volumes; ours are 1x1 over stacked frames.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

import torch

from edgevid.checkpoints.keys import Reading
from edgevid.errors import UnknownLayoutError
from edgevid.models.attention_config import AttentionConfig

__all__ = ["infer_attention", "is_non_local", "non_local_key", "over_frames"]

_PARTS = {"g.0": "g", "phi.0": "phi", "theta": "theta", "W.0": "out", "W.1": "bn"} | {
    "g.0.conv": "g",
    "phi.0.conv": "phi",
    "theta.conv": "theta",
    "conv_out.conv": "out",
    "conv_out.bn": "bn",
}
_PUBLISHED = re.compile(r"(layer\d\.\d+)\.(?:nl|non_local_block)\.([\w.]+)\.(\w+)")
_BLOCK = re.compile(r"(layer\d\.\d+)\.block(?=\.|$)")
_OURS = re.compile(r"(layer\d\.\d+)\.attention\.(\w+)\.")


def is_non_local(key: str) -> bool:
    """The key is of a non-local block, as published."""
    return re.search(r"\.(nl|non_local_block)\.", key) is not None


def non_local_key(key: str) -> str:
    """A key of a wrapper, which may be incomplete, to ours; what is not published stays as it is."""
    match = _PUBLISHED.fullmatch(key)
    if match and match[2] in _PARTS:
        return f"{match[1]}.attention.{_PARTS[match[2]]}.{match[3]}"
    return _BLOCK.sub(r"\1", key)


def over_frames(reading: Reading) -> Reading:
    """The same with the convolutions of non-local blocks over stacked frames.

    mmaction2's last one has no bias, since a batch norm follows: it is filled in as zeros.
    """
    tensors, originals = dict(reading.tensors), dict(reading.originals)
    for key, tensor in reading.tensors.items():
        if not _OURS.match(key):
            continue
        if tensor.dim() == 5 and tensor.shape[2:] == (1, 1, 1):
            tensors[key] = tensor[..., 0]
        module, _, leaf = key.rpartition(".")
        bias = f"{module}.bias"
        if (module.endswith(".out"), leaf, reading.layout) == (True, "weight", "mmaction2"):
            tensors.setdefault(bias, torch.zeros(tensor.shape[:1]))
            originals.setdefault(bias, originals[key].removesuffix(leaf) + "bias")
    return replace(reading, tensors=tensors, originals=originals)


def infer_attention(reading: Reading) -> AttentionConfig | None:
    """The non-local blocks that a ResNet's keys show.

    Embedded Gaussians and dot products have the same keys: the former is returned for both.

    Raises:
        UnknownLayoutError: they stand where no published network has them, or are not complete.
    """
    parts: dict[str, set[str]] = defaultdict(set)
    for match in filter(None, map(_OURS.match, reading.tensors)):
        parts[match[1]].add(match[2])
    wrapped = {match[1] for match in map(_BLOCK.search, reading.originals.values()) if match}
    published = set(_published(reading.tensors))
    if not parts and not wrapped:
        return None
    if strange := sorted((set(parts) | wrapped) - published):
        raise UnknownLayoutError(
            f"it has non-local blocks behind {', '.join(strange[:4])}, where no published network has them",
            fix=f"they are read behind {', '.join(sorted(published))}",
        )
    if missing := sorted(published - set(parts)):
        raise UnknownLayoutError(
            f"it has non-local blocks, but none behind {', '.join(missing[:4])}",
            fix="they follow every second block of the second and third stage: is the file complete?",
        )
    if reading.layout in ("mit", "mmaction2") and wrapped != set(parts):
        bare = ", ".join(sorted(set(parts) - wrapped)[:4])
        raise UnknownLayoutError(
            f"the non-local blocks behind {bare} wrap no residual block",
            fix="load the publisher's own file",
        )
    if reading.layout != "mit" and not any(each & {"theta", "phi"} for each in parts.values()):
        return AttentionConfig(pairwise="gaussian")
    return AttentionConfig()


def _published(keys: Iterable[str]) -> Iterable[str]:
    for key in keys:
        match = re.match(r"layer(\d)\.(\d+)\.", key)
        if match and AttentionConfig.stands_behind(int(match[1]), int(match[2])):
            yield match[0].removesuffix(".")
