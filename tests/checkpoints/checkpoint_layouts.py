"""Small networks, and their weights under the keys of every published layout."""

import re

from edgevid.models import NetworkConfig, ShiftConfig, build

NARROW = {"mobilenet_v2": (8, 8, 8, 8, 8, 8, 8, 16, 16)}


def small(backbone="resnet18", shift=None, **fields):
    """A narrow network of standard depth with four frames of 32 pixels."""
    channels = NARROW.get(backbone, (8, 8, 8, 8, 8))
    settings = {"classes": 5, "segments": 4, "size": 32, "channels": channels, **fields}
    return NetworkConfig(backbone=backbone, shift=shift, **settings)


def network(config):
    return build(config).eval()


def shifted(**fields):
    return ShiftConfig(**fields)


def _blocks(model):
    """Shifted blocks: name to whether the whole block is shifted."""
    return {name.rpartition(".")[0]: name.endswith("shift_block") for name, _ in model.shift_specs()}


def mit(model, head="new_fc"):
    """TSM's published code."""
    wrapped, found = _blocks(model), {}
    nets = ".net" * (model.config.shift.repeats if model.config.shift else 1)
    for key, tensor in model.state_dict().items():
        for block, whole in wrapped.items():
            if whole and key.startswith(block + "."):
                key = key.replace(block, block + nets, 1)
            for first in (f"{block}.conv1.", f"{block}.conv.0."):
                if not whole and key.startswith(first):
                    key = key.replace(first, first[:-1] + nets + ".", 1)
        if re.match(r"(fc|classifier)\.", key):
            found[f"{head}.{key.rpartition('.')[2]}"] = tensor
        else:
            found[f"base_model.{key}"] = tensor
    return found


def mmaction2(model):
    """mmaction2's ConvModules."""
    wrapped, found = _blocks(model), {}
    nets = ".net" * (model.config.shift.repeats if model.config.shift else 1)
    starts, position = [], 1
    for count in model.config.stage_blocks:
        starts.append(position)
        position += count
    for key, tensor in model.state_dict().items():
        leaf = key.rpartition(".")[2]
        if re.match(r"(fc|classifier)\.", key):
            found[f"cls_head.fc_cls.{leaf}"] = tensor
            continue
        block = re.match(r"(features\.(\d+)|layer\d\.\d+)\.", key)
        whole = block and wrapped.get(block[1])
        residual = block and wrapped.get(block[1]) is False
        if key.startswith("features."):
            found[_mm_mobilenet(key, leaf, starts, position, nets if residual else "")] = tensor
            continue
        key = re.sub(r"downsample\.(\d)", lambda m: "downsample." + ("conv", "bn")[int(m[1])], key)
        key = re.sub(r"(^|\.)conv(\d)\.", r"\1conv\2.conv.", key)
        key = re.sub(r"(^|\.)bn(\d)\.", r"\1conv\2.bn.", key)
        if residual:
            key = key.replace("conv1.conv.", f"conv1.conv{nets}.")
        if whole:
            key = key.replace(block[1], block[1] + nets, 1)
        found[f"backbone.{key}"] = tensor
    return found


def _mm_mobilenet(key, leaf, starts, last, nets):
    outer = re.match(r"features\.(\d+)\.([01])\.", key)
    if outer:
        return f"backbone.conv{1 if outer[1] == '0' else 2}.{('conv', 'bn')[int(outer[2])]}.{leaf}"
    match = re.match(r"features\.(\d+)\.conv\.(\d)\.", key)
    number, index = int(match[1]), int(match[2])
    stage = max(i for i, start in enumerate(starts) if start <= number)
    module, part = divmod(index, 3)
    around = nets if module == 0 else ""
    block = f"backbone.layer{stage + 1}.{number - starts[stage]}"
    return f"{block}.conv.{module}{around}.{('conv', 'bn')[part]}.{leaf}"


def torchvision_nested(model):
    """torchvision's MobileNetV2: sequences inside sequences."""
    tables = {
        True: {"0": "0.0", "1": "0.1", "3": "1", "4": "2"},
        False: {"0": "0.0", "1": "0.1", "3": "1.0", "4": "1.1", "6": "2", "7": "3"},
    }
    found = {}
    for key, tensor in model.state_dict().items():
        match = re.match(r"features\.(\d+)\.conv\.(\d)\.(.+)", key)
        if match:
            key = f"features.{match[1]}.conv.{tables[match[1] == '1'][match[2]]}.{match[3]}"
        found[key.replace("classifier.", "classifier.1.")] = tensor
    return found
