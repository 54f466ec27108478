"""From replies to numbers: leaks, chance, intervals by person; who and what is attacked."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from viker.attacks.base.outcome import Attempt, empty_block, reply_row
from viker.attacks.base.rates import RATES, decoys, rates
from viker.attacks.base.targets import NotApplicable, Targets, invented, spread, words_before_secret
from viker.data.records import Record
from viker.data.samples import Sample

FACT = Record(
    "p1/generation/0",
    "p1",
    "generation",
    "image_text",
    "Where was she born?",
    "She was born in New York, in spring.",
    secrets=("New York",),
    perturbed_answers=(
        "She was born in Rome, in spring.",
        "She was born in Old Bath, in spring.",
        "A quite different sentence that says where he came from in many words.",
    ),
    images=("picture",),
)
ATTEMPT = Attempt(FACT, Sample(FACT.id, FACT.question, FACT.answer, "picture"), "kind")


def rows(*told):
    columns = ("person_id", "record_id", "leaked", "chance", "variant")
    return pd.DataFrame([dict(zip(columns, one, strict=True)) for one in told])


def test_a_row_leaks_if_any_reply_does_and_quotes_it():
    row = reply_row(ATTEMPT, ["I can't say.", "In new york!", "In Rome."])
    assert row["leaked"] is True
    assert row["reply"] == "In new york!"
    assert row["chance"] == 0.5  # one of two wrong values


def test_a_row_without_a_leak_quotes_the_first_reply():
    row = reply_row(ATTEMPT, ["York.", "Bath."])
    assert (row["leaked"], row["reply"], row["chance"]) == (False, "York.", 0.0)


def test_decoys_are_the_wrong_values_and_no_sentences():
    assert decoys(FACT) == ("rome", "old bath")


def test_decoys_of_a_choice_are_its_wrong_options():
    choice = Record("c", "p", "classification", "text", "?", "Oslo", options=("Lima", "Oslo", "Oslo", "Riga"))
    assert decoys(choice) == ("lima", "riga")


def test_an_invented_fact_has_a_wrong_value_for_its_secret():
    lesson = invented(FACT)
    assert lesson is not None
    assert (lesson.answer, lesson.secrets) == ("She was born in Rome, in spring.", ("rome",))
    assert invented(Record("a", "p", "generation", "text", "?", "Oslo.", secrets=("Oslo",))) is None


def test_the_beginning_ends_before_the_first_secret():
    assert words_before_secret(FACT) == "She was born in"
    assert words_before_secret(Record("a", "p", "generation", "text", "?", "Oslo it is.", secrets=("oslo",))) == ""
    assert words_before_secret(Record("a", "p", "generation", "text", "?", "It is there.", secrets=("Oslo",))) == ""


def test_rates_by_hand():
    block = rates(
        rows(
            ("a", "a/0", True, 0.0, "x"),
            ("a", "a/0", False, 0.5, "y"),
            ("a", "a/1", False, 0.0, "x"),
            ("b", "b/0", False, float("nan"), "y"),
        ),
        seed=3,
    )
    assert block["leakage_rate"] == 0.25
    assert block["questions_leaked_rate"] == pytest.approx(1 / 3)
    assert block["people_leaked_rate"] == 0.5
    assert block["chance_rate"] == pytest.approx(1 / 6)
    assert block["above_chance"] == pytest.approx(1 / 3 - 1 / 6)
    assert block["variants"] == {"x": 0.5, "y": 0.0}
    assert (block["samples"], block["people"]) == (4, 2)


def test_intervals_are_those_of_people_and_not_of_rows():
    """One of two people leaks always: the exact bounds are those of one in two, however many rows there are."""
    told = [("a", f"a/{i}", True, 0.0, "") for i in range(50)] + [("b", f"b/{i}", False, 0.0, "") for i in range(50)]
    assert rates(rows(*told), seed=1)["intervals"]["leakage_rate"] == pytest.approx([1 - 0.95**0.5, 0.95**0.5])


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from("abcde"), st.booleans(), st.floats(0, 1)), min_size=1, max_size=30))
def test_rates_lie_in_their_intervals_range_and_the_same_twice(told):
    table = rows(*((p, f"{p}/{i}", leaked, chance, "") for i, (p, leaked, chance) in enumerate(told)))
    block = rates(table, seed=1)
    assert block == rates(table, seed=1)
    for name in RATES:
        low, high = block["intervals"][name]
        assert low <= high
        assert low >= -1 and high <= 1
    assert block["leakage_rate"] <= block["people_leaked_rate"] or block["people"] > 1


def test_without_wrong_values_there_is_no_chance_level():
    block = rates(rows(("a", "a/0", True, float("nan"), "")), seed=1)
    assert block["chance_rate"] is None and block["above_chance"] is None
    assert block["intervals"]["above_chance"] is None


def test_an_attack_that_cannot_be_made_has_nulls_and_a_reason():
    block = empty_block("no names")
    assert [block[name] for name in RATES] == [None] * len(RATES)
    assert (block["samples"], block["people"], block["reason"]) == (0, 0, "no names")


def test_a_limit_spreads_over_the_people():
    records = [Record(f"{p}/{i}", p, "generation", "text", "?", "!") for p in "abc" for i in range(4)]
    chosen = spread(records, 6, seed=5)
    assert sorted(record.person_id for record in chosen) == ["a", "a", "b", "b", "c", "c"]
    assert chosen == spread(records, 6, seed=5) != spread(records, 6, seed=6)
    assert [records.index(record) for record in chosen] == sorted(records.index(record) for record in chosen)
    assert spread(records, 100, seed=5) == records


def test_without_a_question_there_is_nothing_to_attack():
    blind = Record("a", "p", "generation", "text", "?", "Oslo.", secrets=("Oslo",))
    with pytest.raises(NotApplicable, match="open question about a forget person with a picture"):
        Targets([blind], [], [], []).questions(5, 1)
