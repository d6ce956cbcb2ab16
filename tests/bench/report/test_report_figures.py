"""What stands in the tables: the right figures, joined to the right networks, with what they are worth."""

import csv

import pytest
import report_results as made

from edgevid.bench.report.accuracy import Accuracies, against_latency, of_variant, without_latency
from edgevid.bench.report.headline import circumstances, headline
from edgevid.bench.report.layers import by_kernel, by_kind, slowest
from edgevid.bench.report.markdown import write_markdown
from edgevid.bench.report.material import Material, read_material
from edgevid.bench.report.measured import Measured
from edgevid.bench.report.overhead import sweep_of
from edgevid.bench.report.plots import drawn, write_pictures
from edgevid.bench.report.table import write_csv
from edgevid.bench.report.tables import headline_table, layers_table, overhead_table, stages_table
from edgevid.bench.report.text import command_line, interval, labelled, number, percent, shortened
from edgevid.bench.results import LayerTime, Samples, VariantRecord
from edgevid.errors import BenchmarkError

MANY = ("volume_split_conv@blocked", "fused_axis_pad")


def measured(result, file="bench.json"):
    return Measured(result, file)


def accuracies(**changes):
    document = made.comparison(**changes).model_dump(mode="json")
    return Accuracies.model_validate({**document, "file": "compare.json"})


def test_numbers_have_the_digits_that_mean_something():
    assert [number(value) for value in (None, 0.012345, 9.3249, 123456.7)] == [
        "-",
        "0.01235",
        "9.325",
        "123457",
    ]
    assert [percent(value) for value in (None, 0.01234, -1e-9)] == ["-", "+1.23 %", "+0.00 %"]
    assert interval(None) == "-"
    assert labelled("a", "emulated") == "a [emulated]"
    assert labelled("a", "measured") == "a"
    assert shortened("x" * 99, 21) == "x" * 10 + "…" + "x" * 10


def test_a_command_is_told_as_it_is_typed():
    assert command_line(made.COMMAND) == "edgevid bench a.bundle 'b c.bundle' -o bench.json"
    assert command_line(("/opt/python3.11", "-m", "edgevid.bench.x")) == "python -m edgevid.bench.x"
    assert command_line(()) == ""


def test_a_sweep_is_held_against_both_networks_without_a_shift():
    sweep = sweep_of(measured(made.sweep_result(lowerings=MANY)))
    assert sweep.proportions == ["1/8", "1/4", "1/2", "1"]
    quarter = sweep.cheapest("1/4")
    assert quarter.lowering == "volume_split_conv@blocked"
    assert quarter.over_default.median == pytest.approx(1.008, abs=0.002)
    assert quarter.over_best.median == pytest.approx(1.008 / 0.992, abs=0.002)
    interval = quarter.over_best.interval
    assert interval.low < quarter.over_best.median < interval.high
    assert sweep.cheapest("1/8").used == 0.123


def test_the_curves_are_edgevids_the_plain_exports_and_those_of_other_lowerings():
    curves = {curve.name: curve for curve in sweep_of(measured(made.sweep_result(lowerings=MANY))).curves}
    assert list(curves) == ["edgevid: volume_split_conv@blocked", "plain export", "fused_axis_pad"]
    assert [cost.proportion for cost in curves["plain export"].costs] == ["1/8", "1/4", "1/2", "1"]
    alone = sweep_of(measured(made.sweep_result(plain=None)))
    assert [curve.name for curve in alone.curves] == ["edgevid: volume_split_conv@blocked"]


def test_a_result_that_is_no_sweep_or_has_no_round_has_no_curves():
    assert sweep_of(measured(made.result({"a": 1.0, "b": 2.0}))) is None
    assert sweep_of(measured(made.sweep_result(rounds=0))) is None


@pytest.mark.parametrize(
    "damage",
    [
        {"best": "nobody"},
        {"points": [{"variant": "nobody", "proportion": "1", "used": 1, "lowering": "", "role": "shift"}]},
        {"points": [{"variant": "no shift", "proportion": "x", "used": 1, "lowering": "", "role": "shift"}]},
        {
            "points": [
                {"variant": "no shift", "proportion": "1/0", "used": 1, "lowering": "", "role": "shift"}
            ]
        },
        {"points": 5},
    ],
)
def test_damaged_points_of_a_sweep_name_the_file(damage):
    result = made.sweep_result()
    result = result.model_copy(update={"parameters": {**result.parameters, **damage}})
    with pytest.raises(BenchmarkError, match="points of the sweep are damaged") as caught:
        sweep_of(measured(result))
    assert caught.value.where == "bench.json"


