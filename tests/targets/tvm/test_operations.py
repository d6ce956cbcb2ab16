"""Operations on small graphs: which layers they become, and the same numbers as ONNX Runtime's."""

import numpy as np
import pytest

pytest.importorskip("tvm")

import tvm
from small_graphs import SHIFT, STEM, VOLUME, WEIGHTS, agrees, graph, ints, kinds, layers
from tvm import relax

from edgevid.targets.tvm.assemble import assemble, build
from edgevid.targets.tvm.cpus import host_cpu
from edgevid.targets.tvm.network import Convolution, Elementwise, Pool
from edgevid.targets.tvm.read_graph import read_graph

STEM3 = "c = Conv <pads = [0, 1, 1, 0, 1, 1]> (x, w, b)"
NORM = {"g": (12,), "o": (12,), "m": (12,)}
WEIGHTS3 = {"w": (12, 3, 1, 3, 3), "b": (12,)}

NO_FALLBACK = {
    "1x1 with a shift": (
        f"{STEM} s = {SHIFT.format('[N*T,C,H,W]')} (c) y = Conv (s, v)",
        {**WEIGHTS, "v": (5, 12, 1, 1)},
    ),
    "groups": (f"{STEM} y = Conv <group = 3, pads = [1, 0, 1, 1]> (c, v)", {**WEIGHTS, "v": (9, 4, 3, 2)}),
    "depthwise of shifted channels": (
        f"{STEM} s = {SHIFT.format('[N*T,C,H,W]')} (c) y = Conv <group = 12, pads = [1, 1, 1, 1]> (s, v)",
        {**WEIGHTS, "v": (12, 1, 3, 3)},
    ),
    "a depth multiplier": (f"{STEM} y = Conv <group = 12> (c, v)", {**WEIGHTS, "v": (24, 1, 3, 3)}),
    "same padding, more after": (
        'y = Conv <auto_pad = "SAME_UPPER", strides = [2, 2], kernel_shape = [4, 4]> (x, w)',
        {"w": (5, 3, 4, 4)},
    ),
    "same padding, more before": (
        'y = Conv <auto_pad = "SAME_LOWER", strides = [2, 2], kernel_shape = [4, 4]> (x, w)',
        {"w": (5, 3, 4, 4)},
    ),
    "valid padding": ('y = Conv <auto_pad = "VALID", kernel_shape = [3, 3]> (x, w)', {"w": (5, 3, 3, 3)}),
    "a residual": (
        f"{STEM} d = Conv (c, v) e = Relu (c) f = Add (d, e) y = Relu (f)",
        {**WEIGHTS, "v": (12, 12, 1, 1)},
    ),
    "pools": (
        f"{STEM} p = MaxPool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (c) "
        "y = AveragePool <kernel_shape = [2, 2], pads = [1, 0, 0, 1]> (p)",
        WEIGHTS,
    ),
    "a pool that rounds up": (
        f"{STEM} y = MaxPool <kernel_shape = [2, 2], strides = [2, 2], ceil_mode = 1> (c)",
        WEIGHTS,
    ),
    "an average that rounds up": (
        f"{STEM} y = AveragePool <kernel_shape = [3, 2], strides = [2, 2], "
        "ceil_mode = 1, pads = [1, 1, 1, 0]> (c)",
        WEIGHTS,
    ),
    "an average that counts pads": (
        f"{STEM} y = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1], count_include_pad = 1> (c)",
        WEIGHTS,
    ),
    "a global pool and a dense layer": (
        f"{STEM} g = GlobalAveragePool (c) f = Flatten (g) "
        f"y = Gemm <transB = 1, alpha = 2.0, beta = 0.5> (f, v, o)",
        {**WEIGHTS, "v": (7, 12), "o": (1, 7)},
    ),
    "the consensus of segments": (
        f"{STEM} g = GlobalMaxPool (c) {ints(s=[1, 2, 12], a=[1])} r = Reshape (g, s) "
        "m = ReduceMean <keepdims = 0> (r, a) d = MatMul (m, v) y = Add (d, o)",
        {**WEIGHTS, "v": (12, 7), "o": (7,)},
    ),
    "a dense layer at every position": (
        f"{STEM} t = Transpose <perm = [0, 2, 3, 1]> (c) d = MatMul (t, v) e = Add (d, o) "
        "y = Transpose <perm = [0, 3, 1, 2]> (e)",
        {**WEIGHTS, "v": (12, 7), "o": (7,)},
    ),
    "squeeze and excitation": (
        f"{STEM} g = GlobalAveragePool (c) h = Conv (g, v) i = HardSigmoid (h) y = Mul (c, i)",
        {**WEIGHTS, "v": (12, 12, 1, 1)},
    ),
    "swishes": (f"{STEM} s = Sigmoid (c) d = Mul (c, s) e = HardSwish (d) y = Gelu (e)", WEIGHTS),
    "arithmetic with constants of every shape": (
        f"{STEM} d = Mul (c, p) e = Sub (q, d) f = Div (e, r) g = Max (f, c) h = Add (g, o) y = Neg (h)",
        {**WEIGHTS, "p": (12, 1, 1), "q": (5, 1), "r": np.full((1,), 3, np.float32), "o": (2, 1, 5, 6)},
    ),
    "roots and powers": (
        f"{STEM} d = Abs (c) e = Sqrt (d) f = Constant <value_float = 2.0> () g = Pow (e, f) "
        f"h = Reciprocal (g) "
        "i = Min (h, e) j = Exp (i) y = Erf (j)",
        WEIGHTS,
    ),
    "leaky activations": (
        f"{STEM} d = LeakyRelu <alpha = 0.3> (c) y = PRelu (d, p)",
        {**WEIGHTS, "p": (12, 1, 1)},
    ),
    "exponential units": (
        f"{STEM} d = Elu <alpha = 0.7> (c) e = Selu (d) y = Celu <alpha = 0.8> (e)",
        WEIGHTS,
    ),
    "a clip of what two read": (
        f"{STEM} l = Constant <value_float = -0.5> () d = Clip (c, l) y = Sub (d, c)",
        WEIGHTS,
    ),
    "batch normalization before a convolution": (
        f"{STEM} d = Relu (c) e = BatchNormalization (d, g, o, m, s) f = Relu (e) y = Conv (f, v)",
        {**WEIGHTS, **NORM, "s": np.full(12, 0.7, np.float32), "v": (5, 12, 1, 1)},
    ),
    "branches joined": (
        f"{STEM} d = Conv (c, v) e = Concat <axis = 1> (d, c, d) y = Relu (e)",
        {**WEIGHTS, "v": (5, 12, 1, 1)},
    ),
    "channels split, gated and joined": (
        f"{STEM} {ints(s=[8, 4])} a, d = Split <axis = 1> (c, s) t = Tanh (d) {ints(i=[0], j=[1], k=[1])} "
        "g = Slice (t, i, j, k) h = Mul (a, g) y = Concat <axis = 1> (h, d)",
        WEIGHTS,
    ),
    "channels in another order": (
        f"{STEM} {ints(o=[4, 5, 6, 11, 0, 1, 2, 3, 10, 9])} y = Gather <axis = 1> (c, o)",
        WEIGHTS,
    ),
    "a shuffle of channels": (
        f"{STEM} {ints(a=[2, 3, 4, 5, 6], z=[2, 12, 5, 6])} r = Reshape (c, a) "
        f"t = Transpose <perm = [0, 2, 1, 3, 4]> (r) "
        "u = Reshape (t, z) y = Conv (u, v)",
        {**WEIGHTS, "v": (5, 12, 1, 1)},
    ),
    "a softmax over classes": (f"{STEM} y = Softmax <axis = 1> (c)", WEIGHTS),
    "a softmax over positions": (f"{STEM} {ints(a=[2, 12, 30])} r = Reshape (c, a) y = Softmax (r)", WEIGHTS),
    "attention between positions": (
        f"{STEM} {ints(a=[2, 12, 30])} q = Reshape (c, a) k = Transpose <perm = [0, 2, 1]> (q) "
        f"m = MatMul (k, q) "
        "s = Softmax (m) o = MatMul (q, s) y = Identity (o)",
        WEIGHTS,
    ),
}

