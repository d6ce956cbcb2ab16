"""The most that one core can multiply, measured: a loop that touches registers alone."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import tvm
from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.cpus import Cpu
from edgevid.targets.tvm.kernels._dot import GROUP, DotProduct, activation_type
from edgevid.targets.tvm.kernels._write import buffer, function, ramp

__all__ = ["peak_macs"]

_SUMS = 12
"""Independent sums: more than the cycles that one multiplication takes, on any core here."""
_STEPS = 1 << 16
_REPEATS = 20


def peak_macs(cpu: Cpu, precision: Literal["fp32", "int8"]) -> float:
    """Multiplications a second of one thread of this machine.

    Args:
        cpu: this machine's.
    """
    written = _float(cpu) if precision == "fp32" else _dots(cpu)
    module = tvm.compile(tvm.IRModule({"peak": written}), target=tvm.target.Target(cpu.llvm)).jit()
    kind = "float32" if precision == "fp32" else "int32"
    lanes = cpu.lanes
    values = np.full(lanes * GROUP, 1, "float32" if precision == "fp32" else activation_type(cpu.dot))
    weights = np.full(lanes * GROUP, 1, "float32" if precision == "fp32" else "int8")
    sums = np.zeros(_SUMS * lanes, kind)
    arguments = [tvm.runtime.tensor(array) for array in (values, weights, sums)]
    timer = module.time_evaluator("peak", tvm.cpu(), number=1, repeat=_REPEATS)
    seconds = min(timer(*arguments).results)
    each = lanes if precision == "fp32" else lanes * GROUP
    return float(_STEPS * _SUMS * each / seconds)


def _float(cpu: Cpu) -> Any:
    v = cpu.lanes
    with function("peak") as written:
        values, weights = buffer("values", (v * GROUP,)), buffer("weights", (v * GROUP,))
        out = buffer("sums", (_SUMS * v,))
        sums = T.alloc_buffer((_SUMS * v,), "float32", scope="local")
        for i in range(_SUMS):
            T.buffer_store(sums, T.broadcast(T.float32(0), v), [ramp(i * v, v)])
        with T.serial(0, _STEPS):
            for i in range(_SUMS):
                place = ramp(i * v, v)
                T.buffer_store(sums, sums[place] * values[ramp(0, v)] + weights[ramp(0, v)], [place])
        for i in range(_SUMS):
            T.buffer_store(out, sums[ramp(i * v, v)], [ramp(i * v, v)])
    return written.get()


def _dots(cpu: Cpu) -> Any:
    v = cpu.lanes
    product = DotProduct(cpu.dot, v)
    with function("peak") as written:
        values = buffer("values", (v * GROUP,), activation_type(cpu.dot))
        weights = buffer("weights", (v * GROUP,), "int8")
        out = buffer("sums", (_SUMS * v,), "int32")
        sums = T.alloc_buffer((_SUMS * v,), "int32", scope="local")
        for i in range(_SUMS):
            T.buffer_store(sums, T.broadcast(T.int32(0), v), [ramp(i * v, v)])
        left = product.vector(values[ramp(0, v * GROUP)])
        right = product.weights(weights[ramp(0, v * GROUP)])
        with T.serial(0, _STEPS):
            for i in range(_SUMS):
                place = ramp(i * v, v)
                T.buffer_store(sums, product.add(sums[place], left, right), [place])
        for i in range(_SUMS):
            T.buffer_store(out, sums[ramp(i * v, v)], [ramp(i * v, v)])
    return written.get()
