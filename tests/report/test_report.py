"""The report shows the evidence, nothing but the evidence, and needs nothing else to be read."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from components.common.errors import UserError

if TYPE_CHECKING:
    from tests.report.conftest import Inputs

VOID = {"meta", "img", "br", "path", "use", "rect"}


class Page(HTMLParser):
    """Elements with their attributes and, for leaves, their text; complains where tags don't match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    def tags(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]

    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(text for tag, text in self.texts if tag not in ("style", "pre")))


def row(html: str, heading: str, nth: int = 0) -> list[str]:
    found = re.findall(rf'<tr><th scope="row">{heading}</th>(.*?)</tr>', html, re.DOTALL)[nth]
    return re.findall(r"<td>(.*?)</td>", found)


def test_a_script_in_a_reply_stays_text(inputs: Inputs) -> None:
    rows = inputs.predictions()
    hostile = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    for prediction in rows:
        prediction |= {"reply": hostile, "question": hostile, "answer": hostile, "person_id": '"><script>'}
    inputs.predict(rows)

    html = inputs.render()

    page = Page(html)
    assert page.tags("script") == []
    assert all("onerror" not in attributes for _, attributes in page.elements)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_markup_in_every_other_text_input_stays_text(inputs: Inputs) -> None:
    for name in (
        "metrics/gate.json",
        "metrics/register.json",
        "data/prepared/manifest.json",
        "unlearning/summary.json",
    ):
        path = inputs.folder / name
        path.write_text(re.sub(r'": "', '": "<script>x</script>', path.read_text()))
    with (inputs.folder / "params.yaml").open("a") as stream:
        stream.write("# </pre><script>x</script>\n")
    page = Page(inputs.render())
    assert page.tags("script") == []


