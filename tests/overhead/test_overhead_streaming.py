"""What streaming costs a frame: the networks that are compared, and what is claimed of them."""

import dataclasses

import pytest
import sweeps

from edgevid.bench import stream_memory
from edgevid.bench.settings import Settings
from edgevid.errors import VerificationError
from edgevid.models.config import NetworkConfig, ShiftConfig
from edgevid.overhead import streaming, streaming_run
from edgevid.overhead.streaming import StreamingNetworks, measure_streaming
from edgevid.overhead.streaming_run import claims, memory_claim

for name in ("torch", "onnxruntime"):
    pytest.importorskip(name)

TINY = NetworkConfig.model_validate(
    {
        **sweeps.TINY.model_dump(),
        "shift": ShiftConfig(direction="unidirectional", proportion="1/8"),
    }
)


def compiled(folder, **changes):
    values = {"config": TINY, "precision": "fp32", "device": "reference", "folder": folder}
    networks = StreamingNetworks(**{**values, **changes})
    networks.compile()
    return networks


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("networks"))


def test_a_stream_is_held_against_the_network_without_a_shift_on_one_frame(networks):
    assert list(networks.artifacts) == ["no shift", "streaming, function"]
    plain, stream = networks.artifacts.values()
    assert plain.input.shape == stream.input.shape == (1, 1, 32, 32, 3)
    assert plain.streaming is None
    # An eighth of the input of each of the four blocks.
    assert stream.streaming.nbytes == 4 * sum(
        channels // 8 * side**2 for channels, side in ((16, 8), (32, 8), (32, 4), (64, 2))
    )


def test_what_is_measured_is_a_frame_of_each_and_what_is_claimed_their_ratio(networks):
    result = measure_streaming(networks, Settings(rounds=3, warmup=1))
    assert [variant.name for variant in result.variants] == [
        "no shift",
        "no shift (A/A)",
        "streaming, function",
    ]
    (claim,) = claims(result, 1000.0)
    assert claim.met
    assert not claims(result, 0.001)[0].met
    assert "streaming, function takes" in claim.sentence


def test_the_fastest_stream_is_held_against_the_fastest_plain_form_too(networks):
    plain, stream = networks.artifacts.values()
    more = dataclasses.replace(networks)
    more.artifacts = {"no shift": plain, "no shift, other": plain, "streaming, function": stream}
    result = measure_streaming(more, Settings(rounds=3, warmup=1))
    others = [one.sentence.split(" as long as ")[1] for one in claims(result, 1.0)]
    assert others[0] == "no shift"
    assert others[1:] in ([], ["no shift, other"])


def test_answers_that_are_not_onnx_runtimes_are_not_timed(tmp_path, monkeypatch):
    answers = streaming._answers

    def wrong_where_it_streams(network, precision, frames):
        right = answers(network, precision, frames)
        return dataclasses.replace(right, logits=2 * right.logits) if len(frames) > 1 else right

    monkeypatch.setattr(streaming, "_answers", wrong_where_it_streams)
    networks = compiled(tmp_path)
    assert list(networks.artifacts) == ["no shift"]
    assert "does not answer as ONNX Runtime does" in networks.rejected[0]


def test_int8_is_held_to_what_it_costs_in_onnx_runtime(tmp_path):
    networks = compiled(tmp_path, precision="int8", device="tensorrt-simulated")
    plain, stream = networks.artifacts.values()
    assert plain.precision == stream.precision == "int8"


def test_a_wrong_baseline_ends_it(tmp_path, monkeypatch):
    answers = streaming._answers

    def wrong(*given):
        right = answers(*given)
        return dataclasses.replace(right, logits=2 * right.logits)

    monkeypatch.setattr(streaming, "_answers", wrong)
    with pytest.raises(VerificationError):
        compiled(tmp_path)


def test_forms_that_are_hopelessly_slow_are_not_timed(tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "_HOPELESS", 1e-6)
    networks = compiled(tmp_path)
    assert list(networks.artifacts) == ["no shift"]
    assert "a frame takes" in networks.rejected[0]


def test_the_memory_of_a_stream_is_claimed_against_its_caches(networks, monkeypatch):
    stream = networks.artifacts["streaming, function"]
    size = stream.streaming.nbytes
    for added, met in ((size, True), (2 * size, False), (None, False)):
        monkeypatch.setattr(streaming_run, "memory_a_stream", lambda _, added=added: added)
        assert memory_claim("streaming", stream).met is met


def test_the_command_prints_the_verdict_the_claims_and_the_memory(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(streaming_run, "NetworkConfig", type("Tiny", (), {"model_validate": lambda _: TINY}))
    monkeypatch.setattr(stream_memory, "BYTES", 1 << 20)  # of tiny caches, hundreds of streams
    arguments = ["--device", "reference", "--rounds", "3", "--processes", "1", "--output", str(tmp_path)]
    assert streaming_run.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "as long as no shift" in printed
    assert "an added stream takes" in printed
    assert (tmp_path / "resnet50-reference-fp32.json").is_file()


def test_the_command_refuses_a_file_for_its_folder_before_it_compiles(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(streaming_run, "StreamingNetworks", lambda *_: pytest.fail("compiled"))
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit):
        streaming_run.main(["--device", "reference", "--output", str(tmp_path / "file")])
    assert "--output: " in capsys.readouterr().err


def test_the_command_shows_the_memory_over_steps(capsys, tiny_online_checkpoint):
    arguments = ["--device", "reference", "--steps", "20", "--checkpoint", str(tiny_online_checkpoint)]
    assert streaming_run.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert lines[-1].split()[0] == "20"


@pytest.fixture
def tiny_online_checkpoint(tmp_path):
    from edgevid.checkpoints import write
    from edgevid.models import build

    path = tmp_path / "online.safetensors"
    write(path, build(TINY).eval())
    return path
