import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import bench_fakes
import pytest

from edgevid.bench.factory import Factory
from edgevid.bench.own_command import own_command
from edgevid.bench.processes import compare_in_processes
from edgevid.bench.settings import Settings
from edgevid.bench.storage import load_result
from edgevid.errors import BenchmarkError, ConfigError, TargetError

QUICK = Settings(rounds=3, warmup=1)
HERE = Path(__file__).parent


def factory(function, **arguments):
    assert hasattr(bench_fakes, function)
    return Factory(target=f"bench_fakes:{function}", arguments=arguments)


def test_each_process_measures_anew_and_its_arguments_reach_it():
    settings = Settings(rounds=5, warmup=1, processes=2)
    events = []
    result = compare_in_processes(
        factory("plain_and_slower", slower=3.0), settings, title="two", progress=events.append
    )
    assert [run.rounds for run in result.runs] == [5, 5]
    assert result.status == "complete"
    assert min(result.runs[1].samples["slower"].wall_ns) >= 3e6
    assert {(event.process, event.processes) for event in events} == {(0, 2), (1, 2)}
    assert result.command == own_command()


def test_the_time_budget_is_shared_by_the_processes():
    settings = Settings(rounds=100_000, warmup=0, processes=2, budget_seconds=0.4)
    began = time.monotonic()
    result = compare_in_processes(factory("plain_and_slower"), settings, title="short")
    assert result.status == "budget"
    assert len(result.runs) == 2
    assert time.monotonic() - began < 20
    assert result.settings == settings


def test_an_error_in_a_process_arrives_with_its_type_and_way_out():
    with pytest.raises(TargetError, match="the artifact is broken") as caught:
        compare_in_processes(factory("that_cannot_open", what="the artifact is broken"), QUICK, title="x")
    assert caught.value.where == "artifact.xml"
    assert caught.value.fix == "compile it again"


def test_a_variant_that_fails_in_a_process_is_named():
    with pytest.raises(BenchmarkError, match="the runtime is unhappy") as caught:
        compare_in_processes(factory("that_fails_while_running"), QUICK, title="x")
    assert caught.value.where.startswith("plain")


def test_a_process_that_is_killed_is_reported():
    with pytest.raises(BenchmarkError, match="was killed by signal 9") as caught:
        compare_in_processes(factory("that_kills_its_process"), QUICK, title="x")
    assert "process 1 of 1" in caught.value.where


def test_what_a_runtime_prints_does_no_harm_and_everything_is_closed(tmp_path, capfd):
    marker = tmp_path / "marker"
    settings = Settings(rounds=3, warmup=1, processes=2)
    compare_in_processes(factory("that_prints_and_closes", marker=str(marker)), settings, title="x")
    assert marker.read_text() == "closed\nclosed\n"
    assert capfd.readouterr() == ("", "")


def test_an_interrupted_process_ends_the_series_and_keeps_what_is_finished(tmp_path):
    settings = Settings(rounds=6, warmup=0, processes=3)
    result = compare_in_processes(
        factory("that_is_interrupted", marker=str(tmp_path / "marker"), after=6), settings, title="cut"
    )
    assert [run.rounds for run in result.runs] == [6, 2]
    assert [run.status for run in result.runs] == ["complete", "interrupted"]
    assert result.status == "interrupted"
    assert "interrupted after 8 of 18 rounds" in result.notes


def test_ctrl_c_at_the_parent_keeps_the_finished_rounds_and_leaves_no_process(tmp_path):
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from edgevid.bench.factory import Factory
        from edgevid.bench.processes import compare_in_processes
        from edgevid.bench.settings import Settings
        from edgevid.bench.storage import save_result

        result = compare_in_processes(
            Factory(target="bench_fakes:plain_and_slower"),
            Settings(rounds=100_000, warmup=1, processes=2),
            title="long",
            progress=lambda event: print(event.stage, event.done, flush=True),
        )
        save_result(result, Path(sys.argv[1]))
        """
    )
    path = tmp_path / "result.json"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, sys.path)])}
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        for line in process.stdout:
            if line.startswith("rounds 20"):
                break
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(timeout=60) == 0
    result = load_result(path)
    assert result.status == "interrupted"
    assert len(result.runs) == 1
    assert 20 <= result.runs[0].rounds < 100_000
    assert len(children) == 1
    assert not Path(f"/proc/{children[0]}").exists()


def test_ctrl_c_before_anything_was_measured_is_passed_on(monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compare_in_processes(factory("plain_and_slower"), QUICK, title="x")


@pytest.mark.parametrize("target", ["", "module", "module:", ":function", "module:a-b"])
def test_a_factory_that_is_not_named_as_module_and_function_is_refused(target):
    with pytest.raises(ConfigError, match="module:function"):
        Factory(target=target)


def test_arguments_that_are_not_json_are_refused():
    with pytest.raises(ConfigError, match="not JSON"):
        Factory(target="bench_fakes:plain_and_slower", arguments={"path": Path()})


@pytest.mark.parametrize("target", ["no_such_module:function", "bench_fakes:no_such_function"])
def test_a_factory_that_is_not_there_is_named(target):
    with pytest.raises(ConfigError, match="cannot be found") as caught:
        compare_in_processes(Factory(target=target), QUICK, title="x")
    assert caught.value.where == target
