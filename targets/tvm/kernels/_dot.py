"""Sums of products of bytes: the one place that knows instructions.

A *group* is four neighbouring channels of one place. For each output lane o a step computes
``sums[o] += sum over k < 4 of values[o, k] * weights[o, k]`` in 32 bits, exactly. That is one
instruction with VNNI or FEAT_DotProd, and elsewhere a few that sum products in pairs. Sources: Intel
SDM 2C (VPDPBUSD, VPMADDWD), Arm ARM (SDOT, SMULL, SADALP).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.cpus import Dot
from edgevid.targets.tvm.kernels._write import Expr, pick

__all__ = ["GROUP", "DotProduct", "activation_type"]

GROUP = 4
"""Products that one lane sums in a step."""


def activation_type(dot: Dot) -> Literal["uint8", "int8"]:
    """What stands for an activation in memory: x86 multiplies bytes without a sign with signed weights,
    ARM signed ones with signed ones."""
    return "int8" if dot in ("sdot", "smull") else "uint8"


@dataclass(frozen=True)
class DotProduct:
    """``lanes`` sums of 32 bits a vector, by the means of one kind of core.

    Operands are made ready once and used in many products: `broadcast` or `vector` for the
    values, `weights` for the weights.
    """

    dot: Dot
    lanes: int

    @property
    def kept(self) -> tuple[int, int]:
        """Registers that a vector of weights and that all else take, beside the sums."""
        return {"vnni": (1, 1), "madd": (2, 3), "sdot": (1, 1), "smul": (2, 7)}[self.dot[:4]]

    def neighbours(self, row: int, bytes_apart: int) -> list[int]:
        """How many places of a row of ``row`` places each load of values takes.

        ARM multiplies with an element of a register; x86 broadcasts from memory.
        """
        if self.lanes > GROUP or bytes_apart != GROUP:
            return [1] * row
        return [min(GROUP, row - first) for first in range(0, row, GROUP)]

    @property
    def order(self) -> NDArray[np.intp]:
        """What stands at each of the ``lanes * 4`` bytes of a vector: indices of [lane, k]."""
        places = np.arange(self.lanes * GROUP).reshape(self.lanes, 2, 2)
        # SMULL takes half a register: two products of all lanes, then the other two.
        return (places.transpose(1, 0, 2) if self.dot == "smull" else places).reshape(-1)

    def broadcast(self, groups: Expr, index: int = 0, count: int = 1) -> tuple[Expr, ...]:
        """Group ``index`` of ``count`` groups, a vector of ``count * 4`` bytes, in all lanes."""
        places = [GROUP * index + k for k in range(GROUP)]
        if self.dot == "smull":
            return tuple(pick(groups, count * GROUP, half * 4) for half in (places[:2], places[2:]))
        if count > 1:
            return (pick(groups, count * GROUP, places * self.lanes),)
        return self._values(T.broadcast(T.reinterpret("int32", groups), self.lanes))

    def vector(self, values: Expr) -> tuple[Expr, ...]:
        """``lanes * 4`` bytes in the order of `order`."""
        if self.dot == "smull":
            return _halves(values)
        return self._values(T.reinterpret(f"int32x{self.lanes}", values))

    def weights(self, values: Expr) -> tuple[Expr, ...]:
        """``lanes * 4`` signed bytes of -127 to 127, in the order of `order`."""
        if self.dot == "smull":
            return _halves(values)
        if not self.dot.startswith("madd"):
            return (values,)
        pairs = T.reinterpret(f"int16x{2 * self.lanes}", values)
        eight = T.broadcast(T.int16(8), 2 * self.lanes)
        return T.shift_right(T.shift_left(pairs, eight), eight), T.shift_right(pairs, eight)

    def add(self, sums: Expr, values: tuple[Expr, ...], weights: tuple[Expr, ...]) -> Expr:
        """``sums`` and the products."""
        v = self.lanes
        kind = f"int32x{v}"
        if self.dot in ("vnni512", "vnni256"):
            name = f"llvm.x86.avx512.vpdpbusd.{32 * v}"
            return _call(kind, name, sums, values[0], weights[0])
        if self.dot == "sdot":
            return _call(kind, "llvm.aarch64.neon.sdot.v4i32.v16i8", sums, weights[0], values[0])
        if self.dot == "smull":
            # |-128 * 127| * 2 = 32512: two products always fit into 16 bits, four do not.
            first, second = (
                _call("int16x8", "llvm.aarch64.neon.smull.v8i16", w, x)
                for w, x in zip(weights, values, strict=True)
            )
            return sums + _call(kind, "llvm.aarch64.neon.saddlp.v4i32.v8i16", first + second)
        # PMADDUBSW would saturate: 2 * 255 * 127 is more than 16 bits hold.
        name = "llvm.x86.avx512.pmaddw.d.512" if self.dot == "madd512" else "llvm.x86.avx2.pmadd.wd"
        for w, x in zip(weights, values, strict=True):
            sums = sums + _call(kind, name, x, w)
        return sums

    def within(self, real: Expr, least: Expr | None, largest: Expr | None) -> Expr:
        """A vector of float32 within scalar bounds."""
        for bound, name in ((least, "max"), (largest, "min")):
            if bound is None:
                continue
            all_lanes = T.broadcast(bound, self.lanes)
            if self.signed:
                real = _call("float32x4", f"llvm.aarch64.neon.f{name}nm.v4f32", real, all_lanes)
            else:
                real = T.max(real, all_lanes) if name == "max" else T.min(real, all_lanes)
        return real

    def rounded(self, real: Expr) -> Expr:
        """A vector of float32 to the nearest int32, halves to the even one."""
        name = "llvm.aarch64.neon.fcvtns.v4i32.v4f32" if self.signed else "llvm.lrint"
        return _call(f"int32x{self.lanes}", name, real)

    @property
    def signed(self) -> bool:
        """Whether activations are: on ARM."""
        return activation_type(self.dot) == "int8"

    def _values(self, groups: Expr) -> tuple[Expr, ...]:
        if not self.dot.startswith("madd"):
            return (T.reinterpret(f"{activation_type(self.dot)}x{self.lanes * GROUP}", groups),)
        even = T.bitwise_and(groups, T.broadcast(T.int32(0x00FF00FF), self.lanes))
        pairs = T.reinterpret(f"uint16x{2 * self.lanes}", groups)
        odd = T.shift_right(pairs, T.broadcast(T.uint16(8), 2 * self.lanes))
        return tuple(T.reinterpret(f"int16x{2 * self.lanes}", half) for half in (even, odd))


def _halves(values: Expr) -> tuple[Expr, ...]:
    return tuple(pick(values, 16, range(first, first + 8)) for first in (0, 8))


def _call(kind: str, name: str, *operands: Expr) -> Expr:
    return T.call_llvm_pure_intrin(kind, name, *operands)
