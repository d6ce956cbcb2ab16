import numpy as np
import pytest
from int8_graphs import clips, observed, tiny_graph

from edgevid.calibration.observed_graph import observe
from edgevid.calibration.points import points
from edgevid.errors import GraphError
from edgevid.targets.onnxruntime import observer


def outputs(graph, found, pixels):
    return observer(found.model)({graph.graph.inputs[0].name: pixels})


@pytest.mark.parametrize("backbone", ["resnet50", "mobilenet_v2"])
@pytest.mark.parametrize("batch", [1, 3])
def test_every_clip_has_the_extremes_that_it_has_alone(backbone, batch):
    graph, pixels = tiny_graph(backbone, batch), clips(batch)
    found = observe(graph, points(graph))
    extremes = found.extremes(outputs(graph, found, pixels)[1:])
    assert len(found.plain) < found.points, "some tensors cannot be negative"
    for clip in range(batch):
        values = observed(tiny_graph(backbone), pixels[clip : clip + 1]).values()
        low = [v.min() for v in values]
        np.testing.assert_allclose(extremes.high[clip], [v.max() for v in values], rtol=1e-5, atol=1e-6)
        for place, least in enumerate(low):
            wanted = least if place in found.plain else 0
            assert extremes.low[clip, place] == pytest.approx(wanted, rel=1e-5, abs=1e-6)
            assert least >= 0 or place in found.plain


def test_samples_are_rows_and_columns_at_the_stride():
    graph, pixels = tiny_graph("resnet50", 2), clips(2)
    found = observe(graph, points(graph), stride=2)
    samples = found.samples(outputs(graph, found, pixels)[1:], 1)
    whole = observed(tiny_graph("resnet50"), pixels[:1]).values()
    for sample, values in zip(samples, whole, strict=True):
        wanted = values[..., ::2, ::2] if values.ndim == 4 else values
        np.testing.assert_allclose(sample, wanted.reshape(1, -1), rtol=1e-4, atol=1e-5)


def test_the_networks_own_outputs_stay_the_first():
    graph, pixels = tiny_graph(), clips()
    found = observe(graph, points(graph))
    name = graph.graph.inputs[0].name
    np.testing.assert_allclose(
        outputs(graph, found, pixels)[0], observer(graph)({name: pixels})[0], rtol=1e-4, atol=1e-5
    )


def test_a_name_that_is_no_tensor_is_refused():
    with pytest.raises(GraphError) as error:
        observe(tiny_graph(), ["nowhere"])
    assert error.value.where == "nowhere"


def test_a_tensor_that_does_not_hold_the_clips_one_after_the_other_is_refused():
    graph = tiny_graph("resnet50", 2).clone()
    name = points(graph)[3]
    value = next(v for node in graph.graph for v in node.outputs if v.name == name)
    value.shape = type(value.shape)([1, 8, *value.shape[2:]])
    with pytest.raises(GraphError, match="does not hold 2 clips") as error:
        observe(graph, points(graph))
    assert error.value.where == name
