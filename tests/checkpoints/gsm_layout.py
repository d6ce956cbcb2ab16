"""The weights of a network under the keys of GSM's published code, and in its order of channels."""

import re

import torch

from edgevid.checkpoints.gsm import interleaved


def release(model, head="new_fc"):
    """Of BN-Inception or Inception-V3, with or without gates."""
    conv, norm = ("_Conv2D", "_batchnorm") if model.config.backbone == "inception_v3" else ("", "_bn")
    state = model.state_dict()
    gated = {key.split(".")[1] for key in state if ".gate." in key}
    found = {}
    for key, tensor in state.items():
        if key.startswith("fc."):
            found[f"{head}.{key.removeprefix('fc.')}"] = tensor
            continue
        _, name, part, *rest = key.split(".")
        leaf = ".".join(rest)
        in_front = part == "conv" or (part == "gate" and leaf not in ("bias", "bn.num_batches_tracked"))
        if name in gated and in_front:
            tensor = _before(tensor)
        if part == "gate":
            leaf = re.sub("^bias$", "conv3D.bias", leaf.replace("taps.", "conv3D."))
            found[f"base_model.gsm_{name}{conv}.{leaf}"] = tensor
        else:
            found[f"base_model.{name}{conv if part == 'conv' else norm}.{leaf}"] = tensor
    return found


def _before(tensor):
    """In the order of the release, whose interleaving comes later."""
    if tensor.dim() == 4 and tensor.shape[0] == 6:
        half = tensor.shape[1]
        weight = tensor.reshape(2, 3, half, 3, 3).transpose(1, 2)
        return weight[:, torch.argsort(interleaved(2 * half))[:half]]
    return tensor[torch.argsort(interleaved(len(tensor)))]
