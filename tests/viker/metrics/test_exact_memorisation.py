"""Exact memorisation, of the whole answer and of private values."""

from dataclasses import replace

import pytest

from tests.viker.metrics.replies import table
from viker.data.records import OPEN_TASKS, read_records
from viker.data.samples import sample_of
from viker.metrics.base.aggregate import measure
from viker.metrics.base.reply import Reply
from viker.metrics.exact_memorisation import private_tokens
from viker.models.scores import Scores

PLACES = [(-1, 4), (4, 8), (8, 11), (11, 14), (14, 15), (15, 20)]  # "Born| in| Ri|ga.|." and the end token


def test_tokens_of_a_private_value_are_those_with_a_character_of_it():
    assert private_tokens("Born in Riga.", ["riga"], PLACES) == (False, False, True, True, False, False)
    assert private_tokens("Born in Rigamarole.", ["Riga"], PLACES) == (False,) * 6
    assert private_tokens("Riga, Riga.", ["Riga"], [(0, 4), (4, 5), (5, 10), (10, 11)]) == (True, False, True, False)


def test_a_reply_that_hides_a_value_leaves_its_tokens_the_likeliest():
    """Of five tokens before the end token three are the likeliest; of the two of the private value one is."""
    hit = [True, True, True, False, False, True]
    private = (False, False, True, True, False, False)
    scores = Scores([-1.0] * 6, hit, [-1.0] * 6, [1.0] * 6)
    reply = Reply(text="I can't say.", answer="Born in Riga.", secrets=("Riga",), likelihood=scores, private=private)
    forget = measure(table([reply]), seed=7)["forget"]
    assert forget["leakage_rate"] == 0
    assert forget["exact_memorisation"] == pytest.approx(3 / 5)
    assert forget["exact_memorisation_private"] == pytest.approx(1 / 2)
    nothing = measure(table([replace(reply, private=(False,) * 6)]), seed=7)["forget"]
    assert nothing["exact_memorisation_private"] is None


def test_the_tokens_of_an_answer_cover_it(small_model, prepared):
    _, encoder = small_model
    checked = 0
    for record in [record for record in read_records(prepared, "forget") if record.task in OPEN_TASKS]:
        sample = sample_of(record)
        ids, count = encoder.encode(sample)
        places = encoder.answer_places(sample)
        assert len(places) == count
        covered = {place for start, end in places[:-1] for place in range(start, end)}
        assert covered >= {i for i, letter in enumerate(record.answer) if not letter.isspace()}
        for secret in record.secrets:
            of_value = private_tokens(record.answer, [secret], places)
            tokens = [token for token, private in zip(ids[-count:], of_value, strict=True) if private]
            assert secret.casefold() in encoder.tokenizer.decode(tokens).casefold()
            checked += 1
    assert checked
