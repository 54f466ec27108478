"""The table of key tokens: which words count as names, and what it says of them."""

import pandas as pd

from benchmarks.smollm.__main__ import table
from benchmarks.smollm.study import with_words

TOKENS = ["Ch", "uk", "wu", "Ġwas", "Ġborn", "Ġin", "Ġ", "1", "9", "6", "5", ".", "<|im_end|>"]
KEY = [True, True, False, False, False, False, False, True, True, True, True, False, False]


def rows() -> pd.DataFrame:
    weights = [0.9 if key else 0.1 for key in KEY]
    same = {"record_id": "a", "question": "When?", "entropy": [2.0 if key else 0.1 for key in KEY]}
    return with_words(pd.DataFrame(same | {"token": TOKENS, "key": KEY, "gradient_weight": weights}))


def test_tokens_come_together_to_words():
    assert rows()["word"].tolist() == ["Chukwu"] * 3 + ["was", "born", "in"] + ["1965."] * 6 + [""]
    assert "".join(rows()["text"]) == "Chukwu was born in 1965."


def test_names_and_numbers_are_told_from_words_that_merely_begin_a_sentence():
    shares = {"vanilla": {"forget, key": 0.9}, "unlearned": {"forget, key": 0.1}}
    written = table(rows(), shares, {"was", "born"})
    assert "| names, places, dates, titles | 9 | 0.67 | 1.37 | 0.63 |" in written
    assert "| other words | 4 | 0.00 | 0.10 | 0.10 |" in written
    assert "`Ch` 0.90" in written and "*Chukwu was born in 1965.*" in written
    assert "| unlearned | 0.10 |" in written
    named = "| names, places, dates, titles | 6 |"
    assert named in table(rows(), shares, {"was", "born", "chukwu"})
