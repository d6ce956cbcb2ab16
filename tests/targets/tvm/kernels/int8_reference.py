"""What the int8 kernels compute, in numpy, to the last bit."""

import numpy as np
from reference import moved, pack, random, sizes, windows

from edgevid.targets.tvm.cpus import host_cpu
from edgevid.targets.tvm.network import Convolution

__all__ = ["DOTS", "arguments", "expected", "packed", "parameters"]

LIMITS = {"uint8": (0, 255), "int8": (-128, 127)}


def parameters(operation, seed=0):
    """Weights of an operation; their scales take sums to most of the target's range."""
    rng = np.random.default_rng(seed)
    kernel = getattr(operation, "kernel", ())
    source, outputs = operation.source, operation.target.channels
    shape = (outputs, source.channels // getattr(operation, "groups", 1), *kernel)
    weight = rng.integers(-127, 128, shape).astype(np.int8)
    of_target = operation.target.quantization
    step = 60 * 73 * 73 * np.sqrt(np.prod(shape[1:])) * source.quantization.scale / 60
    scale = (1.0 if of_target is None else 40 * of_target.scale) / step * rng.uniform(0.5, 2, outputs)
    bias = rng.integers(-20000, 20000, outputs).astype(np.int32)
    return {"weight": weight, "bias": bias, "scale": scale.astype(np.float32)}


def arguments(operation, seed=0):
    """The source and, where there is one, the residual: [n, t, c, h, w]."""
    residual = getattr(operation, "residual", None)
    frames = [operation.source, *([residual] if residual else [])]
    return [random(sizes(f), seed + index, f.dtype) for index, f in enumerate(frames)]


def sums(operation, source, weights):
    """[n, t, c, h, w] of exact integers, the zero point taken off the source first."""
    values = source.astype(np.int64) - operation.source.quantization.zero
    weight, bias = weights["weight"].astype(np.int64), weights["bias"].astype(np.int64)
    if not isinstance(operation, Convolution):
        return np.einsum("oc,ntchw->ntohw", weight, values) + bias[:, None, None]
    values = moved(values, operation.moves).astype(np.int64)
    result = np.zeros(sizes(operation.target), np.int64) + bias[:, None, None]
    groups = operation.groups
    inputs, outputs = values.shape[2] // groups, operation.target.channels // groups
    for place, read in windows(values, operation, 0):
        for group in range(groups):
            of_group = slice(group * outputs, (group + 1) * outputs)
            taken = read[:, :, group * inputs : (group + 1) * inputs]
            result[:, :, of_group] += np.einsum(
                "oc,ntchw->ntohw", weight[(of_group, slice(None), *place)], taken
            )
    assert np.abs(result).max() < 2**31
    return result


def expected(operation, weights, source, residual=None):
    """[n, t, c, h, w] as the target holds it, by the order of operations that `_requantize` writes down."""
    target = operation.target
    step = 1.0 if target.quantization is None else target.quantization.scale
    factor = operation.source.quantization.scale * weights["scale"].astype(np.float64) / step
    real = sums(operation, source, weights).astype(np.float32)
    real = real.astype(np.float64) * factor.astype(np.float32)[:, None, None].astype(np.float64)
    if residual is not None:
        frames, skip = operation.residual, residual.astype(np.float32)
        scale = 1 / step
        if frames.quantization is not None:
            skip, scale = skip - np.float32(frames.quantization.zero), scale * frames.quantization.scale
        # A product of float32 numbers is exact in float64, so this sum is rounded as a fused one is.
        real = real + (skip * np.float32(scale)).astype(np.float64)
    real = real.astype(np.float32)
    least, largest = operation.bounds
    if target.quantization is None:
        return np.clip(real, -np.inf if least is None else least, np.inf if largest is None else largest)
    zero, limits = target.quantization.zero, LIMITS[target.dtype]
    bounds = [limit - zero for limit in limits]
    if least is not None:
        bounds[0] = max(bounds[0], np.rint(np.float32(least) / np.float32(step)))
    if largest is not None:
        bounds[1] = max(bounds[0], min(bounds[1], np.rint(np.float32(largest) / np.float32(step))))
    return (np.clip(np.rint(real), *bounds) + zero).astype(target.dtype)


def packed(operation, values):
    """As the values stand in memory."""
    residual = getattr(operation, "residual", None)
    frames = [operation.source, *([residual] if residual else [])]
    return [pack(value, f) for value, f in zip(values, frames, strict=True)]


def _dots():
    """How this machine can sum products of bytes."""
    features = host_cpu().features
    by_feature = {
        "avx512vnni": ("vnni512", "vnni256"),
        "avxvnni": ("vnni256",),
        "avx512bw": ("madd512",),
        "avx2": ("madd256",),
        "dotprod": ("sdot",),
        "neon": ("smull",),
    }
    return sorted({dot for feature in features for dot in by_feature.get(feature, ())})


DOTS = _dots()
