"""What runtimes tell of the time that each operation takes."""

import numpy as np
import pytest
from target_graphs import canonical

from edgevid import targets
from edgevid.bench.layer_profile import ProfiledSession
from edgevid.contract import CompileOptions, RunSettings
from edgevid.graph.lower import lower
from edgevid.targets._profiles import device


@pytest.fixture(params=["reference", "host", "host-tvm"])
def session(request, tmp_path):
    profile = device(request.param)
    target = targets.find(profile.target)
    capability = target.probe(profile)
    if not capability.executes:
        pytest.skip(capability.reason)
    graph = canonical()
    name = target.default_lowering(graph, profile, "fp32", 1)
    options = CompileOptions(profile, tmp_path, "fp32", 1, name, RunSettings(threads=1))
    with target.open(target.compile(lower(graph, name), options)) as opened:
        yield opened


def clip_of(session):
    shape = session.input.shape
    return np.random.default_rng(0).integers(0, 256, shape).astype(session.input.dtype)


def test_every_operation_has_its_time_by_the_runtimes_own_profile(session):
    assert isinstance(session, ProfiledSession)
    clip = clip_of(session)
    before = session.run(clip)
    found = session.layer_times(clip, 3)
    assert np.array_equal(session.run(clip), before)
    assert any("Conv" in layer.kind for layer in found)
    assert all(layer.name and layer.milliseconds >= 0 for layer in found)
    assert sum(layer.milliseconds for layer in found) > 0
    assert len({(layer.name, layer.kind, layer.kernel) for layer in found}) == len(found)


def test_a_session_that_keeps_no_profile_is_none(tmp_path):
    profile = device("null")
    target = targets.find("null")
    options = CompileOptions(profile, tmp_path, "fp32", 1, "slice_concat")
    with target.open(target.compile(canonical(), options)) as opened:
        assert not isinstance(opened, ProfiledSession)
