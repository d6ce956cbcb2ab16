"""What the kernels compute, in numpy and in float64, and kernels run on this machine."""

from itertools import product

import numpy as np
import tvm

from edgevid.targets.tvm.cpus import host_cpu
from edgevid.targets.tvm.network import Frames


def random(shape, seed=0, dtype="float32"):
    """Numbers of the type's range; float ones of a normal distribution."""
    rng = np.random.default_rng(seed)
    if dtype == "float32":
        return rng.standard_normal(shape).astype(np.float32)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max + 1, shape).astype(dtype)


def pack(values, frames: Frames):
    """[n, t, c, h, w] as it stands in memory. The padding of channels is what nobody may read."""
    values = values.reshape(frames.frames, frames.channels, frames.positions)
    unread = np.nan if values.dtype.kind == "f" else 77
    whole = np.full((frames.frames, frames.blocks * frames.block, frames.positions), unread, values.dtype)
    whole[:, : frames.channels] = values
    blocked = whole.reshape(frames.frames, frames.blocks, frames.block, frames.positions)
    return np.ascontiguousarray(blocked.transpose(0, 1, 3, 2))


def unpack(memory, frames: Frames):
    """Back to [n, t, c, h, w]."""
    whole = memory.transpose(0, 1, 3, 2).reshape(frames.frames, -1, frames.positions)[:, : frames.channels]
    return whole.reshape(sizes(frames))


def sizes(frames: Frames):
    return (frames.clips, frames.segments, frames.channels, frames.height, frames.width)


def run(function, inputs, target):
    """The result of a kernel for arrays as they stand in memory; ``target`` has shape and dtype."""
    cpu = host_cpu()
    compiled = tvm.compile(tvm.IRModule({"kernel": function}), target=tvm.target.Target(cpu.llvm))
    result = tvm.runtime.tensor(np.zeros(target.shape, target.dtype))
    compiled["kernel"](*(tvm.runtime.tensor(np.ascontiguousarray(value)) for value in inputs), result)
    return result.numpy()


def moved(values, moves):
    """[n, t, c, h, w] after the moves; zero where nothing is."""
    result = values.astype(np.float64)
    for move in moves:
        taken, given = [slice(None)] * 5, [slice(None)] * 5
        taken[2] = given[2] = slice(move.start, move.stop)
        for axis, step in ((1, move.dt), (3, move.dh), (4, move.dw)):
            size = values.shape[axis]
            taken[axis] = slice(max(0, step), max(0, size + min(0, step)))
            given[axis] = slice(max(0, -step), max(0, size + min(0, -step)))
        result[:, :, move.start : move.stop] = 0
        result[tuple(given)] = values[tuple(taken)]
    return result


def normalized(values, pixels):
    """Pixels as the network sees them."""
    if not pixels:
        return values
    scales, offsets = np.array(pixels, np.float64).T[:, :, None, None]
    return values * scales + offsets


def within(values, bounds):
    least, largest = bounds
    return np.clip(values, -np.inf if least is None else least, np.inf if largest is None else largest)


def windows(values, operation, outside):
    """For each place of the kernel the numbers that all outputs read there: [n, t', c, h', w']."""
    target = operation.target
    outputs = (target.segments, target.height, target.width)
    dilations = getattr(operation, "dilations", (1, 1, 1))
    width = [
        (pad, max(0, (size - 1) * stride + (reach - 1) * apart + 1 - pad - have))
        for pad, size, stride, reach, apart, have in zip(
            operation.pads,
            outputs,
            operation.strides,
            operation.kernel,
            dilations,
            (values.shape[1], *values.shape[3:]),
            strict=True,
        )
    ]
    padded = np.pad(values, [(0, 0), width[0], (0, 0), *width[1:]], constant_values=outside)
    for place in product(*map(range, operation.kernel)):
        begin = [at * apart for at, apart in zip(place, dilations, strict=True)]
        t, h, w = (
            slice(first, first + (size - 1) * stride + 1, stride)
            for first, size, stride in zip(begin, outputs, operation.strides, strict=True)
        )
        yield place, padded[:, t][:, :, :, h][:, :, :, :, w]


def convolution(operation, source, weight, bias, residual=None):
    """[n, t, c, h, w] of a `Convolution` in float64."""
    values = moved(normalized(source.astype(np.float64), operation.pixels), operation.moves)
    groups, target = operation.groups, operation.target
    result = np.zeros(sizes(target)) + bias[:, None, None]
    inputs, outputs = values.shape[2] // groups, target.channels // groups
    for place, read in windows(values, operation, 0):
        for group in range(groups):
            of_group = slice(group * outputs, (group + 1) * outputs)
            taken = read[:, :, group * inputs : (group + 1) * inputs]
            result[:, :, of_group] += np.einsum(
                "oc,ntchw->ntohw", weight[(of_group, slice(None), *place)], taken
            )
    return within(result if residual is None else result + residual, operation.bounds)


def error(result, wanted):
    """Largest error, of the largest number."""
    assert result.shape == wanted.shape
    assert np.isfinite(result).all()
    return np.abs(result - wanted).max() / max(np.abs(wanted).max(), 1e-30)
