from collections import Counter

import numpy as np
import onnx_ir as ir
import pytest

from edgevid.bench.find_shift_long_run import judge, main
from edgevid.bench.random_blocks import Pen
from edgevid.bench.random_shift_graphs import KINDS, NO_SHIFT, random_graph
from edgevid.bench.random_spellings import spell
from edgevid.shift import Layout, Move, ShiftSpec, shift_numpy
from edgevid.targets.onnxruntime import evaluate

GRAPHS = 30
"""Of each kind: together enough for every spelling to occur."""


def complaints(verdicts):
    return [
        f"seed {verdict.seed} ({verdict.kind}): {verdict.complaint}"
        for verdict in verdicts
        if verdict.complaint
    ]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != NO_SHIFT])
def test_random_shifts_in_random_spellings_are_found_exactly(kind):
    assert complaints(judge(random_graph(seed, kind)) for seed in range(GRAPHS)) == []


def test_random_movements_that_are_no_shift_are_left_alone():
    assert complaints(judge(random_graph(seed, NO_SHIFT)) for seed in range(4 * GRAPHS)) == []


@pytest.mark.parametrize("layout", list(Layout))
def test_random_spellings_are_the_shift_that_they_spell(layout):
    """Without `find_shift`: in ONNX Runtime they equal the reference."""
    spec = ShiftSpec(3, (Move(0, 2, -1), Move(2, 3, 2, 0, 1), Move(4, 5, 0, -1)), layout)
    sizes = (6, 5, 3, 4) if layout is Layout.FRAMES else (2, 5, 3, 3, 4)
    numbers = np.random.default_rng(0).standard_normal(sizes, np.float32)
    names = Counter()
    for seed in range(40):
        pen = Pen(np.random.default_rng(seed))
        x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(sizes))
        y, name = spell(pen, x, sizes, spec)
        y.type = x.type
        graph = ir.Graph(
            [x], [y], nodes=pen.nodes, initializers=pen.initializers, opset_imports={"": 20}, name="spelling"
        )
        (moved,) = evaluate(ir.Model(graph, ir_version=10), {"x": numbers})
        assert np.array_equal(moved, shift_numpy(numbers, spec)), (seed, name)
        names[name] += 1
    assert len(names) >= 5


def test_a_seed_makes_the_same_graph_again():
    once, again = random_graph(3), random_graph(3)
    assert ir.to_proto(once.model) == ir.to_proto(again.model)
    assert once.specs == again.specs
    assert ir.to_proto(once.model) != ir.to_proto(random_graph(4).model)


def test_all_kinds_and_layouts_and_numbers_of_moves_are_drawn():
    graphs = [random_graph(seed) for seed in range(200)]
    specs = [spec for graph in graphs for spec in graph.specs or ()]
    moves = [move for spec in specs for move in spec.moves]
    assert {graph.kind for graph in graphs} == set(KINDS)
    assert {spec.layout for spec in specs} == set(Layout)
    assert {len(graph.shape) for graph in graphs} == {4, 5}
    assert {spec.segments for spec in specs} == {1, 2, 3, 4, 5}
    assert {1, 2, 3, 4} <= {len(spec.moves) for spec in specs}
    for axis in ("dt", "dh", "dw"):
        assert {-2, -1, 0, 1, 2} <= {getattr(move, axis) for move in moves}


def test_a_shift_that_is_not_as_it_was_said_to_be_is_a_miss():
    graph = random_graph(0, "one shift")
    wrong = tuple(spec.swapped() for spec in graph.specs)
    assert "wanted" in judge(type(graph)(**{**vars(graph), "specs": wrong})).complaint


def test_the_long_run_counts_what_it_found_and_succeeds(capsys):
    assert main(["--graphs", "30", "--processes", "1", "--seed", "7"]) == 0
    said = capsys.readouterr().out
    assert "30 graphs" in said
    assert all(kind in said for kind in KINDS)


def test_the_long_run_fails_and_names_the_seed_of_a_miss(capsys, monkeypatch):
    from edgevid.bench import find_shift_long_run

    def blind(seed):
        graph = random_graph(seed, "one shift")
        return type(graph)(**{**vars(graph), "specs": ()})

    monkeypatch.setattr(find_shift_long_run, "random_graph", blind)
    assert main(["--graphs", "2", "--processes", "1", "--seed", "41"]) == 1
    said = capsys.readouterr().out
    assert "seed 41" in said
    assert "seed 42" in said


@pytest.mark.slow
def test_ten_thousand_graphs_have_no_miss():
    assert main(["--graphs", "10000", "--seed", "1000000"]) == 0
