"""Other ways to run a network, beside a bundle of it."""

import os
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

import dying_peers  # noqa: E402

from edgevid.bench.opening import Opening  # noqa: E402
from edgevid.bench.settings import Settings  # noqa: E402
from edgevid.bundle import Bundle  # noqa: E402
from edgevid.checkpoints import read, write  # noqa: E402
from edgevid.contract import Normalization  # noqa: E402
from edgevid.errors import BenchmarkError, ConfigError, MissingDependencyError  # noqa: E402
from edgevid.models import NetworkConfig, build  # noqa: E402
from edgevid.models.volume_config import VolumeConfig  # noqa: E402
from edgevid.peers import PEERS, bench_peers, catalogue, exports, measure  # noqa: E402
from edgevid.peers.published import _spelled, as_published  # noqa: E402
from edgevid.peers.request import PeerRequest  # noqa: E402
from edgevid.shift import Layout, Move, ShiftSpec, shift_torch  # noqa: E402

FEW = Settings(rounds=2, warmup=0)


@pytest.mark.parametrize("spelling", ["in place", "concat"])
@pytest.mark.parametrize(
    "spec",
    [
        ShiftSpec.tsm(8, 4),
        ShiftSpec.tsm(8, 4, first="past"),
        ShiftSpec.tsm(8, 4, direction="unidirectional"),
        ShiftSpec.tsm(8, 4, 1),
        ShiftSpec(4, (Move(2, 4, 2), Move(6, 8, -1)), Layout.FRAMES),
        ShiftSpec.stsm(8, 4, 1, "T+H+W+TH"),
        ShiftSpec(4, (Move(1, 3, 0, 2, -1), Move(3, 4, 1, 0, 1), Move(6, 7, 0, 0, -2)), Layout.FRAMES),
    ],
)
def test_both_spellings_shift_as_the_specification_says(spec, spelling):
    frames = torch.rand(8, 8, 3, 3)
    assert torch.equal(_spelled(spec, spelling)(frames), shift_torch(frames, spec))


