"""The page and the JSON of a comparison."""

import base64
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from compare_fakes import Numbered, WrittenBundle, one_hot

from edgevid.bench.summary import Estimate as Timing
from edgevid.calibration import plots
from edgevid.calibration.compare import compare
from edgevid.calibration.comparison import load_comparison, save_comparison
from edgevid.calibration.ranking import Effect, LayerEffect, Ranking
from edgevid.calibration.report import render, write_report
from edgevid.calibration.statistics import Estimate
from edgevid.errors import ConfigError

LABELS = [0, 1, 2] * 10


def effect(decibels):
    return Effect(sqnr=decibels, agreement=Estimate(value=1.0, low=0.9, high=1.0), top1=None)


RANKING = Ranking(
    edgevid="0",
    runtime="a runtime",
    command=("edgevid",),
    graph_sha256="0" * 64,
    scheme={},
    source="clips",
    data_sha256="1" * 64,
    clips=3,
    labelled=0,
    skipped={},
    top1=None,
    layers=tuple(
        LayerEffect(name=name, kind="Conv", weight=name, effect=effect(decibels))
        for name, decibels in (("touchy", 12.0), ("calm", 40.0))
    ),
    rest=effect(None),
    everything=effect(11.0),
)


@pytest.fixture
def comparison(tmp_path):
    changed = [1, *LABELS[1:]]
    names = ["<b>left</b>", "right & up", "down"]
    bundles = {
        tmp_path / "first": WrittenBundle(tmp_path / "first", one_hot(LABELS), labels=names),
        tmp_path / "second": WrittenBundle(
            tmp_path / "second", one_hot(changed), labels=names, simulated=True
        ),
    }
    found = compare(
        list(bundles),
        Numbered(LABELS, broken=(4,), source="<script>alert(1)</script>"),
        timing=None,
        max_drop=0.2,
        sensitivity={"second": RANKING},
        opener=bundles.__getitem__,
    )
    timed = [
        variant.model_copy(update={"latency_ms": Timing(median=time, interval=None)})
        for variant, time in zip(found.variants, (10.0, 4.0), strict=True)
    ]
    return found.model_copy(update={"variants": tuple(timed)})


class Page(HTMLParser):
    """Collects the tags, and checks that they close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in {"meta", "br", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_holds_figures_plots_flips_and_labels(comparison):
    page = Page(render(comparison))
    text = " ".join(" ".join(page.words).split())
    for wanted in ("[simulated]", "Within:", "1 lost, 0 gained of 29", "<b>left</b>", "video 4", "dB"):
        assert wanted in text, wanted
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert [image["alt"] for image in images] == [
        "Accuracy against latency",
        "Changed answers",
        "Change by class",
        "Sensitivity of the layers: second",
    ]
    svg = base64.b64decode(images[-1]["src"].partition(",")[2]).decode()
    assert svg.lstrip().startswith("<?xml")


def test_names_cannot_write_into_the_page(comparison):
    text = render(comparison)
    assert "<script" not in text
    assert "<b>left" not in text
    assert "right &amp; up" in text


def test_the_page_loads_nothing_from_elsewhere(comparison):
    addresses = re.findall(r'(?:src|href)="([^"]*)', render(comparison))
    assert addresses
    assert all(address.startswith("data:image/svg+xml;base64,") for address in addresses)


def test_the_same_comparison_gives_the_same_page(comparison):
    assert render(comparison) == render(comparison)


def test_the_page_is_made_from_the_json_alone(comparison, tmp_path):
    save_comparison(comparison, tmp_path / "c.json")
    assert load_comparison(tmp_path / "c.json") == comparison
    command = [sys.executable, "-m", "edgevid.calibration.report", tmp_path / "c.json", tmp_path / "c.html"]
    subprocess.run(command, check=True, timeout=100)
    assert (tmp_path / "c.html").read_text(encoding="utf-8") == render(comparison)


def test_plots_without_data_are_left_out(comparison):
    without = comparison.model_copy(
        update={
            "sensitivity": {},
            "variants": tuple(v.model_copy(update={"latency_ms": None}) for v in comparison.variants),
            "pairs": tuple(pair.model_copy(update={"classes": ()}) for pair in comparison.pairs),
        }
    )
    assert plots.accuracy_against_latency(without) is None
    assert plots.per_class(without) is None
    images = [attributes["alt"] for tag, attributes in Page(render(without)).tags if tag == "img"]
    assert images == ["Changed answers"]


def test_the_most_sensitive_layer_comes_first():
    svg = plots.sensitivity(RANKING)
    assert svg.index("<!-- touchy -->") < svg.index("<!-- calm -->")


def test_a_damaged_comparison_names_the_key(comparison, tmp_path):
    path = tmp_path / "c.json"
    save_comparison(comparison, path)
    document = json.loads(path.read_text())
    document["pairs"][0]["agreement"] = "high"
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match=r"pairs\.0\.agreement"):
        load_comparison(path)
    for content in (b"", b"{}", b"[1]", b"\xff"):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="damaged"):
            load_comparison(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_comparison(tmp_path / "missing.json")


def test_a_page_that_cannot_be_written_is_an_error_with_its_place(comparison, tmp_path):
    with pytest.raises(ConfigError) as error:
        write_report(comparison, tmp_path / "missing" / "c.html")
    assert "missing" in error.value.where
