"""Tuning: every candidate of every distinct operation is verified, then timed on the device.

Candidates differ in tiles and loop orders and take the same arguments. Those of one operation are
compiled into one module and timed in turns, so that a noisy moment hits all of them alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from threading import Event, Lock
from typing import Any, Protocol

import numpy as np
import tvm
from numpy.typing import NDArray

from edgevid.errors import VerificationError
from edgevid.targets.tvm.cpus import Cpu
from edgevid.targets.tvm.kernels.choose import Kernel, candidates
from edgevid.targets.tvm.network import Convolution, Layer, Network, Operation
from edgevid.targets.tvm.records import Record, Records, key_of
from edgevid.targets.tvm.threads import Threads

__all__ = ["Board", "Host", "Tuned", "recorded", "tune"]

ROUNDS = 4
TOLERANCE = 1e-4
SEED = 0


class Board(Protocol):
    """Where candidates are timed: this machine, or one behind RPC."""

    def load(self, module: Any) -> Any:
        """A compiled module, ready to be called there."""

    @property
    def device(self) -> Any:
        """TVM's name of its memory."""


@dataclass(frozen=True)
class Host:
    """This machine."""

    @property
    def device(self) -> Any:
        """Its memory."""
        return tvm.cpu()

    def load(self, module: Any) -> Any:
        """In this process, on one thread."""
        Threads(1).use()
        return module.jit()


@dataclass(frozen=True)
class Tuned:
    """The kernels to take, and how they were found.

    Attributes:
        kernels: by operation.
        measured, reused, left: kinds of operations measured now, known before, and left at their
            default because the time was up.
    """

    kernels: Mapping[Operation, Kernel]
    measured: int
    reused: int
    left: int


def recorded(network: Network, cpu: Cpu, records: Records) -> dict[Operation, Kernel]:
    """What records say of a network's operations."""
    found = {}
    for layer in _layers(network):
        operation = layer.operation
        record = records.get(key_of(operation, cpu))
        kernel = None if record is None else _kernel_of(record, candidates(operation, cpu))
        if kernel is not None:
            found[operation] = kernel
    return found