def test_a_variant_of_a_sweep_without_samples_names_the_file():
    result = made.sweep_result()
    samples = Samples(wall_ns=(), cpu_ns=())
    runs = [run.model_copy(update={"samples": dict.fromkeys(run.samples, samples)}) for run in result.runs]
    with pytest.raises(BenchmarkError, match="'no shift' of the sweep has no samples") as caught:
        sweep_of(measured(result.model_copy(update={"runs": tuple(runs)})))
    assert caught.value.where == "bench.json"


def test_the_table_of_a_sweep_shows_what_was_used():
    table = overhead_table(sweep_of(measured(made.sweep_result(busy=True))))
    rows = {row[0].text: row for row in table.rows}
    assert rows["p = 1/8, plain export"][2].text == "0.123"
    assert rows["no shift"][0].detail == "default without a shift"
    assert all(row[0].marks == ("INVALID",) for row in table.rows)


def test_accuracy_joins_by_the_hash_of_the_bundle_and_by_name_where_there_is_none():
    bench = measured(made.complete_result())
    points = against_latency([accuracies()], [bench])
    assert {point.name: point.milliseconds.median for point in points} == {
        "TSM": pytest.approx(9.3, rel=0.01),
        "tsm-int8.bundle": pytest.approx(3.2, rel=0.01),
    }
    assert {point.name: point.labels for point in points}["tsm-int8.bundle"] == ("emulated",)
    assert without_latency([accuracies()], [bench]) == []


def test_a_bundle_of_another_hash_is_another_network_whatever_its_name():
    record = VariantRecord(name="TSM", role="candidate", bundle={"path": "TSM", "manifest_sha256": "other"})
    assert of_variant(record, [accuracies()]) is None
    assert of_variant(record.model_copy(update={"bundle": None}), [accuracies()]).name == "TSM"


def test_accuracy_without_latency_is_told():
    assert without_latency([accuracies()], []) == ["TSM", "tsm-int8.bundle"]
    unlabelled = [v.model_copy(update={"top1": None}) for v in made.comparison().variants]
    assert without_latency([accuracies(variants=unlabelled)], []) == []


def test_the_headline_has_a_row_a_network_with_all_that_is_known_of_it():
    material = Material((measured(made.complete_result()),), (accuracies(),))
    table = headline_table(headline(material))
    rows = {row[0].text: dict(zip(table.headings, row, strict=True)) for row in table.rows}
    assert list(rows) == ["tsn.bundle", "tsm.bundle", "tsm-int8.bundle"]
    assert rows["tsn.bundle"]["over baseline"].text == "baseline"
    assert rows["tsm.bundle"]["peak MB"].text == "214.0"
    assert rows["tsm.bundle"]["top-1 %"].text == "74.00"
    assert rows["tsm.bundle"]["clips/s"].value == pytest.approx(1000 / 9.3, rel=0.01)
    assert rows["tsm.bundle"]["p99 ms"].value > 9.3
    assert rows["tsm-int8.bundle"]["network"].marks == ("[emulated]",)


def test_columns_in_which_nothing_stands_are_left_out():
    table = headline_table(headline(Material((measured(made.result({"a": 1.0, "b": 2.0})),))))
    assert table.headings == ("network", "ms", "over baseline", "CPU ms", "measured in")


def test_of_a_sweep_the_headline_shows_the_baselines_and_the_cheapest():
    names = [row.record.name for row in headline(Material((measured(made.sweep_result(lowerings=MANY)),)))]
    assert names[:3] == ["no shift", "no shift, none@blocked", "p = 1/8, volume_split_conv@blocked"]
    assert len(names) == 6


def test_rows_of_two_sweeps_are_told_apart_by_the_file_and_by_the_model(tmp_path):
    folders = []
    for model in ("tsm-resnet50", "tsm-mobilenetv2"):
        result = made.sweep_result()
        other = result.model_copy(update={"parameters": {**result.parameters, "model": model}})
        folders.append(made.write_sweep(tmp_path / model, other))
    material = read_material(folders)
    table = headline_table(headline(material))
    told = {(row[0].detail, row[-1].text) for row in table.rows}
    assert told == {
        ("tsm-resnet50", "tsm-resnet50/host-fp32-batch0.json"),
        ("tsm-mobilenetv2", "tsm-mobilenetv2/host-fp32-batch0.json"),
    }
    names = [each.name for each in drawn(material) if each.kind == "distribution"]
    assert names[0] == "distribution-tsm-resnet50-host-fp32-batch0-1"


def test_circumstances_tell_what_was_asked_and_not_what_was_found():
    told = circumstances(measured(made.sweep_result()))
    assert "precision fp32, batch 1" in told
    assert "120 rounds in 3 processes" in told
    assert "points" not in told
    assert "best" not in told


