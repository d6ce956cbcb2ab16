import boards
import numpy as np
import pytest
import tvm
from tiny_module import kernel_alone

from edgevid.errors import TargetError
from edgevid.targets.tvm.cpus import cpu
from edgevid.targets.tvm.tuning_board import tuning_board

pytestmark = pytest.mark.slow


def test_kernels_run_and_are_timed_on_a_board(tracker_port):
    host = cpu("host")
    with boards.server(tracker_port, "tuning") as (_, place):
        board = tuning_board(str(place), host)
        for _ in range(2):
            loaded = board.load(kernel_alone(host))
            x = tvm.runtime.tensor(np.arange(4, dtype=np.float32), board.device)
            y = tvm.runtime.tensor(np.zeros(4, np.float32), board.device)
            loaded["twice"](x, y)
            np.testing.assert_array_equal(y.numpy(), [0, 2, 4, 6])
            timer = loaded.time_evaluator("twice", board.device, number=1, repeat=3)
            assert len(timer(x, y).results) == 3
        del loaded, timer, x, y
        board.close()


def test_a_board_that_is_lost_in_between_is_an_error(tracker_port):
    host = cpu("host")
    with boards.server(tracker_port, "lost") as (_, place):
        board = tuning_board(str(place), host)
        loaded = board.load(kernel_alone(host))
        x = tvm.runtime.tensor(np.zeros(4, np.float32), board.device)
        twice = loaded["twice"]
    for ask in (lambda: twice(x, x), lambda: loaded["twice"], lambda: board.load(kernel_alone(host))):
        with pytest.raises(TargetError, match=r"broke|hung up"):
            ask()
    board.close()


@boards.for_arm
def test_an_emulated_board_is_no_place_to_tune(emulated_board):
    core = cpu("cortex-a76")
    board = tuning_board(str(emulated_board), core)
    try:
        with pytest.raises(TargetError, match="means nothing"):
            board.load(kernel_alone(core))
    finally:
        board.close()