def tune(
    network: Network,
    cpu: Cpu,
    boards: Sequence[Board],
    records: Records,
    *,
    budget: float = 180.0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Tuned:
    """The fastest kernel of each distinct operation.

    Args:
        boards: share the operations; all of the same CPU.
        budget: seconds; what is not measured by then is left.
        progress: is told how many operations are done, of how many.

    Raises:
        VerificationError: a candidate computes something else.
    """
    ends = time.monotonic() + budget
    known, layers = _open_layers(network, cpu, records)
    progress(0, len(layers))
    waiting = iter(layers)
    lock, stopped = Lock(), Event()
    measured = 0

    def work(board: Board) -> None:
        nonlocal measured
        while time.monotonic() < ends and not stopped.is_set():
            with lock:
                layer = next(waiting, None)
            if layer is None:
                return
            record = _fastest(layer, cpu, board)
            with lock:
                records.add(record)
                measured += 1
                progress(measured, len(layers))

    with ThreadPoolExecutor(len(boards)) as workers:
        try:
            for done in [workers.submit(work, board) for board in boards]:
                done.result()
        finally:
            stopped.set()  # after Ctrl-C, or an error of one board
    return Tuned(recorded(network, cpu, records), measured, known, len(layers) - measured)


def _open_layers(network: Network, cpu: Cpu, records: Records) -> tuple[int, list[Layer]]:
    """How many kinds of operations are known, and a layer of each other one that has a choice."""
    by_key = {key_of(layer.operation, cpu): layer for layer in reversed(_layers(network))}
    known = {key_of(operation, cpu) for operation in recorded(network, cpu, records)}
    open_ = [layer for key, layer in reversed(by_key.items()) if key not in known]
    return len(known), [layer for layer in open_ if len(candidates(layer.operation, cpu)) > 1]


def _fastest(layer: Layer, cpu: Cpu, board: Board) -> Record:
    offered = candidates(layer.operation, cpu)
    seconds = _measure(layer, offered, cpu, board)
    best = int(np.argmin(seconds))
    kernel = offered[best]
    key = key_of(layer.operation, cpu)
    return Record(key, kernel.family, asdict(kernel.tile), seconds[best], len(offered))


def _measure(layer: Layer, offered: Sequence[Kernel], cpu: Cpu, board: Board) -> list[float]:
    """Seconds of each candidate, the least of several rounds; verified against the first."""
    functions = {f"candidate{i}": kernel.build(f"candidate{i}") for i, kernel in enumerate(offered)}
    module = tvm.compile(tvm.IRModule(functions), target=tvm.target.Target(cpu.llvm))
    loaded = board.load(module)
    given = _arguments(layer, offered[0])
    arguments = [tvm.runtime.tensor(array, board.device) for array in given]
    expected: NDArray[Any] | None = None
    timers = []
    for name in functions:
        if _convolution(layer).cache is not None:
            arguments[1].copyfrom(given[1])  # which the one before may have written
        loaded[name](*arguments)
        got = _real_channels(layer, arguments[-1].numpy())
        expected = got if expected is None else expected
        _check(layer, got, expected, offered[int(name.removeprefix("candidate"))])
        timers.append(loaded.time_evaluator(name, board.device, number=1, repeat=1))
    rounds = [[float(timer(*arguments).mean) for timer in timers] for _ in range(ROUNDS)]
    return [min(times) for times in zip(*rounds, strict=True)]


def _arguments(layer: Layer, kernel: Kernel) -> list[NDArray[Any]]:
    """Random inputs, the packed constants, and room for the output."""
    random = np.random.default_rng(SEED)
    operation = _convolution(layer)
    caches = () if operation.cache is None else (operation.cache,)
    skips = () if operation.residual is None else (operation.residual,)

    def numbers(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        if dtype == "float32":
            return random.standard_normal(shape, np.float32)
        limits = np.iinfo(dtype)
        return random.integers(limits.min, limits.max, shape, dtype, endpoint=True)

    first, skip = (
        [numbers(frames.shape, frames.dtype) for frames in group]
        for group in ((operation.source, *caches), skips)
    )
    target = np.zeros(operation.target.shape, operation.target.dtype)
    return [*first, *kernel.pack(layer.weights), *skip, target]


def _real_channels(layer: Layer, packed: NDArray[Any]) -> NDArray[Any]:
    """Without the channels that only fill the last block."""
    target = _convolution(layer).target
    planes: NDArray[Any] = packed.transpose(0, 1, 3, 2).reshape(target.frames, -1, target.positions)
    return planes[:, : target.channels]


def _check(layer: Layer, got: NDArray[Any], expected: NDArray[Any], kernel: Kernel) -> None:
    if got.dtype != np.float32:
        same = bool(np.array_equal(got, expected))
    else:
        same = bool(np.abs(got - expected).max() <= TOLERANCE * max(float(np.abs(expected).max()), 1e-30))
    if not same:
        raise VerificationError(
            f"the {kernel.family} kernel with {kernel.tile} computes something else than its first candidate",
            where=layer.name,
        )


def _convolution(layer: Layer) -> Convolution:
    assert isinstance(layer.operation, Convolution)
    return layer.operation


def _layers(network: Network) -> list[Layer]:
    """One for each distinct convolution: nothing else has tiles to choose from."""
    layers = [layer for layer in network.layers if isinstance(layer.operation, Convolution)]
    return list({layer.operation: layer for layer in reversed(layers)}.values())[::-1]


def _kernel_of(record: Record, offered: Sequence[Kernel]) -> Kernel | None:
    for kernel in offered:
        if kernel.family == record.family and kernel.tile is not None and asdict(kernel.tile) == record.tile:
            return kernel
    return None
