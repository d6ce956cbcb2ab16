"""The page as a reader has it: in headless Chromium, on a screen and a phone, light and dark."""

import pytest
import report_results as made
from browser import CHROMIUM, Browser

from edgevid.bench.report.material import read_material
from edgevid.bench.report.page import write_page
from edgevid.bench.report.plots import drawn

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"
)

ODD = "$x_{1}$ <b>&amp; 日本 " + "a_very_long_name_" * 4
PHONE, SCREEN = 390, 1200


@pytest.fixture(scope="module")
def browser():
    opened = Browser()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """All kinds of sections; names that HTML, formulas and narrow windows stumble over."""
    folder = tmp_path_factory.mktemp("page")
    made.save_result(made.complete_result(), folder / "bench.json")
    odd = made.result({ODD: 5.0, "b": 40.0, "c": 9.0}, title=f"odd names: {ODD}", notes=("</script>",))
    made.save_result(odd, folder / "odd.json")
    made.save_comparison(made.comparison(), folder / "compare.json")
    lowerings = ("volume_split_conv@blocked", "volume_split_conv", "fused_axis_pad", "slice_concat_5d")
    low, high = made.sweep_result(plain=0.1), made.sweep_result(plain=1.2, lowerings=lowerings, busy=True)
    many = [f"lowering number {number}" for number in range(13)]
    wild = made.sweep_result(plain=30.0, lowerings=many, noise=1.5, title="a restless machine")
    sweep = made.write_sweep(folder / "sweep", low, high, wild)
    material = read_material([folder / "bench.json", folder / "odd.json", folder / "compare.json", sweep])
    write_page(material, drawn(material), folder / "report.html")
    return folder / "report.html"


def test_the_page_renders_whole_with_nothing_in_the_console_and_nothing_loaded(browser, page):
    browser.open(page)
    assert browser.messages == []
    assert browser.requests == [page.as_uri()]
    sections = browser.run("[...document.querySelectorAll('section')].map(s => s.id || s.className)")
    assert sections == ["headline", "overhead", "accuracy", *["result"] * 5, "environment"]
    assert browser.run("document.querySelectorAll('figure svg').length") == 14
    text = browser.run("document.body.innerText")
    for wanted in (
        "INVALID: 2 of 5 results cannot be trusted.",
        "the machine was under load",
        "[emulated] executed, with a precision that this device lacks",
        "no such device",
        "plain export",
        "Xeon E5-2690",
        "500 videos of val.txt",
        "edgevid bench a.bundle 'b c.bundle' -o bench.json",
        "Example CPU 9000",
        ODD,
    ):
        assert wanted in text


def test_every_heading_sorts_its_table_both_ways(browser, page):
    browser.open(page)
    column = "[...document.querySelectorAll('#headline tbody tr')].map(r => Number(r.cells[1].dataset.value))"
    before = browser.run(column)
    click = "document.querySelectorAll('#headline th button')[1].click()"
    browser.run(click)
    assert browser.run(column) == sorted(before) != before
    browser.run(click)
    assert browser.run(column) == sorted(before, reverse=True)
    assert browser.run("document.querySelectorAll('#headline th')[1].ariaSort") == "descending"
    assert browser.run("document.querySelectorAll('#headline [aria-sort]').length") == 1


def test_words_sort_as_words_and_what_is_unknown_comes_last(browser, page):
    browser.open(page)
    names = "[...document.querySelectorAll('#headline tbody tr')].map(r => r.cells[0].firstChild.data)"
    browser.run("document.querySelector('#headline th button').click()")
    sorted_names = browser.run(names)
    assert sorted_names.index("b") < sorted_names.index("c") < sorted_names.index("tsm.bundle")
    memory = "[...document.querySelectorAll('#headline th')].findIndex(h => h.innerText.startsWith('peak'))"
    for _ in range(2):
        browser.run(f"document.querySelectorAll('#headline th button')[{memory}].click()")
        first = "document.querySelector('#headline tbody tr').cells[0].firstChild.data"
        assert browser.run(first) in ("tsn.bundle", "tsm.bundle")
    # Proportions sort as numbers, not as text.
    browser.run("document.querySelectorAll('#overhead table th button')[1].click()")
    rows = "[...document.querySelector('#overhead table').tBodies[0].rows]"
    shares = browser.run(f"{rows}.map(r => r.cells[1].textContent.trim())")
    assert shares == ["0", "0", "1/8", "1/8", "1/4", "1/4", "1/2", "1/2", "1", "1"]


