import os

import bench_fakes as fakes
import pytest

from edgevid.bench.environment import huge_pages, quiet_thread_pools
from edgevid.bench.factory import Factory
from edgevid.bench.processes import compare_in_processes
from edgevid.bench.settings import Settings
from edgevid.bench.validity import IDLE_LIMIT

assert fakes.runtimes_with_pools  # the processes import it by name

several_cpus = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="with one CPU no runtime makes a pool"
)


@pytest.fixture(autouse=True)
def no_quiet_settings(monkeypatch):
    """Those that the suite runs with."""
    for name in quiet_thread_pools():
        monkeypatch.delenv(name, raising=False)


def measure(**environment):
    for name in ("torch", "onnx", "onnxruntime"):
        pytest.importorskip(name)
    return compare_in_processes(
        Factory(target="bench_fakes:runtimes_with_pools"),
        Settings(rounds=1, warmup=4),
        title="runtimes with pools",
        environment=environment,
    )


@several_cpus
def test_idle_pools_of_torch_numpy_and_onnxruntime_sleep_between_runs_in_one_process():
    result = measure()
    idle = result.runs[0].idle
    assert set(idle) == {"torch", "torch (A/A)", "numpy", "onnxruntime"}
    assert max(idle.values()) < IDLE_LIMIT
    assert "spins" not in str(result.verdict)


@several_cpus
def test_pools_that_are_told_to_spin_are_caught():
    result = measure(OMP_WAIT_POLICY="ACTIVE", GOMP_SPINCOUNT="infinity", OPENBLAS_THREAD_TIMEOUT="30")
    assert max(result.runs[0].idle.values()) > 0.3
    assert "its thread pool spins" in str(result.verdict)


def test_measuring_processes_get_the_quiet_settings_whatever_the_caller_has(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    result = compare_in_processes(
        Factory(target="bench_fakes:plain_and_slower"), Settings(rounds=1, warmup=0), title="quiet"
    )
    found = result.environment.variables
    wanted = {**quiet_thread_pools(), **huge_pages()}
    assert {name: found.get(name) for name in wanted} == wanted
