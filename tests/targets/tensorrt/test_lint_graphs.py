"""Every graph that edgevid makes for TensorRT is found nothing against."""

from functools import cache

import pytest
from typed_graphs import BACKBONES, integer, lowered, streamed

from edgevid.targets._profiles import device, device_names
from edgevid.targets.tensorrt._target import typed
from edgevid.targets.tensorrt.boards import BOARDS, board
from edgevid.targets.tensorrt.float_moves import with_float_moves
from edgevid.targets.tensorrt.lint import lint
from edgevid.targets.tensorrt.opset13 import as_opset13

GPUS = sorted(BOARDS)


@cache
def made(backbone, precision, family):
    """The graph as the target hands it on."""
    graph = integer(backbone) if precision == "int8" else lowered(backbone)
    return (
        as_opset13(graph)
        if family == "board"
        else typed(graph, precision, "tensorrt_rtx" if family == "rtx" else "tensorrt")
    )


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("gpu", GPUS)
def test_nothing_is_found_against_what_edgevid_makes(backbone, gpu):
    found = board(gpu)
    for precision in found.precisions:
        graph = made(backbone, precision, found.family)
        releases = {stack.tensorrt for stack in found.stacks}
        for release in sorted(releases):
            wrong = lint(graph, found, release).diagnostics
            depthwise = {each.rule for each in wrong} == {"depthwise-int8"}
            assert wrong == () or (depthwise and backbone == "mobilenet_v2"), (precision, release)


@cache
def made_to_stream(backbone, precision, family, direction):
    graph = streamed(backbone, precision, direction).plain
    if family == "board":
        return as_opset13(with_float_moves(graph))
    return typed(graph, precision, "tensorrt_rtx" if family == "rtx" else "tensorrt")


@pytest.mark.parametrize("direction", ["unidirectional", "bidirectional"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_nothing_is_found_against_what_takes_frame_by_frame(backbone, direction):
    for found in BOARDS.values():
        for precision in found.precisions:
            graph = made_to_stream(backbone, precision, found.family, direction)
            for release in sorted({stack.tensorrt for stack in found.stacks}):
                assert lint(graph, found, release).diagnostics == (), (found.title, precision, release)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_canonical_graph_is_not_one_for_tensorrt(backbone):
    from typed_graphs import canonical

    rules = {each.rule for each in lint(canonical(backbone), BOARDS["jetson-tx2"]).errors}
    assert {"opset", "format", "function"} <= rules


def test_every_profile_of_the_target_has_a_version_to_check_against():
    profiles = [device(name) for name in device_names()]
    gpus = [each.gpu for each in profiles if each.target == "tensorrt"]
    assert len(gpus) > 10
    for gpu in gpus:
        assert lint(lowered("resnet50"), board(gpu)).runtime.startswith("TensorRT")
