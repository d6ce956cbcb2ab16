"""Keys of published layouts: shift wrappers, renaming, and comparison with a network."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from edgevid.errors import KeyMismatchError, UnknownLayoutError
from edgevid.models.config import Placement

__all__ = ["Mark", "Reading", "check_keys", "name_in_file", "rename", "split_wrappers", "torchvision_key"]


@dataclass(frozen=True, order=True)
class Mark:
    """A shift that a key shows: ``placement`` of the wrapper and how often it is nested."""

    placement: Placement
    repeats: int


@dataclass(frozen=True)
class Reading:
    """A checkpoint in our keys.

    Attributes:
        layout: the publisher's.
        tensors: by our key.
        originals: our key to the key in the file.
        marks: block (``layer1.0``, ``features.3``) to the shift that the keys show. ``None``
            where the layout has no wrappers, so that the keys cannot say.
        facts: settings that the layout's extra entries hold.
    """

    layout: str
    tensors: dict[str, torch.Tensor]
    originals: dict[str, str]
    marks: dict[str, Mark] | None
    facts: dict[str, Any] = field(default_factory=dict)


def split_wrappers(key: str) -> tuple[str, str | None, int]:
    """A key without its ``net`` components, what stood before the first, and their number."""
    parts = key.split(".")
    count = parts.count("net")
    before = ".".join(parts[: parts.index("net")]) if count else None
    return ".".join(part for part in parts if part != "net"), before, count


def rename(
    layout: str,
    tensors: Mapping[str, torch.Tensor],
    translate: Callable[[str], str],
    *,
    wrapped: bool = True,
    facts: dict[str, Any] | None = None,
) -> Reading:
    """Translate every key, and read the shifts off the wrappers.

    Args:
        layout: its name.
        tensors: by the publisher's key.
        translate: a key without wrappers to ours. It also translates the incomplete keys of
            wrapped blocks (``layer1.0``) and convolutions (``layer1.0.conv1``).
        wrapped: the layout shows its shifts by ``net`` components.
        facts: settings that the layout's extra entries hold.

    Raises:
        KeyMismatchError: two keys mean the same weight.
        UnknownLayoutError: a wrapper at a place where no published code has one.
    """
    found: dict[str, torch.Tensor] = {}
    originals: dict[str, str] = {}
    marks: dict[str, Mark] = {}
    for original, tensor in tensors.items():
        bare, before, count = split_wrappers(original)
        ours = translate(bare)
        if ours in found:
            raise KeyMismatchError(
                f"{originals[ours]} and {original} are the same weight of the network",
                fix="save one model to the file, without copies of its parts",
            )
        found[ours], originals[ours] = tensor, original
        if before is not None:
            block, mark = _mark(original, translate(before), count)
            if marks.setdefault(block, mark) != mark:
                raise UnknownLayoutError(
                    f"{block} is shifted in two ways", where=original, fix="load the publisher's own file"
                )
    return Reading(layout, found, originals, marks if wrapped else None, facts or {})


def _mark(original: str, place: str, count: int) -> tuple[str, Mark]:
    residual = re.fullmatch(r"(layer\d\.\d+)\.conv1|(features\.\d+)\.conv\.0", place)
    if residual:
        return residual[1] or residual[2], Mark("residual", count)
    if re.fullmatch(r"layer\d\.\d+|features\.\d+", place):
        return place, Mark("inplace", count)
    raise UnknownLayoutError(
        f"a shift around {place}, where no published code has one",
        where=original,
        fix="shifts are read in front of a block or of its first convolution",
    )


_NESTED = {"0.0": "0", "0.1": "1", "1.0": "3", "1.1": "4", "2": "6", "3": "7"}
_NESTED_FIRST = {"0.0": "0", "0.1": "1", "1": "3", "2": "4"}


def torchvision_key(key: str, *, nested: bool, head: str) -> str:
    """torchvision's key to ours.

    Args:
        key: without wrappers, possibly incomplete.
        nested: MobileNetV2 blocks are sequences of sequences (``conv.0.0.weight``).
        head: our name of the classifier.
    """
    heads = ("fc.", "new_fc.", "classifier.1.", "classifier.", "head.fc.", "last_linear.", "top_cls_fc.")
    for published in heads:
        if key.startswith(published):
            return f"{head}.{key.removeprefix(published)}"
    match = re.fullmatch(r"(features\.(\d+))\.conv\.(.+)", key)
    if nested and match:
        table = _NESTED_FIRST if match[2] == "1" else _NESTED
        for theirs, ours in table.items():
            if match[3] == theirs or match[3].startswith(theirs + "."):
                return f"{match[1]}.conv.{ours}{match[3].removeprefix(theirs)}"
    return key


def is_nested(keys: Iterable[str]) -> bool:
    """MobileNetV2 blocks are sequences of sequences, as in torchvision."""
    return any(re.search(r"(^|\.)features\.\d+\.conv\.0\.0\.", split_wrappers(key)[0]) for key in keys)


def check_keys(
    reading: Reading, expected: Mapping[str, torch.Size], backbone: str
) -> dict[str, torch.Tensor]:
    """The state dict to load, or the list of all that does not fit.

    Raises:
        KeyMismatchError: keys are missing, unexpected or misshapen; counted by group.
    """
    tensors = dict(reading.tensors)
    for key, shape in expected.items():
        # PyTorch before 0.4.1 did not count batches; the count is not used for inference.
        if key.endswith("num_batches_tracked") and key not in tensors:
            tensors[key] = torch.zeros(shape, dtype=torch.int64)
    faults: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key, shape in expected.items():
        if key not in tensors:
            faults[_group(key), "missing"].append(name_in_file(key, reading.originals))
        elif tensors[key].shape != shape:
            have, want = _shape(tensors[key].shape), _shape(shape)
            faults[_group(key), "misshapen"].append(f"{reading.originals[key]} is {have} instead of {want}")
        elif not (tensors[key].is_floating_point() or key.endswith("num_batches_tracked")):
            kind = str(tensors[key].dtype).removeprefix("torch.")
            faults[_group(key), "misshapen"].append(f"{reading.originals[key]} is {kind} instead of float32")
    for key in tensors:
        if key not in expected:
            faults[_group(key), "unexpected"].append(reading.originals[key])
    if faults:
        lines = [_fault(group, kind, keys) for (group, kind), keys in sorted(faults.items())]
        raise KeyMismatchError(
            f"the keys ({reading.layout} layout) do not fit {backbone}:\n  " + "\n  ".join(lines),
            fix="check that the file is complete and of the architecture that is asked for",
        )
    return tensors


def name_in_file(key: str, originals: Mapping[str, str]) -> str:
    """What a missing key would be called in the file, by its neighbours; ours if none is left."""
    module, _, leaf = key.rpartition(".")
    block = ".".join(key.split(".")[:2])
    for other, original in originals.items():
        sibling, _, other_leaf = other.rpartition(".")
        if sibling == module and original.endswith(f".{other_leaf}"):
            return original.removesuffix(other_leaf) + leaf
    for other, original in originals.items():
        other_block = ".".join(other.split(".")[:2])
        if other == other_block + key.removeprefix(block) and f"{other_block}." in original:
            return original.replace(f"{other_block}.", f"{block}.")
    return key


def _fault(group: str, kind: str, keys: list[str]) -> str:
    shown = ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "")
    return f"{group}: {len(keys)} {kind} ({shown})"


def _group(key: str) -> str:
    parts = key.split(".")
    depth = 2 if parts[0] in ("features", "units") and len(parts) > 2 else 1
    return ".".join([*parts[:depth], "*"])


def _shape(shape: torch.Size) -> str:
    return "x".join(map(str, shape)) or "scalar"
