"""What the name of a published file says about its network.

TSM's names look like ``TSM_kinetics_RGB_resnet50_shift8_blockres_avg_segment8_e50.pth``,
mmaction2's like ``tsm_imagenet-pretrained-r50_8xb16-1x1x8-50e_kinetics400-rgb_20220831.pth``,
GSM's like ``something-v1_RGB_InceptionV3_avg_segment8_checkpoint.pth.tar``.
Training writes ``ckpt.best.pth.tar`` into a folder of that name.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from edgevid.models.attention_config import AttentionConfig

__all__ = ["hints"]

_BACKBONES = (
    (r"resnet(18|34|50|101|152)(?!\d)", "resnet{}"),
    (r"(?:^|[_-])r(18|34|50|101|152)(?!\d)", "resnet{}"),
    (r"mobilenet[_-]?v2", "mobilenet_v2"),
    (r"bninception", "bn_inception"),
    (r"inceptionv3", "inception_v3"),
)
_PUBLISHED = r"ts[mn][_-]|[\w-]+_(rgb|flow|rgbdiff)_(bninception|inceptionv3)_"

_NON_LOCAL = re.compile(r"_nl(?=\.|$)|[_-]nl[_-](dot[_-]product|embedded[_-]gaussian|gaussian)(?=[_.-]|$)")
"""TSM's names end in it, and it has one function only; mmaction2's name the function."""

_UNSUPPORTED = (
    (r"_rgbdiff_", "RGB differences as input"),
    (r"_tpool(?=[_.]|$)", "temporal pooling"),
)


def hints(path: Path) -> dict[str, Any]:
    """Settings, by the names of `edgevid.checkpoints.read`'s flags.

    The file's own name counts; where it says nothing, the name of its folder. Besides real
    settings there may be ``unsupported``, a part of the network that edgevid does not know.
    """
    return _parse(path.name) or _parse(path.resolve().parent.name)


def _parse(name: str) -> dict[str, Any]:
    name = name.lower()
    online = "online" in name and "mobilenet" in name
    if not online and re.match(_PUBLISHED, name) is None:
        return {}
    found = _network(name) | _shift(name)
    if online:
        found |= {"direction": "unidirectional", "shift_div": 8}
    if re.search(r"[_-]dense[_.-]", name):
        found |= {"mode": "dense", "clips": 10}
    non_local = _NON_LOCAL.search(name)
    if non_local:
        pairwise = (non_local[1] or "embedded_gaussian").replace("-", "_")
        found["attention"] = AttentionConfig.model_validate({"pairwise": pairwise})
    for pattern, title in _UNSUPPORTED:
        if re.search(pattern, name):
            found["unsupported"] = title
    return found


def _network(name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pattern, title in _BACKBONES:
        match = re.search(pattern, name)
        if match:
            found["backbone"] = title.format(*match.groups())
            break
    # mmaction2 writes frames a clip, stride, clips: 1x1x8 are eight single frames.
    segments = re.search(r"segment(\d+)", name) or re.search(r"[_-]1x1x(\d+)[_-]", name)
    if segments:
        found["segments"] = int(segments[1])
    return found


def _shift(name: str) -> dict[str, Any]:
    match = re.search(r"shift(\d+)(?:_(blockres|block)(?=[_.]|$))?", name)
    if not match:
        return {}
    found: dict[str, Any] = {"shift_div": int(match[1])}
    if match[2]:
        found["placement"] = "residual" if match[2] == "blockres" else "inplace"
    return found
