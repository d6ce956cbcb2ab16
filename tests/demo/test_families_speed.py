"""The table of full-size networks beside other runtimes, and how its rows are measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from report_results import result
from small_families import tiny

from edgevid.bench.results import Result
from edgevid.bench.settings import Settings
from edgevid.bench.storage import load_result, save_result
from edgevid.bundle import Bundle
from edgevid.checkpoints import read
from edgevid.demo import families_speed
from edgevid.demo.families_speed import main, markdown, measured, random_checkpoint, row_of
from edgevid.errors import BenchmarkError
from edgevid.models.registry import preset
from edgevid.peers import PEERS

ONNX, OPENVINO = PEERS["onnxruntime"].title, PEERS["openvino"].title
HOLE = "torch.compile: not measured: there is no C++ compiler"


def beside_peers(**changes: object) -> Result:
    notes = (f"{ONNX}: logits differ by 1e-06", HOLE)
    return result({"host": 10.0, ONNX: 12.0, OPENVINO: 11.0}, **{"notes": notes, **changes})


def test_a_bundle_is_held_to_the_fastest_peer() -> None:
    row = row_of(beside_peers())
    assert row.best == OPENVINO
    assert row.ratio is not None
    assert row.ratio.median == pytest.approx(10 / 11, rel=0.01)
    assert row.ratio.interval is not None
    assert set(row.peers) == {ONNX, OPENVINO}
    assert row.holes == (HOLE,)


def test_the_table_has_a_line_a_preset_with_its_verdict_and_tells_what_is_not_there() -> None:
    found = {"psn-resnet50": beside_peers(), "s3d-g": beside_peers(busy=True)}
    text = markdown(found, {"stsm-resnet50": "it is refused"})
    heading, _, first, second = [line for line in text.splitlines() if line.startswith("|")]
    assert f"| {ONNX}, ms | {OPENVINO}, ms |" in heading
    assert first.startswith("| psn-resnet50 | host | 10")
    assert first.endswith("| VALID |")
    assert "INVALID: the machine was under load" in second
    assert f"- psn-resnet50: {HOLE}" in text
    assert "- stsm-resnet50: not measured: it is refused" in text
    assert "40 rounds in 1 process" in text


def test_without_any_peer_there_is_no_ratio() -> None:
    row = row_of(result({"host": 10.0}))
    assert (row.best, row.ratio) == ("", None)
    assert "| psn-resnet50 | host | 10" in markdown({"psn-resnet50": result({"host": 10.0})}, {})


def test_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    save_result(beside_peers(), tmp_path / "peers.json")
    again = measured("psn-resnet50", tmp_path, (), (), Settings())
    assert row_of(again) == row_of(beside_peers())


@pytest.fixture
def small_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    """PSN's is as small as can be."""
    small = replace(preset("psn-resnet50"), config=tiny("psn"))
    monkeypatch.setattr(families_speed, "preset", lambda name: small)


def test_the_network_of_a_preset_has_its_pixels(small_preset: None, tmp_path: Path) -> None:
    random_checkpoint("psn-resnet50", tmp_path / "network.safetensors")
    found = read(tmp_path / "network.safetensors")
    assert found.config == tiny("psn")
    assert found.normalization == preset("psn-resnet50").normalization


def test_a_network_that_no_device_takes_cannot_be_measured(
    small_preset: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BenchmarkError, match="no bundle"):
        measured("psn-resnet50", tmp_path, ("no-such-device",), (), Settings())
    assert "no-such-device" in capsys.readouterr().err


@pytest.mark.slow
def test_the_faster_bundle_is_measured_beside_a_peer(small_preset: None, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("tvm")
    asked = ["--preset", "psn-resnet50", "--against", "onnxruntime", "--rounds", "10", "--processes", "1"]
    main([str(tmp_path), *asked])
    place = tmp_path / "psn-resnet50"
    trial, beside = (load_result(place / name) for name in ("bundles.json", "peers.json"))
    assert {variant.name for variant in trial.variants} == {"host", "host (A/A)", "host-tvm"}
    own = beside.variants[0].name
    assert own in families_speed.DEVICES
    assert Bundle.open(place / own).manifest.settings.threads == 1
    assert row_of(beside).best == ONNX
    assert (tmp_path / "speed.md").read_text() == markdown({"psn-resnet50": beside}, {})
