"""Operations without a kernel of ours: right, and named."""

import re

import numpy as np
import pytest

pytest.importorskip("tvm")

import tvm
from small_graphs import STEM, WEIGHTS, agrees, graph, ints, layers
from tvm import relax

from edgevid.contract import CompileOptions
from edgevid.errors import TargetError
from edgevid.targets._profiles import device as find_device
from edgevid.targets.tvm import target
from edgevid.targets.tvm.assemble import assemble, build
from edgevid.targets.tvm.cpus import host_cpu
from edgevid.targets.tvm.network import Fallback
from edgevid.targets.tvm.read_graph import read_graph

FALLBACKS = {
    "Softplus": (f"{STEM} d = Softplus (c) y = Conv (d, v)", {**WEIGHTS, "v": (5, 12, 1, 1)}),
    "LogSoftmax": (f"{STEM} y = LogSoftmax <axis = 1> (c)", WEIGHTS),
    "ReduceSum": (f"{STEM} {ints(a=[1])} y = ReduceSum (c, a)", WEIGHTS),
    "Pad": (
        f"{STEM} {ints(a=[0, 0, 1, 2, 0, 0, 0, 1])} p = Pad (c, a) y = MaxPool <kernel_shape = [2, 2]> (p)",
        WEIGHTS,
    ),
    "TopK": (f"{STEM} {ints(k=[3])} y, i = TopK <axis = 1> (c, k)", WEIGHTS),
    "CumSum": (f"{STEM} a = Constant <value_int = 1> () y = CumSum (c, a)", WEIGHTS),
    "LayerNormalization": (f"{STEM} y = LayerNormalization (c, g)", {**WEIGHTS, "g": (6,)}),
    "ConvTranspose": (f"{STEM} y = ConvTranspose <strides = [2, 2]> (c, v)", {**WEIGHTS, "v": (12, 5, 3, 3)}),
    "Conv": (
        f"{STEM} {ints(r=[2, 12, 30])} d = Reshape (c, r) y = Conv (d, v)",
        {**WEIGHTS, "v": (5, 12, 3)},
    ),
    "Slice": (f"{STEM} {ints(s=[1], e=[5], a=[3], k=[2])} y = Slice (c, s, e, a, k)", WEIGHTS),
    "Concat": (f"{STEM} y = Concat <axis = 2> (c, c)", WEIGHTS),
    "MaxPool": (f"{STEM} y = MaxPool <kernel_shape = [2, 2], dilations = [2, 2]> (c)", WEIGHTS),
    "Where": (
        f"{STEM} z = Constant <value_float = 0.0> () g = Greater (c, z) d = Exp (c) y = Where (g, d, c)",
        WEIGHTS,
    ),
}


@pytest.mark.parametrize("operator", FALLBACKS)
def test_what_has_no_kernel_is_left_to_tvm_and_named(operator):
    body, weights = FALLBACKS[operator]
    model = graph(body, weights)
    assert operator in [operation.operator for operation in layers(model) if isinstance(operation, Fallback)]
    assert agrees(model)


def test_a_fallback_is_a_function_whose_time_can_be_told():
    model = graph(*FALLBACKS["Softplus"])
    network, cpu = read_graph(model, host_cpu().lanes), host_cpu()
    module = assemble(network, cpu, (2, 5, 5, 6))
    (layer,) = network.fallbacks
    assert module.fallbacks == {layer.name: "tvm_softplus_0"}
    machine = relax.VirtualMachine(build(module, cpu), tvm.cpu())
    called = []
    machine.set_instrument(lambda _function, name, before, _result, *_: called.append((name, bool(before))))
    machine["main"](tvm.runtime.tensor(np.zeros((1, 2, 5, 6, 3), np.uint8)))
    assert called.count(("tvm_softplus_0", True)) == called.count(("tvm_softplus_0", False)) == 1


def test_what_nobody_computes_is_named():
    model = graph(f"{STEM} y = LpNormalization <axis = 1> (c)", WEIGHTS)
    with pytest.raises(TargetError, match="LpNormalization"):
        agrees(model)


def test_the_report_names_it_with_its_share_of_the_time(tmp_path):
    options = CompileOptions(device=find_device("host-tvm"), folder=tmp_path, lowering="function")
    artifact = target().compile(graph(*FALLBACKS["Softplus"]), options)
    (note,) = [note for note in artifact.notes if "no kernel of ours" in note]
    assert "tvm_softplus_0" in note
    assert 0 < float(re.search(r"([\d.]+)% of the time", note)[1]) < 100


def test_for_a_board_the_report_names_it_alone(tmp_path):
    options = CompileOptions(device=find_device("raspberry-pi-4"), folder=tmp_path, lowering="function")
    artifact = target().compile(graph(*FALLBACKS["Softplus"]), options)
    (note,) = [note for note in artifact.notes if "no kernel of ours" in note]
    assert "of the time" not in note
