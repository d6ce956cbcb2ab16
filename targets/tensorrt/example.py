"""The program beside an engine that runs it with NVIDIA's packages alone."""

from __future__ import annotations

from edgevid.contract import Artifact
from edgevid.targets._example import write_example
from edgevid.targets.tensorrt.vendor import Flavor

__all__ = ["write_engine_example"]

_OPEN = """
import {flavor} as tensorrt
from cuda.bindings import runtime as cuda

logits, kind = np.zeros({output_shape!r}, np.float32), cuda.cudaMemcpyKind
engine = tensorrt.Runtime(tensorrt.Logger()).deserialize_cuda_engine((here / {entry!r}).read_bytes())
context = engine.create_execution_context()
context.set_input_shape({input!r}, {taken}.shape)
given, result = (cuda.cudaMalloc(array.nbytes)[1] for array in (clip, logits))
context.set_tensor_address({input!r}, given), context.set_tensor_address({output!r}, result)
"""

_CLIP = """cuda.cudaMemcpy(given, clip.ctypes.data, clip.nbytes, kind.cudaMemcpyHostToDevice)
context.execute_async_v3(0)
cuda.cudaMemcpy(logits.ctypes.data, result, logits.nbytes, kind.cudaMemcpyDeviceToHost)
"""

_FRAMES = """caches = {caches!r}  # name, what replaces it, bytes
now, spare = ([cuda.cudaMalloc(size)[1] for *_, size in caches] for _ in range(2))
for place, (*_, size) in zip(now, caches):
    cuda.cudaMemset(place, 0, size)
{each}:  # the caches stay on the GPU and change places
    for (name, following, _), place, other in zip(caches, now, spare):
        context.set_tensor_address(name, place), context.set_tensor_address(following, other)
    cuda.cudaMemcpy(given, frame.ctypes.data, frame.nbytes, kind.cudaMemcpyHostToDevice)
    context.execute_async_v3(0)
    cuda.cudaMemcpy(logits.ctypes.data, result, logits.nbytes, kind.cudaMemcpyDeviceToHost)
    now, spare = spare, now
"""

_GATES = """    valid, gates = {valid}, cuda.cudaMalloc({gates})[1]
    cuda.cudaMemcpy(gates, valid.ctypes.data, valid.nbytes, kind.cudaMemcpyHostToDevice)
    context.set_tensor_address("valid", gates)
"""


def write_engine_example(artifact: Artifact, flavor: Flavor) -> None:
    """Write ``example.py`` for an engine of clips, or one that takes frame by frame."""
    streaming = artifact.streaming
    body = _OPEN + _CLIP
    if streaming is not None:
        loop, step, rest = _FRAMES.partition("    cuda.cudaMemcpy(given")
        body = _OPEN + loop + (_GATES if streaming.gates else "") + step + rest
    write_example(
        artifact,
        body,
        flavor=flavor,
        output=artifact.output.name,
        taken="clip" if streaming is None else "clip[:, :1]",
        output_shape=artifact.output.shape,
        caches=[(each.name, each.next, each.nbytes) for each in streaming.caches] if streaming else [],
        gates=len(streaming.gates) if streaming else 0,
    )
