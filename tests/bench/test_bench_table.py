import io

import bench_fakes as fakes
from rich.console import Console
from rich.text import Text

from edgevid.bench.results import VariantRecord
from edgevid.bench.table import render


def printed(result, width=160):
    console = Console(width=width, color_system=None, file=io.StringIO())
    console.print(render(result))
    return console.file.getvalue()


def million(value, count=20):
    return [int(value * 1e6)] * count


def test_the_table_shows_the_a_a_row_the_overhead_and_the_verdict():
    run = fakes.run_of([million(10), million(10.01), million(10.3)])
    text = printed(fakes.result_of(run, device="host", parameters={"batch": 1, "threads": 2}))
    names = ["plain", "plain (A/A)", "candidate 0"]
    lines = text.splitlines()
    rows = {name: next(line for line in lines if line.startswith(name + "  ")) for name in names}
    assert "+0.10%" in rows["plain (A/A)"]
    assert "10.3" in rows["candidate 0"]
    assert "20.6" in rows["candidate 0"]  # CPU time
    assert "1.0300..1.0300" in rows["candidate 0"]
    assert "+3.00%" in rows["candidate 0"]
    assert "\nVALID\n" in text
    assert "host" in text
    assert "batch 1, threads 2, 20 rounds in 1 process, load of others 0.5%" in text


def test_an_invalid_result_says_so_with_the_reason_beside_its_figures():
    text = printed(fakes.result_of(fakes.run_of([million(10), million(11)])))
    assert "INVALID: the A/A pair differs by 10.00% (limit 0.5%)" in text
    assert "+10.00%" in text


def test_a_note_that_figures_are_invalid_stands_out():
    result = fakes.result_of(
        fakes.run_of([[20_000_000] * 8] * 2), notes=("stages: INVALID: the machine was under load", "quiet")
    )
    styles = {line.plain: line.style for line in render(result).renderables if isinstance(line, Text)}
    assert styles["stages: INVALID: the machine was under load"] == "bold red"
    assert styles["quiet"] == "dim"


def test_a_percentile_is_shown_or_the_reason_why_not():
    text = printed(fakes.result_of(fakes.run_of([million(10, 70), million(10, 70)])))
    assert "p90 ms" in text
    assert "p95 ms" not in text
    assert "quartile range ms" in text
    assert "p95 left out: needs 130 samples, has 70" in text


def test_a_figure_that_was_not_measured_on_the_device_is_labelled_and_explained():
    variants = (
        *fakes.records(),
        VariantRecord(name="candidate 0", role="candidate", label="simulated", note="by the cycle model"),
    )
    text = printed(fakes.result_of(fakes.run_of([million(10), million(10), million(9)], variants=variants)))
    assert "candidate 0 [simulated]" in text
    assert "[simulated]: from a simulator, not executed on the device" in text
    assert "candidate 0: by the cycle model" in text


def test_measured_figures_carry_no_label():
    assert "[" not in printed(fakes.result_of(fakes.run_of([million(10), million(10)])))


def test_names_in_brackets_are_not_taken_for_markup():
    variants = (
        VariantRecord(name="[red]a", role="baseline"),
        VariantRecord(name="[red]a (A/A)", role="twin"),
    )
    run = fakes.run_of([million(1), million(1)]).model_copy(update={"variants": variants})
    run = run.model_copy(
        update={"samples": dict(zip(("[red]a", "[red]a (A/A)"), run.samples.values(), strict=True))}
    )
    text = printed(fakes.result_of(run, title="[bold]title"))
    assert "[red]a (A/A)" in text
    assert "[bold]title" in text


def test_a_result_without_rounds_is_printed_too():
    text = printed(fakes.result_of(fakes.run_of([[], []], status="interrupted", load=None)))
    assert "INVALID: too few rounds: 0 finished" in text
    assert "load of others not measured" in text


def test_microseconds_and_seconds_keep_their_digits():
    text = printed(fakes.result_of(fakes.run_of([million(0.0123), million(0.0123), million(12_345)])))
    assert "0.0123" in text
    assert "12345" in text


def test_the_table_fits_a_narrow_terminal_without_cutting_a_figure():
    run = fakes.run_of([million(1144.1, 150), million(1238.3, 150), million(1403.9, 150)])
    text = printed(fakes.result_of(run, device="host"), width=80)
    assert "…" not in text
    assert "candidate 0" in text
    assert "plain (A/A)" in text
    assert "1.2271..1.2271" in text
    assert "+22.71%" in text
