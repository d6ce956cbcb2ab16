"""Tiles without a device: the assembly is read, and a choice is made of it."""

import pytest

from edgevid.targets.tvm.cpus import cpu
from edgevid.targets.tvm.kernels.choose import candidates
from edgevid.targets.tvm.network import Convolution, Frames, Layer, Network
from edgevid.targets.tvm.static_rank import Loop, hottest_loop, static_choice

ARM = """
f:
\tstp\tx29, x30, [sp, #-16]!
.LBB0_1:
\tldr\tq0, [x1]
\tfmla\tv1.4s, v0.4s, v2.s[0]
\tfmla\tv3.4s, v0.4s, v2.s[1]
\tstr\tq4, [sp, #32]
\tb.ne\t.LBB0_1
.LBB0_2:
\tfmla\tv1.4s, v0.4s, v2.s[0]
\tret
"""


def test_the_loop_with_the_most_multiplications_is_found_and_its_spills_are_counted():
    assert hottest_loop(ARM) == Loop(multiplications=2, spills=1, instructions=5)
    assert hottest_loop(ARM).density == pytest.approx(2 / 6)


def test_assembly_without_multiplications_has_no_density():
    assert hottest_loop("f:\n\tret\n").density == 0


def of_one_layer(operation):
    layer = Layer("conv", operation, ("in",), "out")
    return Network("in", "out", {"in": operation.source, "out": operation.target}, (layer,))


def test_a_choice_is_one_of_the_candidates_and_keeps_enough_sums():
    machine = cpu("cortex-a72")
    operation = Convolution(Frames(1, 8, 32, 14, 14, 4), Frames(1, 8, 32, 14, 14, 4))
    kernel = static_choice(of_one_layer(operation), machine)[operation]
    assert kernel in candidates(operation, machine)
    assert kernel.tile.positions * kernel.tile.blocks >= 8


def test_accumulators_that_do_not_fit_into_the_registers_of_neon_are_not_chosen():
    machine = cpu("cortex-a53")
    operation = Convolution(
        Frames(1, 4, 64, 28, 28, 4), Frames(1, 4, 64, 28, 28, 4), (1, 3, 3), pads=(0, 1, 1)
    )
    kernel = static_choice(of_one_layer(operation), machine)[operation]
    assert kernel.tile.rows * kernel.tile.columns * kernel.tile.blocks <= 28
