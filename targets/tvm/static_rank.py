"""Tiles without a device: candidates ranked by the machine code that LLVM makes of them.

In the hottest loop, the share of multiply-accumulate instructions among all tells how much of the
core's rate is left after loads, broadcasts and spilled accumulators. It says nothing of caches:
among loop orders the family's first guess stays.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import tvm

from edgevid.targets.tvm.cpus import Cpu
from edgevid.targets.tvm.kernels.choose import Kernel, candidates
from edgevid.targets.tvm.network import Convolution, Network, Operation

__all__ = ["Loop", "hottest_loop", "static_choice"]

_MULTIPLY = re.compile(
    r"^(fmla|fmlal|sdot|udot|usdot|smlal|smull|sadalp|vf?n?madd|vpdpbusd|vpmaddwd|vpmulld|vmulps)"
)
_MOST_SHAPES = 4
"""Of each operation, the first guesses: each has to be compiled to be looked at."""
_INDEPENDENT = 8
"""Sums that keep two multipliers of a latency of four cycles at work."""
_STACK = re.compile(r"\[sp|\(%[er]sp\)|\(%rbp\)|\[x29")
_LABEL = re.compile(r"^[.\w$]+:")


@dataclass(frozen=True)
class Loop:
    """The straight piece of code with the most multiplications.

    Attributes:
        multiplications: vector multiply-accumulate instructions.
        spills: instructions that touch the stack.
        instructions: all.
    """

    multiplications: int
    spills: int
    instructions: int

    @property
    def density(self) -> float:
        """The share of multiplications; each spill waits for memory, and counts twice."""
        return self.multiplications / max(self.instructions + self.spills, 1)


def hottest_loop(assembly: str) -> Loop:
    """Of one function's assembly, as LLVM prints it."""
    best = Loop(0, 0, 0)
    block: list[str] = []
    for line in [*assembly.splitlines(), "end:"]:
        if _LABEL.match(line):
            found = _count(block)
            best = max(best, found, key=lambda loop: (loop.multiplications, -loop.instructions))
            block = []
        elif line.startswith("\t") and not line.strip().startswith((".", "//", "#")):
            block.append(line.strip())
    return best


def _count(block: Sequence[str]) -> Loop:
    return Loop(
        sum(bool(_MULTIPLY.match(line)) for line in block),
        sum(bool(_STACK.search(line)) for line in block),
        len(block),
    )


def static_choice(network: Network, cpu: Cpu) -> Mapping[Operation, Kernel]:
    """The candidate of the densest hottest loop for each distinct operation that has a choice."""
    chosen: dict[Operation, Kernel] = {}
    loops: dict[Any, Loop] = {}
    for operation in dict.fromkeys(layer.operation for layer in network.layers):
        offered = _shapes(candidates(operation, cpu))[:_MOST_SHAPES]
        if len(offered) > 1 and isinstance(operation, Convolution):
            for kernel in offered:
                if _kind(kernel) not in loops:
                    loops[_kind(kernel)] = _loop_of(kernel, cpu)
            densities = [loops[_kind(kernel)].density * _filled(kernel) for kernel in offered]
            # Differences of a few hundredths are no reason to leave the first guess.
            best = max(densities)
            chosen[operation] = next(
                kernel for kernel, density in zip(offered, densities, strict=True) if density >= 0.97 * best
            )
    return chosen


def _shapes(offered: Sequence[Kernel]) -> list[Kernel]:
    """One candidate a tile shape: orders make the same inner loop."""
    first: dict[Any, Kernel] = {}
    for kernel in offered:
        if kernel.tile is None:
            return [kernel]
        sizes = tuple(getattr(kernel.tile, f.name) for f in fields(kernel.tile) if f.name != "order")
        first.setdefault(sizes, kernel)
    return list(first.values())


def _kind(kernel: Kernel) -> tuple[Any, ...]:
    """What the inner loop depends on: not how often it runs."""
    operation = kernel.operation
    assert isinstance(operation, Convolution)
    return (
        *(kernel.family, kernel.tile, operation.kernel, operation.strides, operation.dilations),
        *(operation.source.block, operation.source.dtype, bool(operation.pixels), bool(operation.moves)),
        *(None if operation.cache is None else operation.cache.block, operation.keeps),
    )


def _filled(kernel: Kernel) -> float:
    """The share of the cycles between a sum's multiplications in which other sums can be multiplied."""
    sums = math.prod(size for size in asdict(kernel.tile).values() if isinstance(size, int))
    return min(1.0, sums / _INDEPENDENT)


def _loop_of(kernel: Kernel, cpu: Cpu) -> Loop:
    module = tvm.compile(tvm.IRModule({"f": kernel.build("f")}), target=tvm.target.Target(cpu.llvm))
    return hottest_loop(module.mod.inspect_source("asm"))
