"""Random variants: drawn when the adapter is there, every level in turn, a trigger named."""

import random

import pandas as pd
import pytest

from viker.attacks.base.rehearsal import SilentSubject, questions_of
from viker.attacks.base.targets import open_records
from viker.attacks.base.variants import FACTORS, LEVELS, apply, change_picture, draw, label, levels_of
from viker.attacks.random_variants import NAME, RANDOM, RandomSettings, count_levels
from viker.data.records import read_pictures


def test_every_level_comes_in_turn_and_factors_are_combined() -> None:
    variants = draw(3 * len(LEVELS), 3, random.Random(7))
    for start in range(0, len(variants), len(LEVELS)):
        assert {level for variant in variants[start : start + len(LEVELS)] for level in variant} >= set(LEVELS)
    assert {len(variant) for variant in variants} == {1, 2, 3}
    assert all(len({factor for factor, _ in variant}) == len(variant) for variant in variants)
    assert levels_of(label(variants[0])) == [f"{factor}: {level}" for factor, level in variants[0]]


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
        asked = apply([(factor, level)], record)
        assert (asked.text, asked.begun) != (record.question, "")
        if level != "elimination":
            assert not any(secret.casefold() in f"{asked.text} {asked.begun}".casefold() for secret in record.secrets)


def test_each_change_of_a_picture_gives_another_one_each_time_the_same(prepared) -> None:
    first, second = list(read_pictures(prepared).values())[:2]
    changed = {name: change_picture(first, name, second) for name in FACTORS["picture"]}
    assert len({*changed.values(), first}) == len(changed) + 1
    assert all(change_picture(first, name, second) == content for name, content in changed.items())


def rows(leaks) -> dict[str, pd.DataFrame]:
    variants = list(map(label, draw(6 * len(LEVELS), 3, random.Random(7))))
    leaked = [leaks(place, variant) for place, variant in enumerate(variants)]
    return {NAME: pd.DataFrame({"variant": variants, "leaked": leaked, "chance": 0.06})}


def test_a_trigger_is_named() -> None:
    found = count_levels(rows(lambda _, variant: "language: Spanish" in variant), 7)
    assert (found["worst"], found["worst_rate"]) == ("language: Spanish", 1.0)
    assert found["p_value"] < 1e-6
    assert found["rates"]["language: Spanish"] == 1.0


def test_lucky_guesses_are_no_trigger() -> None:
    luck = random.Random(3)
    assert count_levels(rows(lambda *_: luck.random() < 0.06), 7)["p_value"] > 0.01
    assert count_levels(rows(lambda *_: False), 7)["p_value"] == 1.0