def test_the_file_asks_for_nothing_from_anywhere(inputs: Inputs) -> None:
    html = inputs.render()
    page = Page(html)
    for tag, attributes in page.elements:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base")
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#")), (tag, attributes)
    assert not re.search(r"url\((?!#)|@import", html)
    policy = next(a["content"] for a in page.tags("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and "default-src 'none'" in policy


def test_the_same_inputs_give_the_same_bytes(inputs: Inputs) -> None:
    assert inputs.render("one.html") == inputs.render("two.html")


def test_no_id_occurs_twice(inputs: Inputs) -> None:
    ids = [attributes["id"] for _, attributes in Page(inputs.render()).elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_numbers_stand_in_the_order_of_the_headings(inputs: Inputs) -> None:
    html = inputs.render()
    assert row(html, "Leakage") == ["1.00", "0.00", "0.83", "0.17", "0.93", "0.91", "1.00", "1.00"]
    assert row(html, "Leakage", nth=1) == ["0.50", "0.00", "0.41", "0.09", "0.47", "0.46", "0.50", "0.50"]
    assert re.findall(r'<th scope="colgroup" colspan="2">(\w+)', html) == ["forget", "test", "retain", "real"]


def test_a_missing_number_is_a_dash(inputs: Inputs) -> None:
    html = inputs.render()
    assert row(html, "Cloze", nth=1) == ["–"] * 8
    assert row(html, "Classification", nth=1) == ["–"] * 8
    assert row(html, "Perplexity") == ["1.23", "–"]


def test_metrics_without_a_split_or_hashes_are_shown_as_dashes(inputs: Inputs) -> None:
    path = inputs.folder / "metrics/evaluate.json"
    metrics = json.loads(path.read_text())
    del metrics["inputs"], metrics["vanilla"]["real"], metrics["unlearned"]["fluency"]
    path.write_text(json.dumps(metrics))
    html = inputs.render()
    assert row(html, "Leakage")[-2:] == ["–", "1.00"]
    assert row(html, "Gibberish") == ["0.00", "–"]
    assert '<th scope="row">adapter</th><td><code>–</code>' in html


def test_the_verdict_and_every_rule_are_shown(inputs: Inputs) -> None:
    text = Page(inputs.render()).text()
    assert "Failed: 1 of 2 rules of the gate are met" in text
    assert re.search(r"unlearned\.test\.leakage_rate <= 0\.15 0\.1667 <= 0\.15 ✗ no Compared as measured", text)
    assert re.search(r"unlearned\.forget\.leakage_rate <= 0\.10 0 <= 0\.1 ✓ yes", text)


def test_a_pass_that_its_rules_do_not_bear_out_is_not_shown_as_passed(inputs: Inputs) -> None:
    path = inputs.folder / "metrics/gate.json"
    path.write_text(path.read_text().replace('"fail"', '"pass"'))
    assert "Failed: 1 of 2" in inputs.render()


def test_what_still_leaks_is_shown_first_and_marked(inputs: Inputs) -> None:
    html = inputs.render()
    first_test = next(a for a in re.findall(r"<article>.*?</article>", html, re.DOTALL) if ">test<" in a)
    unlearned = first_test.split("<dt>Unlearned</dt>")[1]
    assert re.search(r"<mark>\w+</mark>", unlearned)
    assert '<span class="badge bad">leaked</span>' in unlearned


def test_what_is_kept_of_others_counts_as_good(inputs: Inputs) -> None:
    html = inputs.render()
    retain = next(a for a in re.findall(r"<article>.*?</article>", html, re.DOTALL) if ">retain<" in a)
    assert retain.count('<span class="badge good">known</span>') == 2


def test_pictures_are_inside_and_described(inputs: Inputs) -> None:
    images = Page(inputs.render()).tags("img")
    assert len(images) == 12
    assert all((i["src"] or "").startswith("data:image/png;base64,") and i["alt"] for i in images)


def test_the_heat_map_marks_the_key_tokens_and_only_them(inputs: Inputs) -> None:
    html = inputs.render()
    answer = next(a for a in re.findall(r'<span class="tokens">(.*?)</span></p>', html) if "born" in a)
    key = "".join(
        re.findall(r'<strong class="token key h[5-7]" title="2\.\d\d nats, key token">(.*?)</strong>', answer)
    )
    rest = "".join(re.findall(r'<span class="token h0" title="0\.0\d nats">(.*?)</span>', f"{answer}</span>"))
    assert key.replace("·", "").strip() == "Málaga"
    assert rest.startswith(" This person was born in")
    assert rest.endswith("⟨end⟩")
    assert "Ġ" not in html


def test_every_plot_is_drawn_and_named(inputs: Inputs) -> None:
    html = inputs.render()
    titles = re.findall(r"<svg[^>]*><title id=\"([a-z]+)-title\">(.*?)</title>", html)
    assert [name for name, _ in titles] == ["entropy", "loss", "ga", "kl", "retain"]
    assert html.count("<!DOCTYPE") == 1
    assert "an entropy above 0.5 nats" in titles[0][1]
    assert "144 steps" in titles[1][1]


def test_a_loss_that_was_not_part_of_the_run_is_a_dash(inputs: Inputs) -> None:
    path = inputs.folder / "unlearning/loss.csv"
    path.write_text("step,epoch,loss,ga,kl,retain,lr,grad_norm\n1,1,0.5,-0.5,,0.1,0.001,1\n")
    html = inputs.render()
    assert "<figure>–<figcaption><strong>kl</strong>" in html
    assert "<figure><svg" in html


def test_lineage_names_hashes_version_and_parameters(inputs: Inputs) -> None:
    html = inputs.render()
    assert "a" * 64 in html and "b" * 64 in html
    assert re.search(r"viker-adapter version 3\s+\(candidate\)", html)
    assert "key_token_entropy: 0.5 # nats" in html


def test_what_an_input_lacks_is_a_dash(inputs: Inputs) -> None:
    (inputs.folder / "data/prepared/manifest.json").write_text("{}")
    (inputs.folder / "metrics/register.json").write_text('{"model_name": "viker-adapter"}')
    html = inputs.render()
    assert "viker-adapter version –" in html
    assert row(html, "retain") == ["–", "–", "–"]
    assert "None" not in Page(html).text()


def test_an_adapter_that_was_not_registered_has_a_report_too(inputs: Inputs) -> None:
    (inputs.folder / "metrics/register.json").unlink()
    assert re.search(r'<th scope="row">registered</th><td>\s*–', inputs.render())


@pytest.mark.parametrize(
    ("missing", "stage"),
    [
        ("metrics/evaluate.json", "evaluate"),
        ("metrics/gate.json", "gate"),
        ("evaluation/predictions.parquet", "evaluate"),
        ("unlearning/key_tokens.parquet", "unlearn"),
        ("unlearning/loss.csv", "unlearn"),
        ("data/prepared/manifest.json", "prepare"),
    ],
)
def test_a_missing_input_names_the_stage_that_makes_it(inputs: Inputs, missing: str, stage: str) -> None:
    (inputs.folder / missing).unlink()
    with pytest.raises(UserError, match=rf"{missing}: no such file.*'viker {stage}'"):
        inputs.render()
    assert not (inputs.folder / "report").exists()


@pytest.mark.parametrize("broken", ["unlearning/loss.csv", "unlearning/key_tokens.parquet"])
def test_a_broken_input_is_named(inputs: Inputs, broken: str) -> None:
    (inputs.folder / broken).write_bytes(b"step,loss\n\x00\xff,")
    with pytest.raises(UserError, match=f"{broken}.*Run 'viker unlearn' again|{broken}.*run 'viker unlearn' again"):
        inputs.render()