def test_layers_are_grouped_by_kind_and_kernel():
    layers = [
        LayerTime("a", "Conv", "jit", 1.0),
        LayerTime("b", "Conv", "jit", 2.0),
        LayerTime("c", "Conv", "ref", 4.0),
        LayerTime("d", "Pool", "jit", 1.0),
    ]
    groups = by_kernel(layers)
    assert [(each.name, each.kernel, each.count, each.milliseconds) for each in groups] == [
        ("Conv", "ref", 1, 4.0),
        ("Conv", "jit", 2, 3.0),
        ("Pool", "jit", 1, 1.0),
    ]
    assert groups[0].share == 0.5
    assert [each.name for each in slowest(layers, 2)] == ["c", "b"]
    assert by_kind({"x": layers, "y": layers[:1]}, most=1) == {
        "Conv": {"x": 7.0, "y": 1.0},
        "others": {"x": 1.0, "y": 0.0},
    }
    assert layers_table(groups, "kind").rows[0][-1].text == "50.0%"
    assert by_kernel([LayerTime("a", "Conv", "", 0.0)])[0].share == 0.0


def test_stages_stand_in_the_order_of_the_work():
    table = stages_table(measured(made.complete_result()))
    assert [row[1].text for row in table.rows] == ["decode", "preprocess", "inference", "whole"]


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    made.save_result(made.complete_result(title="a *title* | with <b>marks</b>"), folder / "bench.json")
    made.save_comparison(made.comparison(), folder / "compare.json")
    sweep = made.write_sweep(folder / "sweep", made.sweep_result(busy=True, lowerings=MANY))
    return read_material([folder / "bench.json", folder / "compare.json", sweep])


def test_pictures_have_names_of_their_own_and_are_pngs(everything, tmp_path):
    drawings = drawn(everything)
    write_pictures(drawings, tmp_path / "png")
    files = sorted((tmp_path / "png").iterdir())
    assert len(files) == len(drawings) == 7
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)
    assert {each.kind for each in drawings} == {"overhead", "accuracy", "distribution", "layers", "sustained"}
    titles = [each.title for each in drawings]
    assert (
        "tsm-resnet50 on Example CPU 9000, fp32, batch 1: over the best network without a shift INVALID"
        in titles
    )


def test_pictures_that_cannot_be_written_name_the_file(everything, tmp_path):
    (tmp_path / "png").write_text("a file")
    with pytest.raises(BenchmarkError, match="cannot be written"):
        write_pictures(drawn(everything), tmp_path / "png")


def test_markdown_shows_tables_verdicts_pictures_and_commands(everything, tmp_path):
    write_markdown(everything, drawn(everything), tmp_path / "r.md", tmp_path / "some png")
    text = (tmp_path / "r.md").read_text()
    assert "**INVALID: the machine was under load" in text
    assert "| tsm-int8.bundle **\\[emulated\\]** | 3.2" in text
    assert "a \\*title\\* \\| with \\<b\\>marks\\</b\\>" in text
    assert "](some%20png/accuracy-against-latency.png)" in text
    assert "edgevid bench a.bundle 'b c.bundle' -o bench.json" in text
    assert "| tx2 | fp32 | 1 | 1/4 | failed | no such device |" in text
    assert "13.7 % (Xeon E5-2690)" in text
    assert "Example CPU 9000" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    widths = {line.replace("\\|", "").count("|") for line in rows}
    assert min(widths) > 4, "a bar in a name must not end a cell"


def test_markdown_without_pictures_refers_to_none(everything, tmp_path):
    write_markdown(everything, drawn(everything), tmp_path / "r.md")
    assert "![" not in (tmp_path / "r.md").read_text()


def test_csv_holds_every_variant_unrounded(everything, tmp_path):
    write_csv(everything, tmp_path / "r.csv")
    with (tmp_path / "r.csv").open(encoding="utf-8", newline="") as file:
        rows = {(row["file"], row["variant"]): row for row in csv.DictReader(file)}
    int8 = rows["bench.json", "tsm-int8.bundle"]
    assert int8["label"] == "emulated"
    assert float(int8["wall"]) == everything.results[0].summary["tsm-int8.bundle"].wall_ms.median
    assert float(int8["top1"]) == 0.735
    assert rows["bench.json", "tsn.bundle (A/A)"]["role"] == "twin"
    plain = rows["host-fp32-batch0.json", "p = 1/8, plain export"]
    assert plain["used"] == "0.123"
    assert float(plain["over_best_low"]) > float(plain["over_default_low"]) > 1.5
    assert plain["verdict"].startswith("INVALID: the machine was under load")


def test_csv_of_accuracy_alone_is_refused(tmp_path):
    with pytest.raises(BenchmarkError, match="no latency to write"):
        write_csv(Material((), (accuracies(),)), tmp_path / "r.csv")


def test_the_same_files_give_the_same_report(everything, tmp_path):
    from edgevid.bench.report.page import render

    assert render(everything, drawn(everything)) == render(everything, drawn(everything))
