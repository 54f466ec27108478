"""The report as people meet it: in a browser, on a phone, on paper, in light and dark."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.viker.report.work_tree import Inputs
from viker.report.svg import AFTER, BEFORE, KEY, LIMIT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PHONE = {"width": 390, "height": 844}
LARGE = {"width": 1200, "height": 900}
CONTRAST = """() => {
  const channel = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
  const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const page = element => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((under, [r, g, b, a = 1]) =>
      [r, g, b].map((v, i) => v * a + under[i] * (1 - a)), [255, 255, 255]);
  };
  const found = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (!own || e.closest("svg, title, .defs") || e.closest("[aria-hidden]")) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(page(e))].sort((x, y) => y - x);
    found.push([(a + .05) / (b + .05), `${e.tagName}.${e.className}: ${e.textContent.trim().slice(0, 30)}`]);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def report(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    inputs = Inputs(tmp_path_factory.mktemp("page") / "work")
    shutil.copytree(finished, inputs.folder)
    inputs.write()
    return inputs.folder / "report/report.html"


@pytest.fixture
def opened(browser: Browser, report: Path) -> Iterator[Page]:
    """The report in a browser that may load nothing else; console messages and requests are kept."""
    context = browser.new_context(viewport=LARGE)
    page = context.new_page()
    page.said = []  # type: ignore[attr-defined]
    page.on("console", lambda message: page.said.append(message.text))  # type: ignore[attr-defined]
    page.on("pageerror", lambda error: page.said.append(str(error)))  # type: ignore[attr-defined]
    page.on("request", lambda request: page.said.append(request.url))  # type: ignore[attr-defined]
    page.goto(report.as_uri())
    yield page
    context.close()


def test_it_says_what_it_is_loads_itself_alone_and_the_console_is_silent(opened: Page, report: Path) -> None:
    assert opened.said == [report.as_uri()]  # type: ignore[attr-defined]
    assert opened.title() == "Unlearning evidence: failed"
    assert opened.locator("h1").inner_text() == "What the model was made to forget"
    headings = opened.locator("h2").all_inner_texts()
    assert headings == opened.locator("nav a").all_inner_texts()
    assert headings[:5] == [
        "People still given away",
        "Before and after",
        "Attacks",
        "What remains a risk",
        "The gate's rules",
    ]
    for svg in opened.locator("figure svg").all():
        box = svg.bounding_box()
        assert box is not None and box["width"] > 200 and box["height"] > 100
    assert opened.locator(".nobody").first.is_visible()


def test_every_link_leads_to_its_section(opened: Page) -> None:
    for link in opened.locator("nav a").all():
        link.click()
        target = opened.locator((link.get_attribute("href") or "") + ":target")
        assert target.inner_text() == link.inner_text()


@pytest.mark.parametrize("unfolded", [False, True])
def test_a_phone_shows_it_without_scrolling_sideways(opened: Page, unfolded: bool) -> None:
    opened.set_viewport_size(PHONE)
    if unfolded:
        opened.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert opened.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    wide = """() => [...document.querySelectorAll("main *")].filter(e => !e.closest(".wide, pre, svg")
      && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"""
    assert opened.evaluate(wide) == []
    assert opened.evaluate("parseFloat(getComputedStyle(document.querySelector('main p')).fontSize)") >= 16


@pytest.mark.parametrize("caption", ["shown", "People to forget who are given away"])
def test_the_main_tables_fit_a_phone(opened: Page, caption: str) -> None:
    opened.set_viewport_size(PHONE)
    table = opened.locator("table", has_text=caption).first
    region = table.locator("xpath=..")
    assert region.evaluate("e => e.scrollWidth <= e.clientWidth")


def test_a_phones_first_screen_has_the_answer_and_the_second_the_people(opened: Page) -> None:
    opened.set_viewport_size(PHONE)
    answer = opened.locator(".verdict .lead").last.bounding_box()
    assert opened.locator(".verdict .lead").count() == 2  # the verdict is the first of three sentences
    assert answer is not None and answer["y"] + answer["height"] < PHONE["height"]
    people = opened.locator("#people").bounding_box()
    assert people is not None and people["y"] < 2 * PHONE["height"]


def test_rules_that_are_met_are_folded_and_those_that_are_not_stand_open(opened: Page) -> None:
    rules = opened.locator("section[aria-labelledby=gate]")
    assert rules.locator("details").get_attribute("open") is None
    shown = [rule for rule in rules.locator("li").all() if rule.is_visible()]
    assert [rule.locator(".badge").inner_text() for rule in shown] == ["✗ not met"]
    rules.locator("summary").click()
    assert all(rule.is_visible() for rule in rules.locator("li").all())
    words = [rule.locator("strong").inner_text() for rule in rules.locator("li").all()]
    assert len(words) == len(set(words)) > 10


def test_every_table_has_a_caption_and_headers_with_a_scope(opened: Page) -> None:
    tables = opened.locator("table").all()
    assert len(tables) > 10
    for table in tables:
        assert (table.locator("caption").text_content() or "").strip()
        assert table.locator("thead th[scope=col]").count() >= 2
        assert table.locator("th:not([scope])").count() == 0
        rows = table.locator("tbody tr").count()
        assert table.locator("tbody th[scope^=row]").count() == rows
    for region in opened.locator(".wide").all():
        assert region.get_attribute("tabindex") == "0" and region.get_attribute("aria-label")


def test_dark_is_dark(opened: Page) -> None:
    page = "getComputedStyle(document.body).backgroundColor"
    light, dark = [], []
    for scheme, channels in (("light", light), ("dark", dark)):
        opened.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        channels += [int(v) for v in re.findall(r"\d+", opened.evaluate(page))]
    assert luminance(light) > 0.9 and luminance(dark) < 0.05


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(opened: Page, scheme: str) -> None:
    opened.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    ratios = opened.evaluate(CONTRAST)
    assert len(ratios) > 250
    assert [told for ratio, told in ratios if ratio < 4.5] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_plots_stand_out_too(opened: Page, scheme: str) -> None:
    opened.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    behind = luminance([int(v) for v in re.findall(r"\d+", page)])
    for colour in (AFTER, BEFORE, KEY, LIMIT):
        ink = luminance([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
        assert (max(ink, behind) + 0.05) / (min(ink, behind) + 0.05) >= 3, colour


def luminance(channels: list[int]) -> float:
    """WCAG's relative luminance of an sRGB colour, 0..1."""
    linear = [v / 12.92 if (v := c / 255) <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_it_prints_on_pages_of_a4_with_nothing_cut_off(opened: Page) -> None:
    printed = opened.pdf(format="A4", print_background=False)
    assert printed.startswith(b"%PDF-") and 5 < len(re.findall(rb"/Type\s*/Page\b", printed)) < 30
    opened.emulate_media(media="print")
    opened.set_viewport_size({"width": 673, "height": 950})  # A4 less the margins, in CSS pixels
    cut = "e => e.scrollWidth > e.clientWidth + 1"
    assert opened.evaluate(f"[...document.querySelectorAll('.wide')].filter({cut}).map(e => e.ariaLabel)") == []
    assert not opened.locator("nav").is_visible()
    folded = opened.locator("details:not([open])")
    assert folded.count() > 3 and all(e.bounding_box()["height"] > 60 for e in folded.all())  # type: ignore[index]
