"""Members of the other families: what a short training shows, and the tables of their figures."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
import torch
from small_families import CHANGES, random_member, tiny

from edgevid.calibration.comparison import Comparison, DataRecord, Pair, Variant, VideoRecord
from edgevid.calibration.statistics import paired, wilson
from edgevid.checkpoints import read, write
from edgevid.contract import Normalization, Sampling
from edgevid.demo import families, families_int8, training_clips
from edgevid.demo.evaluate import normalized, segment_centres
from edgevid.demo.families import FAMILIES, trained
from edgevid.demo.families_int8 import Drops, claims, drops_of, main, markdown
from edgevid.demo.families_table import markdown_table
from edgevid.demo.train import train
from edgevid.demo.training_clips import Recipe, training_scenes
from edgevid.errors import ConfigError, LoweringError
from edgevid.video.synthetic import MOTIONS

HANDFUL = Recipe(steps=40, warm_up=40, batch=8, rate=1e-2, settling=1)


@pytest.mark.parametrize(
    "name", [name if name == "stsm" else pytest.param(name, marks=pytest.mark.slow) for name in CHANGES]
)
def test_training_on_a_handful_of_clips_lowers_their_loss(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny(name)
    scenes = training_scenes(HANDFUL, 0, config.size)
    monkeypatch.setattr(training_clips, "training_scenes", lambda recipe, step, size: scenes)
    frames = segment_centres(scenes[0].length, config.segments)
    clips = normalized(np.stack([scene.render(frames) for scene in scenes]), Normalization())
    labels = torch.tensor([MOTIONS.index(scene.motion) for scene in scenes])

    def loss(recipe: Recipe) -> float:
        network = train(config, recipe)
        with torch.inference_mode():
            return float(torch.nn.functional.cross_entropy(network(clips), labels))

    assert loss(HANDFUL) < loss(replace(HANDFUL, steps=0)) - 0.1


@pytest.mark.parametrize("name", FAMILIES)
def test_a_trained_member_is_read_back_and_not_trained_again(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(families, "FAMILIES", {name: tiny(name)})
    monkeypatch.setattr(families, "CLIPS", 8)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)  # which would stay for other tests
    path, training = trained(name, tmp_path, Recipe(steps=1, warm_up=1, batch=8), threads=1)
    loaded = read(path)
    assert loaded.config == tiny(name)
    assert loaded.labels == MOTIONS
    assert (loaded.sampling.segments, loaded.sampling.crop) == (tiny(name).segments, tiny(name).size)
    before = path.read_bytes()
    assert trained(name, tmp_path) == (path, training)
    assert path.read_bytes() == before


def test_of_a_checkpoint_from_elsewhere_no_training_is_known(tmp_path: Path) -> None:
    write(tmp_path / "psn.safetensors", random_member("psn"))
    assert trained("psn", tmp_path) == (tmp_path / "psn.safetensors", None)
    (tmp_path / "psn.training.json").write_text("{}")
    with pytest.raises(ConfigError, match="record of a training"):
        trained("psn", tmp_path)


ANSWERS = {"host-float32": (0, 1, 2, 3), "host-int8": (0, 1, 2, 0)}
"""By bundle, its first answer to clips of the classes 0, 1, 2 and 3."""


def found() -> Comparison:
    rights = {name: sum(a == label for label, a in enumerate(answers)) for name, answers in ANSWERS.items()}
    return Comparison(
        edgevid="0",
        created=datetime(2026, 1, 1, tzinfo=timezone.utc),
        command=(),
        data=DataRecord(
            source="clips", sha256="", packed=False, sampling=Sampling(), videos=4, labelled=4, views=4
        ),
        max_drop=0.01,
        labels=MOTIONS,
        variants=tuple(
            Variant(name=name, label="measured", source=name, sha256="", top1=wilson(right, 4))
            for name, right in rights.items()
        ),
        pairs=(
            Pair(
                name="host-int8",
                top1=paired(1, 0, 4),
                top5=None,
                agreement=wilson(3, 4),
                sqnr=20.0,
                cosine=1.0,
                classes=(),
                flips=(),
            ),
        ),
        videos=tuple(
            VideoRecord(
                name=str(label),
                label=label,
                views=1,
                answers=tuple((answers[label],) for answers in ANSWERS.values()),
            )
            for label in range(4)
        ),
        skipped=(),
    )


def test_a_drop_is_that_from_float_to_int8_of_one_device_and_a_hole_has_its_reason() -> None:
    host, tvm = drops_of("psn", ("host", "host-tvm"), found(), {"host-tvm": "no kernel"})
    assert host.drop == paired(1, 0, 4)
    assert host.float_top1 == wilson(4, 4)
    assert host.int8_top1 == wilson(3, 4)
    assert (tvm.drop, tvm.missing) == (None, "no kernel")
    (claim,) = claims([host, tvm])
    assert "psn on host: top-1 drop 25.00 points" in claim.sentence
    assert not claim.met


def test_the_document_has_a_line_a_member_and_device_and_tells_the_holes() -> None:
    drops = drops_of("psn", ("host", "host-tvm"), found(), {"host-tvm": "no kernel"})
    whole = Drops(
        command=(),
        clips=4,
        calibrated=2,
        method="minmax",
        millions={"psn": (0.123, 45.6)},
        trainings={},
        drops=tuple(drops),
    )
    text = markdown(whole)
    (line,) = (line for line in text.splitlines() if "| host |" in line)
    assert line.startswith("| psn | 0.12 | 45.6 | - | host | 100.00 | 75.00 | 25.00 | ")
    assert "| psn | 0.12 | 45.6 | - | host-tvm | - | - | - | - |" in text
    assert "- psn on host-tvm: no kernel" in text
    assert Drops.model_validate_json(whole.model_dump_json()) == whole


def test_cells_cannot_break_a_table() -> None:
    assert markdown_table(["a", "b"], [["x|y", "1\n2"]]) == "| a | b |\n| :--- | ---: |\n| x\\|y | 1 2 |\n"


def test_the_command_compares_float_and_int8_and_goes_on_without_a_device_that_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("openvino")

    def compile_here(network: object, place: Path, *, device: str, **options: object) -> object:
        if device == "host-tvm":
            raise LoweringError("no kernel for it")
        return compile_checkpoint(network, place, device=device, **options)

    compile_checkpoint = families_int8.compile_checkpoint
    monkeypatch.setattr(families_int8, "compile_checkpoint", compile_here)
    sampling = Sampling(segments=4, resize=32, crop=32)
    network = random_member("stsm")
    write(tmp_path / "stsm.safetensors", network, normalization=Normalization(), sampling=sampling)
    status = main([str(tmp_path), "--family", "stsm", "--count", "16", "--clips", "8"])
    whole = Drops.model_validate_json((tmp_path / "int8.json").read_bytes())
    host, tvm = whole.drops
    assert host.drop is not None
    assert host.drop.count == 16
    assert tvm.missing == "no kernel for it"
    assert (tmp_path / "int8.md").read_text() == markdown(whole)
    answers = json.loads((tmp_path / "stsm" / "accuracy.json").read_text())
    assert [variant["name"] for variant in answers["variants"]] == ["host-float32", "host-int8"]
    shown = claims(whole.drops)
    assert status == int(not all(claim.met for claim in shown))
    assert shown[0].sentence in capsys.readouterr().out
