import pytest
from int8_graphs import clips, observed, tiny_graph
from written_graphs import normal, parse

from edgevid.calibration.points import edges, is_non_negative, layers_named, points
from edgevid.errors import GraphError


def test_every_layer_addition_pooling_and_mean_has_a_point():
    graph = tiny_graph("resnet50")
    kinds = {edge.node.op_type for edge in edges(graph)}
    assert kinds == {"Conv", "Gemm", "Add", "MaxPool", "ReduceMean"}
    layers = [node for node in graph.graph if node.op_type in ("Conv", "Gemm")]
    assert {edge.node for edge in edges(graph)} >= set(layers)


def test_a_range_is_taken_before_the_shift_and_before_the_maximum():
    graph = tiny_graph("resnet50")
    made_by = {value.name: node.op_type for node in graph.graph for value in node.outputs}
    assert not {made_by[name] for name in points(graph)} & {"Shift", "MaxPool"}


def test_points_are_the_same_for_every_batch():
    assert len(points(tiny_graph("resnet50", 3))) == len(points(tiny_graph("resnet50")))


def test_what_is_called_non_negative_is_and_what_is_not_has_negative_values():
    for backbone in ("resnet50", "mobilenet_v2"):
        graph = tiny_graph(backbone)
        values = {edge.source.name: edge.source for edge in edges(graph)}
        seen = observed(graph, clips())
        signs = {name: is_non_negative(value) for name, value in values.items()}
        assert {name: bool((seen[name] >= 0).all()) for name in seen} == signs
        assert set(signs.values()) == {True, False}


def test_layers_are_named_by_words_too():
    graph = tiny_graph("mobilenet_v2")
    layers = [node for node in graph.graph if node.op_type in ("Conv", "Gemm")]
    depthwise = [node.name for node in layers if node.attributes.get_int("group", 1) > 1]
    named = layers_named(graph, ["depthwise", "last", layers[0].name])
    assert named == {
        layers[0].name: layers[0].name,
        **dict.fromkeys(depthwise, "depthwise"),
        layers[-1].name: "last",
    }
    with pytest.raises(GraphError, match="nowhere"):
        layers_named(graph, ["first", "nowhere"])


BEHIND = {
    "gate": ("t = Tanh(c) y = Mul(t, x)", True),
    "gate seen in parts": ("t = Tanh(c) a, b = Split<axis = 1, num_outputs = 2>(t) y = Mul(a, b)", True),
    "gate, shifted and reshaped": (
        """s = edgevid.Shift<segments = 4, moves = [0, 1, 1, 0, 0], layout = "[N*T,C,H,W]">(c)
        t = Reshape(s, same) g = Sigmoid(t) h = Sub(one, g) y = Mul(x, h)""",
        True,
    ),
    "gate of two layers": ("d = Conv(c, w2) t = Tanh(d) y = Mul(x, t)", True),
    "activation": ("t = Sigmoid(c) y = Mul(c, t)", False),
    "scores": ("y = Softmax<axis = 1>(c)", False),
    "scores averaged over frames": ("t = Softmax<axis = 1>(c) y = ReduceMean<keepdims = 1>(t, zero)", False),
    "scores scaled": ("t = Sigmoid(c) y = Mul(t, one)", False),
    "features beside a gate": ("t = Tanh(c) m = Mul(t, x) y = Add(m, c)", False),
}


@pytest.mark.parametrize("behind", BEHIND)
def test_a_gate_is_a_layer_whose_results_only_weigh_others(behind):
    body, expected = BEHIND[behind]
    graph = parse(
        f"g (float[4, 2, 3, 3] x) => (float[a, b, d, e] y) {{ c = Conv(x, w) {body} }}",
        w=normal(2, 2, 1, 1),
        w2=normal(2, 2, 1, 1),
        one=normal(1),
        same=[4, 2, 3, 3],
        zero=[0],
    )
    first = next(node.name for node in graph.graph if node.op_type == "Conv")
    assert (first in layers_named(graph, ["gates"])) == expected
