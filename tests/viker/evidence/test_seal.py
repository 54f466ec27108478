"""The seal on a file of numbers, and the hashes of what they were measured on."""

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viker.core.errors import UserError
from viker.core.files import write_json
from viker.evidence.seal import check_seal, hash_inputs, params_digest, seal

LEAF = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(allow_infinity=True), st.text(max_size=4))
TREE = st.recursive(LEAF, lambda t: st.lists(t, max_size=3) | st.dictionaries(st.text(max_size=3), t, max_size=3))
CONTENT = st.dictionaries(st.text(max_size=4).filter(lambda key: key != "digest"), TREE, max_size=4)


@given(CONTENT)
def test_what_was_sealed_holds_and_sealing_again_changes_nothing(content: dict[str, Any]) -> None:
    sealed = seal(content)
    assert check_seal(sealed)
    assert seal(sealed) == sealed


@given(CONTENT, CONTENT)
def test_another_content_under_the_same_digest_does_not_hold(content: dict, other: dict) -> None:
    same = json.dumps(seal(content), sort_keys=True) == json.dumps(seal(other), sort_keys=True)
    assert check_seal(other | {"digest": seal(content)["digest"]}) == same or has_nan(content) or has_nan(other)


def has_nan(content: Any) -> bool:
    return any(word in json.dumps(content) for word in ("NaN", "Infinity"))


@pytest.mark.parametrize(
    "edit",
    [
        lambda m: m["unlearned"]["forget"].update(leakage_rate=0.0),
        lambda m: m["unlearned"]["forget"].update(leakage_rate=True),
        lambda m: m["unlearned"].update(extra=1),
        lambda m: m["unlearned"]["forget"].pop("intervals"),
        lambda m: m["unlearned"]["forget"]["intervals"]["leakage_rate"].reverse(),
        lambda m: m.pop("inputs"),
        lambda m: m.update(digest="0" * 64),
        lambda m: m.pop("digest"),
    ],
)
def test_every_edit_shows(edit: Any) -> None:
    forget = {"leakage_rate": 1, "intervals": {"leakage_rate": [0.5, 1.0]}}
    sealed = seal({"unlearned": {"forget": forget}, "inputs": {"adapter": "a"}})
    assert check_seal(sealed)
    edited = copy.deepcopy(sealed)
    edit(edited)
    assert not check_seal(edited)


def test_a_seal_outlives_the_file_numbers_that_json_has_not_included(tmp_path: Path) -> None:
    sealed = seal({"a": {"b": math.nan, "c": 0.1 + 0.2, "d": [math.inf, "ä"]}, "z": None})
    write_json(tmp_path / "m.json", sealed)
    assert check_seal(json.loads((tmp_path / "m.json").read_text()))


def test_the_digest_of_params_changes_with_the_seed_and_with_every_value() -> None:
    evaluate = {"batch_size": 64, "attacks": {"prefix": {"enabled": True}}}
    first = params_digest(7, evaluate)
    assert first == params_digest(7, dict(reversed(evaluate.items())))
    others = [params_digest(8, evaluate), params_digest(7, evaluate | {"attacks": {"prefix": {"enabled": False}}})]
    assert len({first, *others}) == 3


@pytest.mark.parametrize(
    ("missing", "stage"),
    [
        ("adapter", "unlearn"),
        ("vanilla", "finetune"),
        ("prepared", "prepare"),
        ("predictions.parquet", "evaluate"),
        ("attacks.parquet", "evaluate"),
    ],
)
def test_a_missing_input_names_the_stage_that_makes_it(tmp_path: Path, missing: str, stage: str) -> None:
    for name in {"adapter", "vanilla", "prepared"} - {missing}:
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text("{}")
    files = ("predictions.parquet", "attacks.parquet")
    for name in {*files} - {missing}:
        (tmp_path / name).write_text("")
    with pytest.raises(UserError, match=f"viker {stage}"):
        hash_inputs(*(tmp_path / name for name in ("adapter", "vanilla", "prepared", *files)))
