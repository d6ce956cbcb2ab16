"""Every line of the tables: what it forbids is found, and what it allows is not."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from lint_graphs import VERSIONS, constant, found, ints, model, node, value

from edgevid.targets.tensorrt.lint.limits import ATTRIBUTES, CONSTANTS, OUTPUTS, RANKS, SHAPES
from edgevid.targets.tensorrt.lint.operators import OPERATORS, RTX_REFUSES
from edgevid.targets.tensorrt.lint.release import LAST, release

NUMBERS = {version: release(version).number for version in VERSIONS}


def inside(limit):
    versions = [version for version, number in NUMBERS.items() if limit.since <= number < limit.until]
    return [version for version in versions if version == "RTX" or not getattr(limit, "rtx", False)]


def outside(limit):
    return [version for version, number in NUMBERS.items() if not limit.since <= number < limit.until]


def each_of(limits, versions):
    return [
        pytest.param(limit, kind, version, id=f"{kind}-{number}-{version}")
        for number, limit in enumerate(limits)
        for kind in limit.operators
        for version in versions(limit)
    ]


def named(diagnostics):
    return {each.node for each in diagnostics}


@pytest.mark.parametrize("version", VERSIONS)
def test_operators_of_a_later_version_are_named_and_those_of_this_one_are_not(version):
    for name, entry in OPERATORS.items():
        wrong = found(model([node(name, [value("x")])], version=version), version, "operator")
        refused = entry.since > NUMBERS[version] or (version == "RTX" and name in RTX_REFUSES)
        assert bool(wrong) == refused, name
        for each in wrong:
            assert each.node == f"{name} 'seeded'"
            assert name in each.reason
            assert each.remedy
            assert each.source


@pytest.mark.parametrize("version", VERSIONS)
def test_operators_of_onnx_that_no_table_has_are_refused_by_every_version(version):
    known = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    strange = known - set(OPERATORS)
    assert {"Compress", "Unique", "ConvInteger", "QLinearConv", "DynamicQuantizeLinear", "Det"} <= strange
    for name in sorted(strange):
        assert found(model([node(name, [value("x")])], version=version), version, "operator"), name


def test_every_operator_has_a_source():
    for entry in OPERATORS.values():
        assert entry.source.startswith(("onnx/onnx-tensorrt", "NVIDIA/TensorRT"))


KINDS = {"FLOAT": "f", "INT32": "i", "INT64": "i", "INT8": "q", "BOOL": "b"}


@pytest.mark.parametrize("version", VERSIONS)
def test_element_types_outside_of_the_table_are_named(version):
    checked = 0
    for name, entry in OPERATORS.items():
        allowed = entry.types(release(version))
        if not allowed or entry.since > NUMBERS[version]:
            continue
        for kind in KINDS:
            x = value("x", kind=ir.DataType[kind])
            inputs = [value("c", kind=ir.DataType.BOOL), x] if name == "Where" else [x]
            wrong = found(model([node(name, inputs)], version=version), version, "element-type")
            assert bool(wrong) == (kind not in allowed), (name, kind)
            checked += 1
    assert checked > 300


def attributes(limit, *, allowed):
    """A value that the limit allows, or one that it does not, where it counts."""
    wrong = "something else" if isinstance(limit.allowed[0], str) else 7
    chosen = limit.allowed[0] if allowed else wrong
    given = {limit.attribute: [chosen, chosen] if limit.attribute == "dilations" else chosen}
    return given | ({limit.when[0]: limit.when[2]} if limit.when else {})


@pytest.mark.parametrize(("limit", "kind", "version"), each_of(ATTRIBUTES, inside))
def test_a_forbidden_attribute_is_named(limit, kind, version):
    wrong = model([node(kind, [value("x")], attributes(limit, allowed=False))], version=version)
    assert any(each.reason.startswith(limit.attribute) for each in found(wrong, version, "attribute"))
    right = model([node(kind, [value("x")], attributes(limit, allowed=True))], version=version)
    told = f"{limit.attribute} ="
    assert not [each for each in found(right, version, "attribute") if each.reason.startswith(told)]


@pytest.mark.parametrize(
    ("limit", "kind", "version"), each_of([limit for limit in ATTRIBUTES if limit.default], inside)
)
def test_the_default_of_a_missing_attribute_counts(limit, kind, version):
    graph = model([node(kind, [value("x")])], version=version)
    wrong = [
        each for each in found(graph, version, "attribute") if each.reason.startswith(f"{limit.attribute} =")
    ]
    assert bool(wrong) == (limit.default not in limit.allowed)


def with_input_at(kind, index, given):
    inputs = [
        value("x", kind=ir.DataType.FLOAT),
        *(constant(f"c{number}", np.float32(1)) for number in range(1, index)),
    ]
    return [*inputs, given] if index else [given]


@pytest.mark.parametrize(("limit", "kind", "version"), each_of(CONSTANTS, inside))
def test_an_input_that_must_be_constant_is_named_when_it_is_computed(limit, kind, version):
    for index in limit.inputs:
        wrong = model([node(kind, with_input_at(kind, index, value("late")))], version=version)
        assert named(found(wrong, version, "constant-input")) == {f"{kind} 'seeded'"}
        right = model([node(kind, with_input_at(kind, index, ints("early", 1)))], version=version)
        assert not found(right, version, "constant-input")


@pytest.mark.parametrize(("limit", "kind", "version"), each_of(CONSTANTS, outside))
def test_other_versions_take_a_computed_input(limit, kind, version):
    index = limit.inputs[0]
    graph = model([node(kind, with_input_at(kind, index, value("late")))], version=version)
    assert limit.source not in {each.source for each in found(graph, version, "constant-input")}


@pytest.mark.parametrize(("limit", "kind", "version"), each_of(RANKS, inside))
def test_a_rank_that_an_operator_does_not_take_is_named(limit, kind, version):
    for rank in range(1, 7):
        graph = model([node(kind, [value("x", (2,) * rank)])], version=version)
        assert bool(found(graph, version, "rank")) == (rank not in limit.ranks)


@pytest.mark.parametrize(("limit", "kind", "version"), each_of(OUTPUTS, inside))
def test_an_output_that_is_not_given_is_named_when_it_is_used(limit, kind, version):
    for used in (False, True):
        seeded = node(kind, [value("x")], outputs=limit.count + 1)
        outputs = [seeded.outputs[0], *([seeded.outputs[limit.count]] if used else [])]
        graph = model([seeded], version=version, outputs=outputs)
        assert bool(found(graph, version, "output")) == used


@pytest.mark.parametrize("version", VERSIONS)
def test_a_size_that_is_computed_from_activations_is_named_and_one_from_shapes_is_not(version):
    for kind, indices in SHAPES.items():
        for index in indices:
            for source, wrong in (("Cast", True), ("Shape", False)):
                size = node(source, [value("x", ("N", 3, 8, 8))], name="size", shape=(4,))
                seeded = node(kind, with_input_at(kind, index, size.outputs[0]))
                graph = model([size, seeded], version=version)
                named_nodes = named(found(graph, version, "data-dependent"))
                assert named_nodes == ({f"{kind} 'seeded'"} if wrong else set()), kind


def test_every_limit_holds_for_a_known_version_and_has_a_source():
    for limit in (*ATTRIBUTES, *CONSTANTS, *RANKS, *OUTPUTS):
        assert limit.source
        assert inside(limit)
        assert limit.since < limit.until <= LAST
        assert set(limit.operators) <= set(OPERATORS)
