"""``edgevid report`` and ``edgevid diff``: what is written, what people read, and the exit status."""

import pytest
import report_results as made

from edgevid.cli import app
from edgevid.errors import BenchmarkError, ConfigError


@pytest.fixture
def invoke(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            app([str(argument) for argument in arguments])
        return end.value.code, capsys.readouterr().out

    return call


@pytest.fixture
def save(tmp_path):
    def write(name, result):
        made.save_result(result, tmp_path / name)
        return tmp_path / name

    return write


def test_report_writes_every_format_and_names_what_is_wrong(invoke, save, tmp_path):
    bench = save("bench.json", made.complete_result())
    sweep = made.write_sweep(tmp_path / "sweep", made.sweep_result(busy=True))
    made.save_comparison(made.comparison(), tmp_path / "compare.json")
    out = tmp_path / "out"
    out.mkdir()
    code, text = invoke(
        *("report", bench, sweep, tmp_path / "compare.json", "-o", out / "r.html"),
        *("--markdown", out / "r.md", "--csv", out / "r.csv", "--png", out / "png"),
    )
    assert code == 0
    assert sorted(path.name for path in out.iterdir()) == ["png", "r.csv", "r.html", "r.md"]
    assert "host-fp32-batch0.json: INVALID: the machine was under load" in text
    assert "not measured: tsm-resnet50 on tx2, fp32, batch 1, proportion 1/4: no such device" in text
    assert "written: " in text
    assert "<!doctype html>" in (out / "r.html").read_text()


def test_report_says_which_accuracy_has_no_latency(invoke, save, tmp_path):
    made.save_comparison(made.comparison(), tmp_path / "compare.json")
    _, text = invoke("report", tmp_path / "compare.json", "-o", tmp_path / "r.html")
    assert "no latency of TSM" in text


def test_report_asks_what_to_write_and_where(invoke, save, tmp_path):
    bench = save("bench.json", made.result({"a": 1.0}))
    with pytest.raises(ConfigError, match="nothing says what to write"):
        app(["report", str(bench)])
    with pytest.raises(ConfigError, match="does not exist"):
        app(["report", str(bench), "-o", str(tmp_path / "none" / "r.html")])
    code, _ = invoke("report", "-o", tmp_path / "r.html")
    assert code == 2


@pytest.mark.parametrize("option", ["-o", "--markdown", "--csv"])
def test_report_refuses_a_folder_or_a_place_without_files_before_it_reads(tmp_path, option):
    with pytest.raises(ConfigError, match="this is a folder"):
        app(["report", str(tmp_path / "none.json"), option, str(tmp_path)])
    with pytest.raises(ConfigError, match="the report cannot be written there"):
        app(["report", str(tmp_path / "none.json"), option, "/proc/report"])


def test_report_refuses_a_file_for_its_pictures_before_it_reads(tmp_path):
    (tmp_path / "png").write_text("a file")
    with pytest.raises(ConfigError, match="pictures need a folder"):
        app(["report", str(tmp_path / "none.json"), "--png", str(tmp_path / "png")])
    with pytest.raises(ConfigError, match="the pictures cannot be written there"):
        app(["report", str(tmp_path / "none.json"), "--png", "/proc/png"])


def test_a_damaged_file_leaves_an_earlier_report_as_it_is(save, tmp_path):
    bench = save("bench.json", made.result({"a": 1.0}))
    (tmp_path / "r.html").write_text("earlier")
    (tmp_path / "bad.json").write_text("")
    with pytest.raises(BenchmarkError, match="is empty"):
        app(["report", str(bench), str(tmp_path / "bad.json"), "-o", str(tmp_path / "r.html")])
    assert (tmp_path / "r.html").read_text() == "earlier"


def test_diff_tells_and_fails_only_where_it_is_asked_to(invoke, save):
    old = save("old.json", made.result({"a": 10.0, "b": 20.0}, seed=1))
    new = save("new.json", made.result({"a": 10.0, "b": 22.0}, seed=2))
    assert invoke("diff", old, new)[0] == 0
    code, text = invoke("diff", old, new, "--fail", "5%")
    assert code == 1
    assert "FAILED: slower by more than 5 %: b" in text
    assert invoke("diff", old, new, "--fail", "0.2")[0] == 0
    assert invoke("diff", new, old, "--fail", "5%")[0] == 0


def test_diff_of_what_cannot_be_compared_fails_a_gate(invoke, save):
    old = save("old.json", made.result({"a": 10.0}))
    new = save("new.json", made.result({"a": 10.0}, device="another"))
    code, text = invoke("diff", old, new)
    assert code == 0
    assert "not comparable" in text
    code, text = invoke("diff", old, new, "--fail", "5%")
    assert code == 1
    assert "FAILED: nothing can be compared" in text


def test_diff_of_sweeps_fails_when_another_lowering_was_chosen_and_is_slower(invoke, save):
    old = save("old.json", made.sweep_result(seed=1, plain=None))
    better = made.sweep_result(seed=2, plain=None, lowerings=("fused_axis_pad",))
    assert invoke("diff", old, save("same.json", better), "--fail", "5%")[0] == 0
    code, text = invoke("diff", old, save("new.json", made.slowed(better, 0.2)), "--fail", "5%")
    assert code == 1
    assert "FAILED: slower by more than 5 %: p = 1/8, as chosen, p = 1/4, as chosen" in text
    assert "not in the new result" not in text


def test_diff_fails_a_gate_when_a_network_is_gone(invoke, save):
    old = save("old.json", made.result({"a": 10.0, "gone": 20.0}, seed=1))
    new = save("new.json", made.result({"a": 10.0}, seed=2))
    assert invoke("diff", old, new)[0] == 0
    code, text = invoke("diff", old, new, "--fail", "5%")
    assert code == 1
    assert "FAILED: not in the new result: gone" in text
    assert invoke("diff", new, old, "--fail", "5%")[0] == 0


@pytest.mark.parametrize("text", ["much", "5 percent", "-1%", "100%", "nan", "inf", "%"])
def test_diff_refuses_a_limit_that_is_none(save, text):
    old = save("old.json", made.result({"a": 10.0}))
    with pytest.raises(ConfigError, match="is no share below 100 %"):
        app(["diff", str(old), str(old), f"--fail={text}"])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "is empty"),
        ('{"schema_version": 99, "runs": [], "settings": {}}', "has schema 99"),
        ('{"variants": [], "pairs": []}', "comparison of accuracy"),
    ],
)
def test_diff_names_the_file_that_is_no_result(save, tmp_path, text, what):
    old = save("old.json", made.result({"a": 10.0}))
    (tmp_path / "new.json").write_text(text)
    with pytest.raises(BenchmarkError, match=what) as caught:
        app(["diff", str(old), str(tmp_path / "new.json")])
    assert caught.value.where == str(tmp_path / "new.json")
