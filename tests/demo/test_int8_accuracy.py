"""The benchmark of the demonstration's int8 accuracy, with few clips."""

from __future__ import annotations

import tracemalloc
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from edgevid.bundle import Bundle
from edgevid.calibration.comparison import Comparison, load_comparison
from edgevid.calibration.nncf_peer import is_installed
from edgevid.demo import int8_bundles
from edgevid.demo.evaluate import segment_centres
from edgevid.demo.generated import Generated
from edgevid.demo.int8_accuracy import claims, main, run_with_isa
from edgevid.errors import VerificationError
from edgevid.source import Source
from edgevid.video.synthetic import make_clips

pytest.importorskip("openvino")


def test_generated_clips_are_those_of_make_clips_wherever_reading_starts() -> None:
    data = Generated("hard", 70, 5)
    pixels, labels = make_clips("hard", 70, 5, length=28, size=48, frames=segment_centres(28, 8))
    for start in (0, 1, 65, 70):
        read = list(data.read(start))
        assert [sample.label for sample in read] == labels[start:].tolist()
        assert len({sample.name for sample in read}) == len(read)
        for sample, expected in zip(read, pixels[start:], strict=True):
            assert np.array_equal(sample.clips, expected[None])
    assert list(data.labels) == labels.tolist()


def test_the_hash_tells_generated_clips_apart() -> None:
    data = [Generated(*given) for given in (("hard", 8, 1), ("easy", 8, 1), ("hard", 9, 1), ("hard", 8, 2))]
    assert len({each.sha256 for each in data}) == len(data)


def test_a_million_generated_clips_do_not_stand_in_memory() -> None:
    tracemalloc.start()
    for sample in islice(Generated("easy", 1_000_000, 0).read(), 130):
        assert sample.clips.shape == (1, 8, 48, 48, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64e6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the benchmark left its bundles and results."""
    return tmp_path_factory.mktemp("int8")


@pytest.fixture(scope="module")
def network() -> Source:
    return int8_bundles.demo_source()


@pytest.fixture(scope="module")
def status(folder: Path, network: Source) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(int8_bundles, "demo_source", lambda: network)
        return main([str(folder), "--count", "200", "--clips", "100"])


@pytest.fixture(scope="module")
def found(folder: Path, status: int) -> Comparison:
    return load_comparison(folder / "accuracy.json")


def test_int8_keeps_the_accuracy_on_both_targets_and_a_bad_table_is_seen(found: Comparison) -> None:
    names = ["host-minmax", "host-entropy", "tensorrt-simulated-minmax", "tensorrt-simulated-entropy"]
    assert [pair.name for pair in found.pairs] == [*names, "spoilt"]
    for pair in found.pairs[:-1]:
        assert pair.top1 is not None
        assert pair.top1.drop.value <= 0.015  # three clips; one is half a point
        assert pair.agreement.value >= 0.96
        assert pair.sqnr is not None
        assert pair.sqnr >= 20
    assert [pair.name for pair in found.exceeded] == ["spoilt"]
    assert [variant.label for variant in found.variants].count("simulated") == 2


def test_the_exit_status_says_whether_all_is_as_wanted(found: Comparison, status: int) -> None:
    shown = claims(found)
    assert len(shown) == 4 * 3 + 1
    assert status == int(not all(claim.met for claim in shown))


def test_a_comparison_in_which_the_bad_table_does_no_harm_is_not_met(found: Comparison) -> None:
    harmless = found.pairs[0].model_copy(update={"name": "spoilt"})
    wrong = found.model_copy(update={"pairs": (*found.pairs[:-1], harmless)})
    assert not claims(wrong)[-1].met


def test_a_drop_is_not_met(found: Comparison) -> None:
    bad = found.pairs[-1].model_copy(update={"name": "host-minmax"})
    wrong = found.model_copy(update={"pairs": (bad, *found.pairs[1:])})
    assert [claim.met for claim in claims(wrong)[:3]] == [False, False, False]


def test_a_bad_table_that_compiles_is_an_error(
    folder: Path, status: int, network: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8_bundles, "SPOILT_BY", 1)
    with pytest.raises(VerificationError, match="passed the compiler's checks"):
        int8_bundles.spoilt(
            Bundle.open(folder / "host-minmax"), tmp_path / "spoilt", int8_bundles.demo_source()
        )


@pytest.mark.slow
@pytest.mark.parametrize("isa", ["AVX2", "AVX512_CORE"])
def test_processors_without_vnni_keep_the_accuracy(isa: str, tmp_path: Path) -> None:
    """In a process of its own, since oneDNN asks once."""
    run_with_isa(isa, tmp_path, ["--count", "200", "--clips", "50", "--method", "minmax"])
    found = load_comparison(tmp_path / isa / "accuracy.json")
    assert [pair.name for pair in found.pairs] == ["host-minmax", "spoilt"]
    manifest = Bundle.open(tmp_path / isa / "host-minmax").manifest
    assert manifest.quantization is not None
    assert manifest.quantization.scheme["weight_bits"] == 7
    for claim in claims(found):
        assert claim.met, claim.sentence


@pytest.mark.skipif(not is_installed(), reason="NNCF is a peer, not a dependency")
def test_nncf_joins_the_comparison(tmp_path: Path) -> None:
    main(
        [str(tmp_path), "--count", "80", "--clips", "50", "--device", "host", "--method", "minmax", "--nncf"]
    )
    found = load_comparison(tmp_path / "accuracy.json")
    assert [pair.name for pair in found.pairs][-2:] == ["NNCF-performance", "NNCF-mixed"]
    assert sum("against NNCF" in claim.sentence for claim in claims(found)) == 2