VOLUMES = {
    "kx1x1 with a stride along time": (
        f"{STEM3} y = Conv <pads = [1, 0, 0, 1, 0, 0], strides = [2, 1, 1]> (c, v)",
        {**WEIGHTS3, "v": (5, 12, 3, 1, 1)},
    ),
    "3x3x3": ("y = Conv <pads = [1, 1, 1, 1, 1, 1], strides = [1, 2, 2]> (x, v)", {"v": (5, 3, 3, 3, 3)}),
    "3D pools": (
        f"{STEM3} d = MaxPool <kernel_shape = [3, 3, 3], strides = [2, 2, 2], pads = [1, 1, 1, 1, 1, 1]> (c) "
        "y = AveragePool <kernel_shape = [2, 1, 1], ceil_mode = 1> (d)",
        WEIGHTS3,
    ),
    "self-gating": (
        f"{STEM3} {ints(a=[2, 3, 4], u=[2, 3, 4])} m = ReduceMean <keepdims = 0> (c, a) "
        f"d = Gemm <transB = 1> (m, v, o) "
        "s = Sigmoid (d) g = Unsqueeze (s, u) y = Mul (c, g)",
        {**WEIGHTS3, "v": (12, 12), "o": (12,)},
    ),
    "a gate-shift module": (
        f"{STEM3} r = BatchNormalization (c, g, o, m, q) e = Relu (r) "
        "p = Conv <group = 2, pads = [1, 1, 1, 1, 1, 1]> (e, v) t = Tanh (p) "
        f"{ints(h=[1, 1], s=[6, 6])} t1, t2 = Split <axis = 1> (t, h) c1, c2 = Split <axis = 1> (c, s) "
        "y1 = Mul (t1, c1) y2 = Mul (t2, c2) r1 = Sub (c1, y1) r2 = Sub (c2, y2) "
        'z1 = edgevid.Shift <segments = 3, moves = [0, 6, -1, 0, 0], layout = "[N,C,T,H,W]"> (y1) '
        'z2 = edgevid.Shift <segments = 3, moves = [0, 6, 1, 0, 0], layout = "[N,C,T,H,W]"> (y2) '
        "a1 = Add (z1, r1) a2 = Add (z2, r2) y = Concat <axis = 1> (a1, a2)",
        {**WEIGHTS3, **NORM, "q": np.full(12, 0.7, np.float32), "v": (2, 6, 3, 3, 3)},
    ),
    "non-local attention": (
        f"{STEM3} {ints(a=[1, 12, 90], z=[1, 12, 3, 5, 6])} q = Reshape (c, a) "
        f"t = Transpose <perm = [0, 2, 1]> (q) "
        "m = MatMul (t, q) s = Softmax (m) o = MatMul (s, t) u = Transpose <perm = [0, 2, 1]> (o) "
        f"r = Reshape (u, z) "
        "p = Conv (r, v) y = Add (p, c)",
        {**WEIGHTS3, "v": (12, 12, 1, 1, 1)},
    ),
    "a maximum over time": (f"{STEM3} {ints(a=[2])} y = ReduceMax (c, a)", WEIGHTS3),
}


