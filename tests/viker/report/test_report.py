"""The report shows the evidence, nothing but the evidence, and needs nothing else to be read."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from tests.viker.report.html import Page, cells
from viker.core.errors import UserError
from viker.report.rule_words import rule_in_words

if TYPE_CHECKING:
    from tests.viker.report.work_tree import Inputs

INTERNAL = ("redact: true", "redact: false")


def test_a_script_in_a_reply_stays_text(inputs: Inputs) -> None:
    rows = inputs.predictions()
    hostile = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    for prediction in rows:
        prediction |= {"reply": hostile, "question": hostile, "answer": hostile, "person_id": '"><script>'}
    inputs.predict(rows)
    inputs.set(*INTERNAL)

    html = inputs.render()

    page = Page(html)
    assert page.tags("script") == []
    assert all("onerror" not in attributes for _, attributes in page.elements)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_markup_in_every_other_text_input_stays_text(inputs: Inputs) -> None:
    metrics = (f"metrics/{name}.json" for name in ("evaluate", "gate", "register"))
    for name in (*metrics, "data/prepared/manifest.json", "unlearning/summary.json"):
        path = inputs.folder / name
        path.write_text(re.sub(r'": "', '": "<script>x</script>', path.read_text()))
    inputs.set("model_name: viker-adapter", "model_name: '</pre><script>x</script>'")
    page = Page(inputs.render())
    assert page.tags("script") == []


def test_the_method_is_named_with_its_retain_term(inputs: Inputs) -> None:
    shown = inputs.render()
    assert "ViKeR + retain KL" in shown and "kl, weight 5" in shown
    inputs.set("term: kl #", "term: none #")
    shown = inputs.render()
    assert "ViKeR" in shown and "ViKeR + retain" not in shown


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


def test_numbers_stand_with_intervals_difference_and_count(inputs: Inputs) -> None:
    html = inputs.render()
    assert cells(html, "Leakage") == ["1.00 0.90–1.00", "0.00 0.00–0.10", "-1.00 -1.00 to -0.90"]
    assert cells(html, "Leakage", nth=1) == ["0.50", "0.00", "not measured"]
    assert cells(html, "Leakage", nth=2) == ["1.00 0.90–1.00", "0.17 0.07–0.27", "not measured"]
    assert '<th scope="row">Leakage<small>6 replies</small></th>' in html
    sizes = r"<caption><strong>(\w+)</strong>: [^;]+;\s+(\d+) questions, (\d) people;"
    captions = re.findall(sizes + r"\s+(?:lower|higher) is better unless stated</caption>", html)
    assert captions == [("forget", "6", "2"), ("test", "6", "2"), ("retain", "9", "3"), ("real", "3", "1")]


def test_what_was_not_measured_is_said_so(inputs: Inputs) -> None:
    html = inputs.render()
    assert cells(html, "Cloze", nth=1) == ["not measured"] * 3
    assert cells(html, "Classification") == ["not measured"] * 3
    assert cells(html, "Perplexity") == ["1.23", "not measured"]
    assert cells(html, "Min-K") == ["not measured"] * 2
    assert cells(html, "Forget quality, p-value") == ["not measured"]
    assert 'CLEAR\'s own protocol: <span class="absent">not measured</span>' in html


def test_clears_protocol_is_shown_where_it_was_measured(inputs: Inputs) -> None:
    path = inputs.folder / "metrics/evaluate.json"
    unlearned = json.loads(path.read_text())["unlearned"]
    inputs.edit("metrics/evaluate.json", unlearned=unlearned | {"clear": {"real_faces": {"truth_ratio": 0.4}}})
    assert cells(inputs.render(), "real faces: truth ratio") == ["not measured", "0.40"]


def test_metrics_of_an_older_version_are_shown_as_not_measured(inputs: Inputs) -> None:
    path = inputs.folder / "metrics/evaluate.json"
    metrics = json.loads(path.read_text())
    for model in ("vanilla", "unlearned"):
        del metrics[model]["attacks"], metrics[model]["fluency"]
    del metrics["vanilla"]["real"], metrics["differences"]
    path.write_text(json.dumps(metrics))
    html = inputs.render()
    assert cells(html, "Leakage", nth=6)[0] == "not measured"
    assert cells(html, "Gibberish", nth=-1) == ["not measured"] * 2
    assert '<p>Attacks: <span class="absent">not measured</span></p>' in html
    assert "None" not in Page(html).text()


def test_the_verdict_every_rule_its_bound_and_what_is_required_are_shown(inputs: Inputs) -> None:
    text = Page(inputs.render()).text()
    gate = json.loads((inputs.folder / "metrics/gate.json").read_text())
    count = len(gate["rules"]) + len(gate["require"])
    assert f"Failed: {count - 1} of {count} rules of the gate are met" in text
    assert (
        "✗ not met Leakage, their other pictures and wordings, upper 95 % bound: at most 0.15 measured 0.2667" in text
    )
    assert "upper(unlearned.test.leakage_rate) is 0.2667, not <= 0.15." in text
    for result in (*gate["rules"], *gate["require"]):
        assert text.count(rule_in_words(result)) == 1 and result["protects"] in text
        assert result["operator"] or result["reason"] in text


def test_people_are_counted_with_an_exact_bound(inputs: Inputs) -> None:
    html = inputs.render()
    assert cells(html, "Asked directly") == ["2 of 2", "0 of 2", "at most 78\u00a0%"]  # 1 - 0.05 ** (1 / 2)
    assert cells(html, "Other pictures and wordings") == ["2 of 2", "1 of 2", "at most 97\u00a0%"]
    assert cells(html, "Paraphrase") == ["2 of 2", "1 of 2", "at most 97\u00a0%"]
    said = "gives away 0 of 2 people it was asked to forget (before unlearning: 2 of 2), so at most 78 % of such people"
    assert said in Page(html).text()


def test_what_remains_a_risk_is_named_with_its_measures(inputs: Inputs) -> None:
    path = inputs.folder / "metrics/evaluate.json"
    metrics = json.loads(path.read_text())
    membership = {"min_k_plus_plus_auc": 0.72}
    inputs.edit("metrics/evaluate.json", unlearned=metrics["unlearned"] | {"membership": membership})
    html = inputs.render()
    told = re.findall(r"<dt>([^<]*)</dt><dd><strong>([^<]*)</strong>", html.split('class="risks"')[1])
    assert told == [
        ("Membership", "not measured → 0.72"),
        ("False facts", "not measured → not measured"),
        ("Names", "not measured → not measured"),
    ]


def test_a_pass_that_its_rules_do_not_bear_out_is_not_shown_as_passed(inputs: Inputs) -> None:
    inputs.edit("metrics/gate.json", verdict="pass")
    assert "Failed: " in inputs.render()


def test_the_request_is_told_by_pseudonym_with_reason_and_deadline(inputs: Inputs) -> None:
    html = inputs.render()
    assert re.search(
        r"<bdi>R-[a-z2-7]{8}</bdi></th><td>the consent.*withdrawn.*</td><td>2026-11-24</td><td>2026-12-24", html
    )
    assert len(set(re.findall(r'<code class="person"><bdi>(P-[a-z2-7]{8})</bdi>', html))) == 2


def test_a_request_whose_file_is_gone_is_named_all_the_same(inputs: Inputs) -> None:
    (inputs.folder / "requests/anna.yaml").unlink()
    assert re.search(r"<bdi>R-[a-z2-7]{8}</bdi></th><td>not recorded</td>", inputs.render())


def test_attacks_have_a_row_each_and_say_why_one_was_not_made(inputs: Inputs) -> None:
    html = inputs.render()
    shown = cells(html, "Paraphrase", nth=1)
    assert [cell.split()[0] for cell in shown] == ["0.25", "0.05", "0.50", "0.10", "-0.05", "20"]
    assert shown[0] == "0.25 0.06–0.83"  # exact, of two people
    assert cells(html, "Linear probe<small>No value that two others have.</small>") == ["not measured"] * 5 + ["0"]
    assert "Strongest attack, above guessing</dt><dd><strong>0.05</strong>" in html


def test_what_still_leaks_is_shown_first_and_marked(inputs: Inputs) -> None:
    inputs.set(*INTERNAL)
    html = inputs.render()
    first_test = next(a for a in re.findall(r"<article>.*?</article>", html, re.DOTALL) if ">test<" in a)
    unlearned = first_test.split("<dt>Unlearned</dt>")[1]
    assert re.search(r"<mark>\w+</mark>", unlearned)
    assert re.search(r'class="badge bad">.*✗</span> leaked</span>', unlearned)


def test_a_redacted_answer_tells_whether_the_value_is_the_one_asked_for(inputs: Inputs) -> None:
    html = inputs.render()
    first = next(a for a in re.findall(r"<article>.*?</article>", html, re.DOTALL) if ">forget<" in a)
    vanilla, unlearned = first.split("<dt>Vanilla</dt>")[1].split("<dt>Unlearned</dt>")
    assert '<span class="hidden own">private value</span>' in vanilla
    assert '<span class="hidden other">withheld</span>' in unlearned and "own" not in unlearned
    assert first.count("withheld") == 2  # the value, and the picture


def test_what_is_kept_of_others_counts_as_good(inputs: Inputs) -> None:
    html = inputs.render()
    retain = next(a for a in re.findall(r"<article>.*?</article>", html, re.DOTALL) if ">retain<" in a)
    assert len(re.findall(r'class="badge good">.*✓</span> known</span>', retain)) == 2


def test_pictures_are_inside_and_described(inputs: Inputs) -> None:
    inputs.set(*INTERNAL)
    images = Page(inputs.render()).tags("img")
    assert len(images) == 12
    assert all((i["src"] or "").startswith("data:image/png;base64,") and i["alt"] for i in images)


def test_the_heat_map_marks_the_key_tokens_and_only_them(inputs: Inputs) -> None:
    inputs.set(*INTERNAL)
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
    titles = dict(re.findall(r"<svg[^>]*><title id=\"([a-z]+)-title\">(.*?)</title>", html))
    assert list(titles) == ["frontier", "attacks", "entropy", "weight", "loss", "ga", "kl", "retain"]
    assert html.count("<!DOCTYPE") == 1
    assert "an entropy above 0.5 nats" in titles["entropy"]
    assert "144 steps" in titles["loss"]
    assert titles["frontier"] == "vanilla: 1.00 of forget, 1.00 of retain; unlearned: 0.00 of forget, 1.00 of retain"
    assert re.fullmatch(r"the mean pressure is 0\.9\d on key tokens and 0\.0\d on normal tokens", titles["weight"])


def test_a_mark_without_one_threshold_shows_none(inputs: Inputs) -> None:
    inputs.set("key_token_mark: fixed", "key_token_mark: otsu")
    html = inputs.render()
    assert "by the mark otsu" in Page(html).text() and ">entropies of 84 answer tokens</title>" in html


def test_private_values_that_cannot_be_forgotten_are_counted(inputs: Inputs) -> None:
    assert "12 of 96" in Page(inputs.render()).text()


def test_earlier_runs_are_on_the_frontier(inputs: Inputs) -> None:
    alone = inputs.render()
    inputs.write(earlier=(inputs.folder / "metrics/evaluate.json",))
    beside = (inputs.folder / "report/report.html").read_text()
    assert "earlier runs" not in alone and "earlier runs" in beside


def test_records_without_the_teachers_probability_have_no_plot_of_it(inputs: Inputs) -> None:
    path = inputs.folder / "unlearning/key_tokens.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["probability"]), path)
    assert '<figure><p class="absent">not measured</p><figcaption>How strongly' in inputs.render()


def test_a_loss_that_was_not_part_of_the_run_is_said_so(inputs: Inputs) -> None:
    path = inputs.folder / "unlearning/loss.csv"
    path.write_text("step,epoch,loss,ga,kl,retain,lr,grad_norm\n1,1,0.5,-0.5,,0.1,0.001,1\n")
    html = inputs.render()
    assert "not part of this run's loss</p><figcaption><strong>kl</strong>" in html
    assert '<figure><svg role="img" aria-labelledby="retain-title"' in html


def test_a_fast_path_that_was_refused_is_told(inputs: Inputs) -> None:
    assert "Evaluated without" not in inputs.render()
    fallback = {"fallbacks": [{"what": "shared prefix", "reason": "the prompt <looks> ahead"}]}
    inputs.edit("metrics/evaluate.json", engine=fallback)
    assert "Evaluated without the shared prefix: the prompt &lt;looks&gt; ahead." in inputs.render()


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