ILLEGIBLE = """(() => {
  const problems = [];
  for (const svg of document.querySelectorAll("svg")) {
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll("text")].filter((t) => t.textContent.trim());
    const boxes = texts.map((t) => t.getBoundingClientRect());
    const about = (i) => svg.getAttribute("aria-label") + ": " + texts[i].textContent;
    boxes.forEach((box, i) => {
      if (parseFloat(getComputedStyle(texts[i]).fontSize) * frame.width / svg.viewBox.baseVal.width < 9)
        problems.push("small: " + about(i));
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1
          || box.bottom > frame.bottom + 1) problems.push("cut off: " + about(i));
      for (let j = 0; j < i; j++) {
        const wide = Math.min(box.right, boxes[j].right) - Math.max(box.left, boxes[j].left);
        const high = Math.min(box.bottom, boxes[j].bottom) - Math.max(box.top, boxes[j].top);
        if (wide > 1 && high > 3) problems.push(about(i) + " overlaps " + texts[j].textContent);
      }
    });
    if (texts.length < 3) problems.push("nearly empty: " + svg.getAttribute("aria-label"));
  }
  return problems;
})()"""


@pytest.mark.parametrize("width", [PHONE, SCREEN])
def test_the_writing_of_every_plot_is_large_enough_whole_and_apart(browser, page, width):
    browser.open(page, width)
    assert browser.run(ILLEGIBLE) == []


def test_the_check_of_the_plots_notices_writing_that_overlaps(browser, page):
    browser.open(page)
    browser.run("document.querySelectorAll('svg text').forEach(t => t.setAttribute('transform', ''))")
    assert len(browser.run(ILLEGIBLE)) >= 5


@pytest.mark.parametrize("width", [320, PHONE, 768])
def test_a_phone_scrolls_tables_and_never_the_page(browser, page, width):
    browser.open(page, width)
    browser.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.run("document.documentElement.scrollWidth") <= width
    outside = """[...document.querySelectorAll("body *")]
      .filter((e) => !e.closest(".scroll") && e.getBoundingClientRect().right > innerWidth + 1)
      .map((e) => e.tagName + e.textContent.slice(0, 40))"""
    assert browser.run(outside) == []


PALE = """(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = rgba(getComputedStyle(e).backgroundColor);
      if (color[3] > 250) return color;
    }
    return rgba("white");
  };
  const problems = [];
  const own = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  for (const e of document.querySelectorAll("body *:not(script)")) {
    if (!own(e) || !e.getClientRects().length) continue;
    const style = getComputedStyle(e);
    const color = rgba(e.tagName === "text" ? style.fill : style.color);
    const found = contrast(color, behind(e));
    if (found < 4.5) problems.push(found.toFixed(2) + " " + e.tagName + " " + e.textContent.slice(0, 30));
  }
  for (const e of document.querySelectorAll("svg path")) {
    const stroke = getComputedStyle(e).stroke;
    const name = e.getAttribute("style") || "";
    if (!/--series|--grey/.test(name) || stroke === "none") continue;
    const found = contrast(rgba(stroke), behind(e));
    if (found < 3) problems.push(found.toFixed(2) + " line " + stroke);
  }
  return [...new Set(problems)];
})()"""


@pytest.mark.parametrize("dark", [False, True])
def test_writing_and_lines_stand_out_from_the_page_in_both_schemes(browser, page, dark):
    browser.open(page, dark=dark)
    browser.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    background = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") is not dark
    assert browser.run("document.querySelectorAll('svg path[style*=series]').length") > 20
    assert browser.run(PALE) == []


def test_names_are_text_and_never_markup_or_formulas(browser, page):
    browser.open(page)
    assert browser.run("document.querySelectorAll('main b, main svg b').length") == 0
    assert browser.run("document.scripts.length") == 1
    drawn_names = browser.run("[...document.querySelectorAll('svg text')].map(t => t.textContent)")
    assert any(name.startswith("$x_{1}$ <b>&amp; …") for name in drawn_names)


def test_elements_of_different_plots_have_different_names(browser, page):
    browser.open(page)
    twice = """(() => { const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
      return ids.filter((id, place) => ids.indexOf(id) !== place); })()"""
    assert browser.run(twice) == []


def test_a_result_that_was_interrupted_before_its_first_round_renders(browser, tmp_path):
    for name, result in (
        ("a", made.result({"a": 1.0, "b": 2.0}, rounds=0)),
        ("s", made.sweep_result(rounds=0)),
    ):
        made.save_result(result, tmp_path / f"{name}.json")
    material = read_material([tmp_path / "a.json", tmp_path / "s.json"])
    write_page(material, drawn(material), tmp_path / "report.html")
    browser.open(tmp_path / "report.html", PHONE)
    assert browser.messages == []
    assert "too few rounds: 0 finished" in browser.run("document.body.innerText")


def test_a_report_of_holes_alone_and_one_of_accuracy_alone_render(browser, tmp_path):
    made.save_comparison(made.comparison(), tmp_path / "compare.json")
    for place, wanted in (
        (made.write_sweep(tmp_path / "sweep"), "no such device"),
        (tmp_path / "compare.json", "No latency is known of TSM, tsm-int8.bundle"),
    ):
        material = read_material([place])
        write_page(material, drawn(material), tmp_path / "report.html")
        browser.open(tmp_path / "report.html", PHONE)
        assert browser.messages == []
        assert wanted in browser.run("document.body.innerText")
