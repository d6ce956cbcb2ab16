from pathlib import Path

import pytest

from edgevid.errors import TargetError
from edgevid.targets.tensorrt.layer_log import LogTensor, read_kernels

DATA = Path(__file__).resolve().parents[2] / "data" / "tensorrt_log"
RTX = (DATA / "rtx.txt").read_text(encoding="utf-8")
FULL = (DATA / "full.txt").read_text(encoding="utf-8")


def test_kernels_are_read_with_tensors_types_and_what_was_fused():
    shift, convolution = read_kernels(RTX)
    assert (shift.kind, shift.tactic) == ("kgen", "__myl_Slic_0xa6")
    assert shift.origins == ("shift0.Slice5", "shift0.Concat3")
    assert shift.constants == (LogTensor("zeros", (1, 8, 56, 56), "int8", 8 * 56 * 56),)
    assert convolution.name == "node_Conv_myl0_1"
    assert [tensor.type for tensor in convolution.outputs] == ["fp32"]
    assert [tensor.bytes for tensor in convolution.constants] == [64 * 64, 4]


def test_signals_between_streams_are_no_kernels():
    assert [kernel.kind for kernel in read_kernels(RTX)] == ["kgen", "correlation"]


def test_a_tensor_that_is_read_twice_is_moved_once():
    shift, convolution = read_kernels(RTX)
    numbers = 8 * 64 * 56 * 56
    assert shift.moved == 2 * numbers
    assert convolution.moved == (1 + 4) * numbers


def test_the_form_of_full_tensorrt_is_read_too():
    (kernel,) = read_kernels(FULL)
    assert (kernel.name, kernel.kind, kernel.tactic) == (
        "conv1 + relu1",
        "CaskConvolution",
        "sm80_xmma_fprop",
    )
    assert kernel.inputs == (LogTensor("x", (1, 3, 8, 8), "fp16", 2 * 3 * 64),)
    assert kernel.outputs == (LogTensor("y", (1, 4, 8, 8), "int8", 4 * 64),)
    assert kernel.origins == ("conv1",)


def test_a_log_without_kernels_is_refused():
    with pytest.raises(TargetError, match="lists no kernels"):
        read_kernels("Engine generation completed.\n")


def test_a_type_that_is_not_known_is_refused():
    with pytest.raises(TargetError, match="gives no type"):
        read_kernels(RTX.replace("Datatype: Int8", "Datatype: Int2"))


def test_kernels_of_another_profile_follow_those_of_the_first_and_are_marked():
    lines = RTX.replace("Name: ", "Name: second ").splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("Name: "))
    lines[first] = lines[first].replace("Inputs: [ { Name: second ", "Inputs: [ { Name: [profile 1] second ")
    log = "\n".join([RTX, *lines])
    assert "[profile 1]" in log
    assert read_kernels(log) == read_kernels(RTX)
    assert [kernel.name.split()[0] for kernel in read_kernels(log, 1)] == ["second", "second"]
    with pytest.raises(TargetError, match="no kernels of profile 2"):
        read_kernels(log, 2)
