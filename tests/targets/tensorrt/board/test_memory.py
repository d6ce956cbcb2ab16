"""What building takes of a board's memory."""

from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest
from onnx_ir import tape

from edgevid.errors import TargetError
from edgevid.targets.tensorrt.board.memory import (
    COPIES_OF_WEIGHTS,
    RUNTIME,
    check_memory,
    memory_need,
    workspace_of,
)
from edgevid.targets.tensorrt.boards import board

SIZE = 1000


def chain(length, weight=0):
    """``length`` operations one after the other on ``SIZE`` numbers."""
    value = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([SIZE]))
    graph = ir.Graph([value], [], nodes=[], opset_imports={"": 13}, name="chain")
    if weight:
        tensor = ir.tensor(np.zeros(weight, np.float32), name="w")
        graph.register_initializer(
            ir.Value(name="w", const_value=tensor, type=ir.TensorType(tensor.dtype), shape=ir.Shape([weight]))
        )
    steps = tape.Tape()
    for number in range(length):
        value = steps.op("Relu", [value], name=f"relu{number}")
        value.name, value.shape = f"v{number}", ir.Shape([SIZE])
    graph.extend(steps.nodes)
    graph.outputs.append(value)
    return ir.Model(graph, ir_version=7)


def test_a_tensor_lives_until_its_last_use():
    assert memory_need(chain(2)) == memory_need(chain(9)) == RUNTIME + 2 * 2 * 4 * SIZE


def test_weights_count_several_times():
    assert memory_need(chain(1, 500)) - memory_need(chain(1)) == COPIES_OF_WEIGHTS * 4 * 500


def test_a_smaller_board_has_a_smaller_workspace():
    assert workspace_of(board("jetson-nano")) < workspace_of(board("jetson-xavier")) == 1 << 30


def test_a_network_that_does_not_fit_is_refused_with_both_figures():
    small = replace(board("jetson-nano"), memory=1 << 30)
    with pytest.raises(TargetError, match=r"takes about \d+ MB, NVIDIA Jetson Nano has 1024 MB"):
        check_memory(chain(1), small)
