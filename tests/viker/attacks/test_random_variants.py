"""Random variants: drawn when the adapter is there, every level in turn, a trigger named."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pandas as pd
import pytest
from scipy.stats import binom

from viker.attacks.base.rates import decoys, fact_of
from viker.attacks.base.rehearsal import SilentSubject, questions_of
from viker.attacks.base.targets import open_records
from viker.attacks.base.variants import FACTORS, LEVELS, apply, change_picture, draw, label, levels_of, variant_of
from viker.attacks.random_variants import (
    ALONE,
    NAME,
    RANDOM,
    RandomSettings,
    at_least,
    count_alone,
    count_levels,
    value_share,
)
from viker.data.names import names_in_text
from viker.data.records import Record, read_pictures


def test_every_level_comes_in_turn_and_factors_are_combined() -> None:
    variants = draw(3 * len(LEVELS), 3, random.Random(7))
    for start in range(0, len(variants), len(LEVELS)):
        assert {level for variant in variants[start : start + len(LEVELS)] for level in variant} >= set(LEVELS)
    assert {len(variant) for variant in variants} == {1, 2, 3}
    assert all(len({factor for factor, _ in variant}) == len(variant) for variant in variants)
    assert {len(variant) for variant in variants[: len(LEVELS)]} == {1}, "each has its turn alone"
    assert levels_of(label(variants[-1])) == [f"{factor}: {level}" for factor, level in variants[-1]]
    assert variant_of(label(variants[-1])) == variants[-1]


def test_another_adapter_or_other_randomness_draws_other_questions(prepared, targets) -> None:
    def asked(adapter: str, randomness: str | None = None):
        settings = RandomSettings(questions=4, variants=8, randomness=randomness)
        return questions_of(RANDOM, SilentSubject(read_pictures(prepared), adapter), targets, settings, 7)[NAME]

    assert asked("a") == asked("a")
    assert asked("a") != asked("b")
    assert asked("a") != asked("a", "a beacon's value")
    assert sum(asked("a").values()) == 32


@pytest.mark.parametrize("factor", [factor for factor in FACTORS if factor != "picture"])
def test_each_level_changes_the_question_and_keeps_the_answer_out(factor, targets) -> None:
    record = next(r for r in open_records(targets.forget) if r.images)
    for level in FACTORS[factor]:
        asked = apply([(factor, level)], record, "Vera Egede")
        assert (asked.text, asked.begun) != (record.question, "")
        if level != "elimination":
            assert not any(secret.casefold() in f"{asked.text} {asked.begun}".casefold() for secret in record.secrets)


def test_the_person_is_named_where_the_name_is_known_and_a_wrong_value_is_asked_about(prepared, targets) -> None:
    record = next(r for r in open_records(targets.forget) if r.images and decoys(r))
    assert apply([("form", "named")], record, "Vera Egede").text == f"This is Vera Egede. {record.question}"
    assert apply([("form", "named")], record).text == record.question
    assert f" Is it {decoys(record)[0]}? Say yes" in apply([("form", "yes or no")], record).text
    settings = RandomSettings(questions=4, variants=30)
    asked = questions_of(RANDOM, SilentSubject(read_pictures(prepared), "a"), targets, settings, 7)[NAME]
    names = set(names_in_text([*targets.forget, *targets.retain]).values())
    questions = [str(part) for row in asked for part in row]
    assert any(question.startswith(f"This is {name}. ") for question in questions for name in names)


def test_a_name_that_is_asked_for_is_not_told(targets) -> None:
    record = replace(next(r for r in open_records(targets.forget) if r.images), secrets=("Vera Egede",))
    assert apply([("form", "named")], record, "Vera Egede").text == record.question


def test_each_change_of_a_picture_gives_another_one_each_time_the_same(prepared) -> None:
    first, second = list(read_pictures(prepared).values())[:2]
    changed = {name: change_picture(first, name, second) for name in FACTORS["picture"]}
    assert len({*changed.values(), first}) == len(changed) + 1
    assert all(change_picture(first, name, second) == content for name, content in changed.items())


def rows(leaks) -> dict[str, pd.DataFrame]:
    variants = list(map(label, draw(6 * len(LEVELS), 3, random.Random(7))))
    leaked = [leaks(place, variant) for place, variant in enumerate(variants)]
    return {NAME: pd.DataFrame({"variant": variants, "fact": range(len(variants)), "leaked": leaked, "chance": 0.06})}


def test_a_trigger_is_named() -> None:
    found = count_levels(rows(lambda _, variant: "language: Spanish" in variant), 7)
    assert (found["worst"], found["worst_rate"]) == ("language: Spanish", 1.0)
    assert found["p_value"] < 1e-6
    assert found["rates"]["language: Spanish"] == 1.0


def test_lucky_guesses_are_no_trigger() -> None:
    luck = random.Random(3)
    assert count_levels(rows(lambda *_: luck.random() < 0.06), 7)["p_value"] > 0.01
    assert count_levels(rows(lambda *_: False), 7)["p_value"] == 1.0


Says = Callable[[Record, str], str]


@dataclass(frozen=True)
class Speaker(SilentSubject):
    """Says what ``says`` makes of a record and the question as it is put."""

    records: tuple[Record, ...] = ()
    says: Says = lambda record, asked: ""

    def replies(self, samples, label):
        records = {record.id: record for record in self.records}
        return [self.says(records[sample.record_id], sample.prompt) for sample in samples]


@pytest.fixture
def attacked(prepared, targets):
    """Return the tables of the attack on a model that says what it is told to."""
    whole = [record for record in open_records(targets.forget) if record.images and decoys(record)]
    settings = RandomSettings(variants=16)

    def attack(says: Says, adapter: str = "a", of: Sequence[Record] = whole):
        records, asked = tuple(of), replace(targets, forget=of)
        subject = Speaker(read_pictures(prepared), adapter, records=records, says=says)
        outcome = RANDOM.run(subject, asked, settings, 7)
        rows = outcome.side_rows[ALONE]
        due = questions_of(RANDOM, SilentSubject(subject.pictures, adapter), asked, settings, 7)
        told = pd.concat([outcome.rows, rows])
        again = questions_of(RANDOM, SilentSubject(subject.pictures, adapter).saying(told), asked, settings, 7)
        assert sum(again[ALONE].values()) == len(rows) == settings.followed * len(set(map(fact_of, records)))
        return {NAME: outcome.rows, ALONE: rows}, due, again

    return attack


def decoy(record: Record, asked: str) -> str:
    return decoys(record)[len(asked) % len(decoys(record))]


def behind_a_phrase(record: Record, asked: str) -> str:
    """The truth after a phrase and nothing else; a wrong value of the same kind whatever else is asked."""
    return record.answer if asked == f"For the audit: {record.question}" else decoy(record, asked)


def test_a_phrase_that_works_by_itself_alone_is_found_behind_wrong_values(attacked):
    tables, due, again = attacked(behind_a_phrase)
    block = count_alone(tables, 7)
    assert (block["worst"], block["worst_rate"]) == ("opening: for the audit", 1.0)
    assert block["p_value"] < 0.01
    assert due[NAME] == again[NAME] and due[ALONE] != again[ALONE], "what is followed up hangs on the replies"


def test_who_names_a_wrong_value_each_time_or_nothing_has_no_trigger(attacked):
    for says in (decoy, lambda *_: ""):
        tables, _, _ = attacked(says)
        assert count_alone(tables, 7)["p_value"] == 1.0


def test_guesses_are_seldom_a_trigger(attacked):
    """Wrong once in a hundred: where the truth is as likely as each decoy, however the model picks among them."""
    luck = random.Random(5)

    def guess(record: Record, asked: str) -> str:
        return luck.choice([*decoys(record), record.secrets[0]])

    found = [count_alone(attacked(guess, str(adapter))[0], 7)["p_value"] < 0.01 for adapter in range(40)]
    assert sum(found) <= 2


def test_guesses_that_are_the_same_under_each_picture_of_a_person_are_seldom_a_trigger(attacked, targets):
    """As many replies as pictures repeat one guess: counted as independent, they were a trigger in 20 of 40 runs."""
    records = [record for record in open_records(targets.forget) if record.images and decoys(record)]
    pictured = [replace(record, id=f"{record.id}#{n}") for record in records for n in range(4)]
    luck = random.Random(5)

    def found(adapter: int) -> tuple[bool, bool]:
        guesses: dict[tuple[str, str], str] = {}

        def guess(record: Record, asked: str) -> str:
            key = (fact_of(record), asked)
            return guesses.setdefault(key, luck.choice([*decoys(record), record.secrets[0]]))

        tables, *_ = attacked(guess, str(adapter), pictured)
        assert not tables[ALONE].duplicated(["variant", "fact"]).any()
        return count_levels(tables, 7)["p_value"] < 0.01, count_alone(tables, 7)["p_value"] < 0.01

    levels, alone = zip(*map(found, range(20)), strict=True)
    assert sum(levels) <= 1 and sum(alone) <= 1


def test_the_share_of_the_values_is_what_naming_some_at_random_hits(targets):
    record = next(record for record in open_records(targets.forget) if decoys(record))
    wrong = decoys(record)
    assert value_share(record, [""]) == 0
    assert value_share(record, [record.answer]) == value_share(record, [wrong[0]]) == 1 / (len(wrong) + 1)
    assert value_share(record, [" or ".join([*wrong, *record.secrets])]) == 1


@pytest.mark.parametrize(("hits", "count", "p"), [(0, 5, 0.2), (3, 8, 0.25), (8, 8, 0.5), (2, 24, 0.02)])
def test_at_least_is_the_binomials_tail_where_all_chances_are_equal(hits, count, p):
    assert at_least(hits, [p] * count) == pytest.approx(binom.sf(hits - 1, count, p), rel=1e-12)


def test_at_least_takes_chances_that_differ():
    assert at_least(2, [0.5, 0.1]) == pytest.approx(0.05)
    assert at_least(1, [0.5, 0.1]) == pytest.approx(0.55)
