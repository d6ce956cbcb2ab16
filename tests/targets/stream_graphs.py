"""Small uni-directional networks as streaming artifacts, and what they answer to each frame offline."""

import subprocess
import sys
from functools import cache

import numpy as np
import onnx_ir as ir
from target_graphs import canonical, device_of

from edgevid import targets
from edgevid.calibration.points import points
from edgevid.calibration.quantize import quantize
from edgevid.contract import CompileOptions, RunSettings
from edgevid.graph.lower import lower
from edgevid.graph.retime import per_frame
from edgevid.graph.shift_op import replace_specs
from edgevid.graph.streaming import stream_graph
from edgevid.shift import Move, ShiftSpec
from edgevid.targets.onnxruntime import evaluate

SIZE = 32


@cache
def unidirectional(backbone="resnet50"):
    """Every shift takes from the frame before alone. Do not change it."""
    return replace_specs(canonical(1, backbone), lambda spec: _with(spec, 1, 0))


@cache
def displaced():
    """Shifts that take from the frame before, one pixel lower. Do not change it."""
    return replace_specs(canonical(1, "resnet50"), lambda spec: _with(spec, 1, -1))


@cache
def other_weights():
    """The network of `unidirectional`, one weight of it changed. Do not change it."""
    graph = unidirectional().clone()
    value = next(value for value in graph.graph.initializers.values() if len(value.shape) == 4)
    weights = value.const_value.numpy().copy()
    weights[-1, -1, -1, -1] += 0.01
    value.const_value = ir.tensor(weights, name=value.name)
    return graph


def _with(spec, dt, dh):
    first, last = spec.moves[0].start, max(move.stop for move in spec.moves)
    return ShiftSpec(spec.segments, (Move(first, last, dt, dh, 0),))


def in_int8(graph, scheme):
    """Quantized by the ranges of noise."""
    watched = graph.clone()
    values = {value.name: value for node in watched.graph for value in node.outputs}
    watched.graph.outputs.extend(values[name] for name in points(graph))
    (clips,) = watched.graph.inputs
    shape = [int(size) for size in clips.shape.numpy()]
    _, *seen = evaluate(watched, {clips.name: video(shape[1], seed=99)[None]})
    thresholds = {name: float(abs(array).max()) for name, array in zip(points(graph), seen, strict=True)}
    return quantize(graph, thresholds, scheme)


def video(frames, seed=0):
    """Noise ``[frames, 32, 32, 3]`` whose brightness and grain change, so that the answers do."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (frames, SIZE, SIZE, 3))
    share = random.random((frames, 1, 1, 3))
    return (pixels * share + 255 * random.random((frames, 1, 1, 3)) * (1 - share)).astype(np.uint8)


def answers(graph, frames):
    """Logits ``[frames, classes]`` of the offline network over all frames as one clip, in ONNX Runtime."""
    offline = per_frame(graph, len(frames))
    return evaluate(offline, {offline.graph.inputs[0].name: frames[None]})[0]


def compiled_stream(target, folder, graph=None, *, form=None, precision="fp32", lookahead=False, device=None):
    """A streaming artifact in a new folder below ``folder``; by default in the target's first form."""
    device = device or device_of(target)
    stream = stream_graph(graph or unidirectional(), lookahead=lookahead)
    form = form or targets.find(target).probe(device).stream_lowerings[0]
    place = folder / f"{target}-{precision}-{form}-{len(list(folder.iterdir()))}"
    place.mkdir()
    options = CompileOptions(
        device, place, precision, 1, form, RunSettings(threads=1), streaming=stream.streaming
    )
    return targets.find(target).compile(stream.model, options)


def offline_int8(folder, graph, frames):
    """Logits ``[frames, classes]`` of a Q/DQ graph over all frames as one clip, in OpenVINO."""
    options = CompileOptions(device_of("openvino"), folder, "int8", 1, "negative_pad", RunSettings(threads=1))
    lowered = lower(per_frame(graph, len(frames)), "negative_pad")
    with opened(targets.find("openvino").compile(lowered, options)) as session:
        return session.run(frames[None])


def opened(artifact):
    return targets.find(artifact.target).open(artifact)


def stepped(stream, frames):
    """The answers of a stream to all frames, those of the flush included."""
    rows = [row for frame in frames if (row := stream.step(frame)) is not None]
    return np.concatenate([np.array(rows, np.float32).reshape(-1, 5), stream.flush()])


def run_alone(folder, *arguments):
    """Run ``example.py`` where ``import edgevid`` fails; returns what it prints."""
    program = (
        "import runpy, sys; sys.modules['edgevid'] = None; sys.argv = sys.argv[1:]; "
        "runpy.run_path('example.py', run_name='__main__')"
    )
    command = [sys.executable, "-I", "-c", program, "example.py", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