SLOW_TO_COMPILE = ("exponential units", "swishes")
"""Polynomials of many terms, unrolled."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in SLOW_TO_COMPILE else name for name in NO_FALLBACK],
)
def test_frames_are_computed_by_kernels_of_our_own(name):
    body, weights = NO_FALLBACK[name]
    model = graph(body, weights)
    assert "Fallback" not in kinds(model)
    assert agrees(model)


@pytest.mark.parametrize("clips", [pytest.param((1, 3, 5, 6), marks=pytest.mark.slow), (2, 3, 5, 6)])
@pytest.mark.parametrize("name", VOLUMES)
def test_volumes_are_computed_by_kernels_of_our_own(name, clips):
    body, weights = VOLUMES[name]
    if clips[0] > 1:
        body = body.replace("[1, 12,", f"[{clips[0]}, 12,")
    model = graph(body, weights, clips, VOLUME)
    assert "Fallback" not in kinds(model)
    assert agrees(model)


@pytest.mark.parametrize("lanes", [4, 8])
@pytest.mark.parametrize(
    "name", ["a shuffle of channels", "channels split, gated and joined", "groups", "pools"]
)
def test_vectors_of_other_lengths_give_the_same_numbers(name, lanes):
    assert agrees(graph(*NO_FALLBACK[name]), lanes=lanes)


@pytest.mark.parametrize("lanes", [4, 8])
@pytest.mark.parametrize("name", ["a gate-shift module", "non-local attention"])
def test_volumes_in_vectors_of_other_lengths_give_the_same_numbers(name, lanes):
    body, weights = VOLUMES[name]
    assert agrees(graph(body, weights, (1, 3, 5, 6), VOLUME), lanes=lanes)


def test_reshapes_copy_nothing():
    body, weights = NO_FALLBACK["attention between positions"]
    cpu = host_cpu()
    network = read_graph(graph(body, weights), cpu.lanes)
    functions = assemble(network, cpu, (2, 12, 30)).functions
    machine = relax.VirtualMachine(build(assemble(network, cpu, (2, 12, 30)), cpu), tvm.cpu())
    called = []
    machine.set_instrument(
        lambda _function, name, before, _result, *_: called.append(name) if before else None
    )
    machine["main"](tvm.runtime.tensor(np.zeros((1, 2, 5, 6, 3), np.uint8)))
    computing = [name for name in called if not name.startswith("vm.")]
    assert set(computing) <= {name.name_hint for name in functions.get_global_vars()}
    assert len(computing) == len(network.layers)


def test_rows_of_classes_are_plain_tensors():
    body = (
        f"{STEM} g = GlobalAveragePool (c) {ints(s=[2, 3, 12], a=[1])} r = Reshape (g, s) "
        f"d = MatMul (r, v) "
        "p = Softmax (d) y = ReduceMean <keepdims = 0> (p, a)"
    )
    model = graph(body, {**WEIGHTS, "v": (12, 7)}, (2, 3, 5, 6))
    assert "Fallback" not in kinds(model)
    assert agrees(model)


def test_a_shift_costs_no_layer():
    with_shift, weights = NO_FALLBACK["1x1 with a shift"]
    without = with_shift.replace(SHIFT.format("[N*T,C,H,W]"), "Identity")
    assert kinds(graph(with_shift, weights)) == kinds(graph(without, weights))


def test_expressions_are_one_layer_and_gates_are_computed_once():
    found = layers(graph(*NO_FALLBACK["swishes"]))
    assert len([operation for operation in found if isinstance(operation, Elementwise)]) == 1
    gates = layers(graph(*VOLUMES["self-gating"], (1, 3, 5, 6), VOLUME))
    expressions = [operation for operation in gates if isinstance(operation, Elementwise)]
    assert [operation.target.positions for operation in expressions] == [1, 30]


def test_a_dense_layer_at_every_position_is_a_convolution():
    found = layers(graph(*NO_FALLBACK["a dense layer at every position"]))
    assert [operation.kernel for operation in found if isinstance(operation, Convolution)] == [
        (1, 3, 3),
        (1, 1, 1),
    ]


def test_average_over_time_height_and_width_is_one_pool():
    found = layers(graph(*VOLUMES["self-gating"], (1, 3, 5, 6), VOLUME))
    (pool,) = [operation for operation in found if isinstance(operation, Pool)]
    assert pool.kernel == (3, 5, 6)
