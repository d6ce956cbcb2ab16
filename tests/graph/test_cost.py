"""Parameters and work of a graph agree with those of the network."""

from exported_once import export

from edgevid.graph.cost import macs, parameters


def test_a_graph_has_the_work_of_its_network_and_its_weights(tiny_network):
    from edgevid.models.cost import cost

    graph, network = export(tiny_network), cost(tiny_network.config)
    assert macs(graph) == network.macs
    norms = sum(
        module.weight.numel() for module in tiny_network.modules() if type(module).__name__ == "BatchNorm2d"
    )
    # A batch norm has a scale and an offset; folded, the offset alone is left. The classifier's bias is
    # zero, and the exporter drops it.
    assert parameters(graph) == network.parameters - norms - tiny_network.config.classes


def test_the_work_grows_with_the_batch(tiny_network):
    assert macs(export(tiny_network, batch=3)) == 3 * macs(export(tiny_network))
