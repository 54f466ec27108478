"""The bench of planted failures goes on where it was stopped: what was made is made again only if it would differ."""

from pathlib import Path

import pytest

from benchmarks.gate.once import code_hash, once


def test_what_was_made_is_not_made_again_for_the_same_inputs(tmp_path):
    made = []
    for inputs in ([7, {"lr": 0.1}], [7, {"lr": 0.1}], [7, {"lr": 0.2}], [7, {"lr": 0.1}]):
        once(tmp_path / "mark.json", inputs, lambda inputs=inputs: made.append(inputs))
    assert made == [[7, {"lr": 0.1}], [7, {"lr": 0.2}], [7, {"lr": 0.1}]]


def test_what_was_cut_off_is_made_again(tmp_path):
    mark, made = tmp_path / "mark.json", []
    once(mark, 1, lambda: made.append("first"))

    def cut_off():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        once(mark, 2, cut_off)
    assert not mark.exists()
    once(mark, 1, lambda: made.append("again"))  # what lay there may be half of the second
    assert made == ["first", "again"]


def test_other_code_has_another_hash(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.gate.once.ROOT", tmp_path)
    (tmp_path / "stage").mkdir()
    file = tmp_path / "stage/run.py"
    found = []
    for text in ("a = 1\n", "a = 2\n", "a = 1\n"):
        Path(file).write_text(text)
        code_hash.cache_clear()
        found.append((code_hash("stage"), code_hash("stage/run.py")))
    code_hash.cache_clear()
    assert found[0] == found[2]
    assert found[0][0] != found[1][0] and found[0][1] != found[1][1]
