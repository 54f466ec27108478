"""The parts of the report that compute: tokens as text, private values in replies, which answers are shown."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from viker.methods.base.method import methods
from viker.models.token_texts import texts
from viker.report.answers import choose, pieces, visible
from viker.report.formatting import Cell, figure, interval, measured, number
from viker.report.plot_training import parts
from viker.report.redact import Pseudonyms, Redactor
from viker.report.run_details import promotion, registration
from viker.report.tables import fallbacks, split_rows, usual_direction, verdict
from viker.report.tokens import heat_map

PRINTABLE = st.text(st.characters(exclude_categories=["Cc", "Cs"]))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_byte_level_tokens_joined_are_the_text(text: str) -> None:
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokens = list(level.pre_tokenize_str(text)[0][0])  # a token a byte: the hardest way to cut
    assert "".join(texts(tokens, of_bytes=True)).rstrip("\ufffd") == text.rstrip("\ufffd")


def test_markers_of_other_tokenizers_become_spaces() -> None:
    assert texts(["▁born", "▁in", "▁Oslo"], of_bytes=False) == [" born", " in", " Oslo"]
    assert texts([" born", " in"], of_bytes=False) == [" born", " in"]


OPEN = Redactor([], redact=False)


@given(PRINTABLE, st.lists(PRINTABLE, max_size=3))
def test_pieces_joined_are_the_reply(reply: str, secrets: list[str]) -> None:
    assert "".join(piece.text for piece in pieces(reply, OPEN, secrets)) == reply


@pytest.mark.parametrize(
    ("reply", "secrets", "marked"),
    [
        ("born in OSLO.", ["Oslo"], ["OSLO"]),
        ("works for Blue-Fern!", ["Blue Fern"], ["Blue-Fern"]),
        ("Oslofjord", ["Oslo"], []),
        ("New York", ["York", "New York"], ["New York"]),
        ("a+b", ["(a+"], ["a"]),
        ("nothing", ["", "?"], []),
    ],
)
def test_private_values_are_marked_as_whole_words(reply: str, secrets: list[str], marked: list[str]) -> None:
    assert [piece.text for piece in pieces(reply, OPEN, secrets) if piece.kind] == marked


def test_characters_that_html_forbids_become_visible() -> None:
    assert visible("a\x00b\x1bc\nd\te") == "a\ufffdb\ufffdc\nd\te"


def prediction(split: str, person: str, question: int, model: str, leaked: bool) -> dict:
    return {
        "model": model,
        "split": split,
        "record_id": f"{person}/qa/{question}",
        "person_id": person,
        "task": "qa",
        "picture": "p",
        "leaked": leaked,
    }


def ask(split: str, people: int, questions: int, leaking: int = 0) -> list[dict]:
    return [
        prediction(split, f"{split}{p}", q, model, model == "vanilla" or p * questions + q < leaking)
        for p in range(people)
        for q in range(questions)
        for model in ("vanilla", "unlearned")
    ]


@given(st.integers(1, 20), st.integers(0, 4), st.integers(0, 4), st.integers(0, 4))
def test_as_many_answers_as_asked_for_and_none_twice(count: int, forget: int, test: int, retain: int) -> None:
    rows = ask("forget", forget, 3) + ask("test", test, 3) + ask("retain", retain, 3)
    chosen = choose(rows, count)
    assert len(chosen) == min(count, 3 * (forget + test + retain))
    assert len({(c[0]["split"], c[0]["record_id"]) for c in chosen}) == len(chosen)
    order = [("forget", "test", "retain").index(c[0]["split"]) for c in chosen]
    assert order == sorted(order)


def test_forget_takes_half_and_people_take_turns() -> None:
    chosen = choose(ask("forget", 4, 6) + ask("test", 4, 6) + ask("retain", 9, 6), 12)
    assert Counter(c[0]["split"] for c in chosen) == {"forget": 6, "test": 3, "retain": 3}
    forget = [c[0] for c in chosen if c[0]["split"] == "forget"]
    assert len({row["person_id"] for row in forget[:4]}) == 4
    assert len({row["record_id"].split("/")[2] for row in forget[:4]}) == 4


def test_every_leak_is_shown_before_an_answer_without_one() -> None:
    chosen = choose(ask("forget", 4, 6, leaking=3), 5)
    leaks = [next(r["leaked"] for r in rows if r["model"] == "unlearned") for rows in chosen]
    assert leaks == [True, True, True, False, False]


def test_classification_and_cloze_replies_are_not_shown() -> None:
    rows = [row | {"task": task} for task in ("classification", "cloze") for row in ask("forget", 2, 2)]
    assert choose(rows, 5) == []


def test_the_top_of_the_scale_is_the_highest_entropy() -> None:
    rows = [
        {"record_id": "1/qa/0", "question": "?", "position": i, "token": t, "entropy": e, "key": e > 1}
        for i, (t, e) in enumerate((("Ġin", 0.0), ("ĠOslo", 4.0), ("</s>", 1.9)))
    ]
    answers, top = heat_map(rows, 5, {"1/qa/0": ["Oslo"]}, OPEN, Pseudonyms(b"", redact=False), redact=False)
    assert top == 4.0
    assert [(t.text, t.level) for t in answers[0].tokens] == [(" in", 0), (" Oslo", 7), ("⟨end⟩", 3)]


def test_a_row_says_which_values_are_good_on_its_split() -> None:
    usual = {split: usual_direction("split", split) for split in ("forget", "test", "retain", "real")}
    lower, higher = "lower is better", "higher is better"
    assert usual == {"forget": lower, "test": lower, "retain": higher, "real": higher}
    forget, retain = ({row.heading: row.note for row in split_rows({}, split)} for split in ("forget", "retain"))
    assert forget["Leakage"] == retain["Leakage"] == ""
    assert (forget["Truth ratio"], retain["Truth ratio"]) == (higher, "neither way is better")
    assert (forget["Refusals"], retain["Refusals"]) == ("neither way is better", lower)
    assert (usual_direction("membership"), usual_direction("fluency")) == ("near 0.5 is better", lower)


def test_what_was_computed_without_a_fast_path_is_taken_from_the_record() -> None:
    entry = {"what": "shared prefix", "reason": "positions follow the picture"}
    assert fallbacks({"engine": {"fallbacks": [entry]}}) == [("shared prefix", "positions follow the picture")]
    assert fallbacks({}) == fallbacks({"engine": {"fallbacks": []}}) == fallbacks({"engine": None}) == []


def test_numbers_keep_what_decides() -> None:
    assert (number(None), number(0.005), number(123456.0)) == ("–", "0.01", "1.23e+05")
    assert (figure(0.10004), figure(0.1), figure(None), figure(float("nan"))) == ("0.1", "0.1", "–", "–")
    assert figure(0.1004) == "0.1004"


def test_no_rules_is_no_pass() -> None:
    assert verdict({"verdict": "pass", "rules": []})[0] is False


def test_a_requirement_that_is_not_met_is_no_pass() -> None:
    met = {"rule": "a.b <= 1", "passed": True}
    assert verdict({"verdict": "pass", "rules": [met], "require": [met]})[0] is True
    assert verdict({"verdict": "pass", "rules": [met], "require": [met | {"passed": False}]})[0] is False


def test_an_interval_lies_beside_its_metric() -> None:
    intervals = {"m": [0.4, 0.61], "n": [None, 0.2], "o": [-0.2, 0.1]}
    metrics = {"a": {"b": {"m": 0.5, "n": 0.1, "o": -0.1, "intervals": intervals}}}
    assert interval(metrics, "a.b.m") == (0.4, 0.61)
    assert interval(metrics, "a.b.n") is None
    assert measured(metrics, "a.b.m") == Cell("0.50", "0.40–0.61")
    assert measured(metrics, "a.b.n") == Cell("0.10")
    assert measured(metrics, "a.b.o") == Cell("-0.10", "-0.20 to 0.10")
    assert measured(metrics, "a.c.m") == Cell("not measured")


@pytest.mark.parametrize(
    ("method", "said"), [("viker", "the teacher, who is not shown"), ("kl", "the vanilla model on people to retain")]
)
def test_kl_is_said_to_be_what_it_is_under_the_method(method: str, said: str) -> None:
    columns = ["step", "epoch", "loss", "ga", "kl", "lr", "grad_norm"]
    assert said in parts(columns, methods()[method].parts)["kl"]


def test_every_part_of_the_loss_is_drawn_and_nothing_beside_it() -> None:
    columns = ["step", "epoch", "loss", "ga", "kl", "retain", "ratio", "refusal", "lr", "grad_norm"]
    assert list(parts(columns, methods()["idk"].parts)) == ["loss", "ga", "kl", "retain", "ratio", "refusal"]


@pytest.mark.parametrize(
    ("registered", "passed", "said"),
    [
        (None, True, "Not registered"),
        ({"aliases": ["candidate"]}, True, "Not promoted"),
        ({"aliases": [], "refused": ["the gate failed"]}, True, "Not promoted: the gate failed"),
        ({"aliases": ["candidate", "champion"]}, True, "not forced"),
        ({"aliases": ["champion"], "promotion": {"kind": "rollback", "at": "2026"}}, True, "Brought back.*not forced"),
        ({"aliases": ["champion"]}, False, "was forced"),
        ({"aliases": ["champion"], "promotion": {"reason": "court", "overrode": ["x"]}}, True, "overrode x.*court"),
    ],
)
def test_a_forced_promotion_is_told(registered: dict | None, passed: bool, said: str) -> None:
    assert re.search(said, promotion(registered, passed))


def test_of_what_was_overridden_a_redacted_report_tells_how_many_reasons_there_were() -> None:
    forced = {"aliases": ["champion"], "promotion": {"reason": "ask Anna", "overrode": ["brings back 017", "y"]}}
    kept = registration(forced | {"refused": ["person 017"]}, redact=True)
    assert "017" not in str(kept) and "Anna" not in str(kept)
    assert "forced. It overrode 2 reasons" in promotion(kept, True)