@pytest.mark.parametrize("color", ["RGB", "BGR"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_the_network_as_published_takes_raw_clips(tiny_network, color, channels_last):
    rule = Normalization((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), color)
    clips = torch.randint(0, 256, (2, 4, 32, 32, 3), dtype=torch.uint8)
    ordered = clips if color == "RGB" else clips.flip(4)
    frames = (ordered.float() - torch.tensor(rule.mean)) / torch.tensor(rule.std)
    with torch.inference_mode():
        made = as_published(tiny_network, rule, "in place", channels_last=channels_last)(clips)
        wanted = tiny_network(frames.permute(0, 1, 4, 2, 3))
    torch.testing.assert_close(made, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_network_over_volumes_takes_raw_clips(channels_last):
    volumes = VolumeConfig(gating="temporal")
    config = NetworkConfig(
        backbone="inception_v1", classes=5, segments=8, size=32, width=Fraction(1, 8), volumes=volumes
    )
    torch.manual_seed(0)
    network = build(config).eval()
    clips = torch.randint(0, 256, (2, 8, 32, 32, 3), dtype=torch.uint8)
    rule = Normalization((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "BGR")
    frames = (clips.flip(4).float() - torch.tensor(rule.mean)) / torch.tensor(rule.std)
    with torch.inference_mode():
        made = as_published(network, rule, "in place", channels_last=channels_last)(clips)
        wanted = network(frames.permute(0, 1, 4, 2, 3))
    torch.testing.assert_close(made, wanted, rtol=1e-4, atol=1e-4)


def test_peers_are_measured_beside_the_bundle_and_those_that_fail_are_noted(
    tiny_bundle, tiny_checkpoint, monkeypatch
):
    monkeypatch.setenv("PATH", os.devnull)  # no compiler
    monkeypatch.delenv("CXX", raising=False)
    names = ["channels-last", "onnxruntime-int8", "compile"]
    result = bench_peers(tiny_bundle, tiny_checkpoint, names, Opening(batch=2, threads=1), FEW)
    own = result.variants[0].name
    measured = [PEERS[name].title for name in names[:2]]
    assert [variant.name for variant in result.variants] == [own, f"{own} (A/A)", *measured]
    assert [variant.clips for variant in result.variants] == [2] * 4
    assert set(result.peak_memory) == {own, *measured}
    notes = "\n".join(result.notes)
    assert "torch.compile: not measured: there is no C++ compiler" in notes
    assert "torch eager, channels_last: logits differ by" in notes
    assert "ONNX Runtime int8: its logits are" in notes
    assert "dB from the bundle's" in notes


@pytest.mark.slow
def test_every_peer_that_is_installed_computes_what_the_bundle_does(tiny_bundle, tiny_checkpoint):
    from edgevid.calibration import nncf_peer

    result = bench_peers(tiny_bundle, tiny_checkpoint, list(PEERS), Opening(threads=1), FEW)
    missing = set() if nncf_peer.is_installed() else {PEERS["nncf"].title}
    measured = {variant.name for variant in result.variants if variant.role == "candidate"}
    assert measured == {peer.title for peer in PEERS.values()} - missing


def test_a_peer_that_is_not_installed_says_what_to_install(tiny_bundle, tmp_path):
    from edgevid.calibration import nncf_peer

    if nncf_peer.is_installed():
        pytest.skip("NNCF is installed")
    with pytest.raises(MissingDependencyError) as caught:
        PEERS["nncf"].make(None)
    assert caught.value.fix == "pip install nncf"


def test_a_peer_that_computes_something_else_is_not_measured(tiny_bundle, tiny_checkpoint):
    # The same weights, but with the shift the other way round.
    result = bench_peers(tiny_bundle, tiny_checkpoint, ["eager"], Opening(), FEW, first="past")
    assert len(result.variants) == 2
    assert any("torch eager: not measured: its logits differ" in note for note in result.notes)


def test_another_network_than_the_bundles_is_refused(tiny_bundle, tiny_network, tmp_path):
    other = tmp_path / "other.safetensors"
    changed = read_again(tiny_network, other)
    with pytest.raises(ConfigError, match="compiled from another file") as caught:
        bench_peers(tiny_bundle, changed, ["eager"], Opening(), FEW)
    assert caught.value.where == str(other)


def read_again(network, path: Path) -> Path:
    import copy

    other = copy.deepcopy(network)
    with torch.no_grad():
        next(other.parameters()).add_(1)
    write(path, other)
    assert read(path).network() is not None
    return path


@pytest.mark.parametrize(
    ("names", "how", "what"),
    [
        (["caffe"], Opening(), "caffe"),
        (["eager", "eager"], Opening(), "one twice"),
        (["eager"], Opening(streams=2), "one request at a time"),
        (["eager"], Opening(on="rpc://localhost:1/x"), "on this machine"),
    ],
)
def test_what_peers_cannot_do_is_refused_at_once(tiny_bundle, tiny_checkpoint, names, how, what):
    with pytest.raises(ConfigError, match=what):
        bench_peers(tiny_bundle, tiny_checkpoint, names, how, FEW)


@pytest.fixture
def alone_all_are_right(monkeypatch):
    """No peer is tried before all are measured together."""
    monkeypatch.setattr(
        measure._Trials, "add", lambda self, name, number, total: self.memory.update({name: 1})
    )


def test_a_peer_that_fails_only_beside_the_others_is_left_out_and_noted(
    tiny_bundle, tiny_checkpoint, alone_all_are_right, monkeypatch
):
    def full(factory, *arguments, **keywords):
        if "eager" in factory.arguments["names"]:
            raise BenchmarkError("memory ran out", where=PEERS["eager"].title)
        return compare_in_processes(factory, *arguments, **keywords)

    compare_in_processes = measure.compare_in_processes
    monkeypatch.setattr(measure, "compare_in_processes", full)
    result = bench_peers(tiny_bundle, tiny_checkpoint, ["eager", "channels-last"], Opening(threads=1), FEW)
    own = result.variants[0].name
    assert [variant.name for variant in result.variants[2:]] == [PEERS["channels-last"].title]
    assert set(result.peak_memory) == {own, PEERS["channels-last"].title}
    assert "torch eager: not measured: memory ran out" in result.notes


@pytest.mark.parametrize(
    ("when", "told"),
    [
        pytest.param("while_opened", "as it was opened beside the others, ", marks=pytest.mark.slow),
        ("while_all_run", "as all ran, of which this one takes the most memory beside the bundle, "),
    ],
)
def test_a_process_that_is_killed_leaves_one_peer_out_and_the_others_go_on(
    tiny_bundle, tiny_checkpoint, monkeypatch, when, told
):
    def add(trials, name, number, total):
        trials.memory[name] = 2 if name == dying_peers.NAME else 1

    monkeypatch.setattr(measure._Trials, "add", add)
    monkeypatch.setattr(measure, "OPENER", f"dying_peers:{when}")
    names = ["channels-last", dying_peers.NAME]
    result = bench_peers(tiny_bundle, tiny_checkpoint, names, Opening(threads=1), FEW)
    assert [variant.name for variant in result.variants[2:]] == [PEERS["channels-last"].title]
    (note,) = [note for note in result.notes if "not measured" in note]
    assert note.startswith(f"torch eager: not measured: {told}a measuring process was killed by signal 9")


def test_processes_that_are_killed_before_all_run_end_nothing(tiny_bundle, tiny_checkpoint, monkeypatch):
    def killed(*_):
        raise BenchmarkError("a measuring process was killed by signal 9")

    monkeypatch.setattr(measure, "try_peer", killed)
    monkeypatch.setattr(measure, "peak_memory", killed)
    result = bench_peers(tiny_bundle, tiny_checkpoint, ["eager"], Opening(threads=1), FEW)
    own = result.variants[0].name
    assert len(result.variants) == 2
    assert result.peak_memory == {}
    for what in ("torch eager", f"peak memory of {own}"):
        assert f"{what}: not measured: a measuring process was killed by signal 9" in result.notes


def test_a_file_that_was_not_written_to_its_end_serves_no_other_peer(asked, monkeypatch):
    def killed(network, normalization, spelling, batch, path):
        path.write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(exports, "export_plain", killed)
    monkeypatch.setattr(PeerRequest, "network", lambda self: None)
    request = asked("fp32")
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            exports.export_spelled(request, "concat")
    assert not (request.folder / "concat.onnx").exists()


def test_an_error_that_names_no_peer_ends_the_measurement(
    tiny_bundle, tiny_checkpoint, alone_all_are_right, monkeypatch
):
    def broken(*_, **__):
        raise BenchmarkError("the runtime is unhappy", where="tiny.bundle")

    monkeypatch.setattr(measure, "compare_in_processes", broken)
    with pytest.raises(BenchmarkError, match="unhappy"):
        bench_peers(tiny_bundle, tiny_checkpoint, ["eager"], Opening(threads=1), FEW)


@pytest.fixture
def asked(tmp_path):
    """A request beside a bundle in a precision."""

    def made(precision, **changes):
        shape = (1, 4, 32, 32, 3)
        np.save(tmp_path / "clips.npy", np.zeros(shape, np.uint8))
        return PeerRequest(
            folder=tmp_path,
            normalization=Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "RGB"),
            input_shape=shape,
            output_shape=(1, 5),
            precision=precision,
            **{"threads": 1, "hint": "latency", **changes},
        )

    return made


def test_a_peer_that_cannot_be_opened_is_named(tiny_bundle, asked, monkeypatch):
    def refuses(request):
        raise RuntimeError("could not allocate")

    monkeypatch.setattr(measure, "PEERS", {"full": catalogue.Peer("a runtime", "float", refuses)})
    request = asked("fp32").model_dump(mode="json")
    with (
        pytest.raises(BenchmarkError, match="could not allocate") as caught,
        measure.open_with_peers(str(tiny_bundle), {}, ["full"], request),
    ):
        pass
    assert caught.value.where == "a runtime"


@pytest.mark.parametrize(
    ("precision", "emulated", "openvino", "eager", "nncf"),
    [
        ("fp32", {"bf16": "no unit"}, ("measured", ""), ("measured", ""), ("measured", "")),
        (
            "bf16",
            {"bf16": "no unit"},
            ("emulated", "no unit"),
            ("measured", "computes in fp32, the bundle in bf16"),
            ("measured", ""),
        ),
        (
            "bf16",
            {},
            ("measured", ""),
            ("measured", "computes in fp32, the bundle in bf16"),
            ("measured", ""),
        ),
    ],
)
def test_a_peer_in_another_or_an_emulated_precision_says_so(
    tiny_bundle, asked, monkeypatch, precision, emulated, openvino, eager, nncf
):
    names = ("openvino", "eager", "nncf")
    opened = {name: replace(PEERS[name], open=lambda request: nullcontext(np.sum)) for name in names}
    monkeypatch.setattr(measure, "PEERS", opened)
    monkeypatch.setattr(measure, "find_device", lambda name: SimpleNamespace(emulated=emulated))
    request = asked(precision).model_dump(mode="json")
    with measure.open_with_peers(str(tiny_bundle), {}, names, request) as comparison:
        told = [(variant.label, variant.note) for variant in comparison.candidates]
    assert told == [openvino, eager, nncf]


def test_peers_get_the_hint_of_the_bundle(tiny_bundle, tiny_checkpoint, tmp_path, asked, monkeypatch):
    how = Opening(hint="throughput")
    request, _ = measure._prepared(Bundle.open(tiny_bundle), tiny_checkpoint, how, tmp_path, {})
    assert request.hint == "throughput"
    seen = []

    def find(name):
        return SimpleNamespace(open=lambda artifact: nullcontext(seen.append(artifact.settings)))

    monkeypatch.setattr(exports, "targets", SimpleNamespace(find=find))
    with exports.opened(asked("fp32", hint="throughput"), tmp_path / "x.onnx", "openvino", "fp32"):
        pass
    assert [(settings.threads, settings.hint) for settings in seen] == [(1, "throughput")]


def test_every_peer_has_a_title_of_its_own():
    titles = [peer.title for peer in PEERS.values()]
    assert len(set(titles)) == len(titles) >= 9
    assert {"float", "int8"} == {peer.kind for peer in catalogue.PEERS.values()}


def test_the_bundle_has_clips_to_compare_with(tiny_bundle):
    clips = np.concatenate([part.clips for part in Bundle.open(tiny_bundle).expectations()])
    assert len(clips) >= 1
