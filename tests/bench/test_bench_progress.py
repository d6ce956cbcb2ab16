import io
import threading

from rich.console import Console

from edgevid.bench.progress import progress_bar
from edgevid.bench.protocol import ProgressEvent


def shown(terminal):
    file = io.StringIO()
    before = threading.active_count()
    with progress_bar(Console(file=file, force_terminal=terminal, width=100)) as tell:
        assert threading.active_count() == before
        tell(ProgressEvent("rounds", 3, 10, process=1, processes=2))
    return file.getvalue()


def test_a_terminal_sees_stage_and_process_without_a_thread_for_it():
    text = shown(terminal=True)
    assert "rounds, process 2 of 2" in text
    assert "3/10" in text


def test_a_pipe_sees_nothing():
    assert shown(terminal=False).strip() == ""
