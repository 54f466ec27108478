"""What counts as a relapse; and guard sets, which nobody reads without the key."""

from dataclasses import replace

import pytest
from cryptography.fernet import Fernet

from pipelines.cli.recheck import measure, recheck
from viker.core.errors import UserError
from viker.data.guard import guard_file, guard_key, read_guard, write_guard
from viker.data.records import Record

PICTURE = b"a picture"
SEEN = Record(
    "1/generation/0",
    "1",
    "generation",
    "image_text",
    "Where was she born?",
    "In Oslo.",
    secrets=("Oslo",),
    images=("h",),
)
TOLD = replace(SEEN, id="1/generation/1", modality="text", question="Was Ana Roy born in Oslo or Riga?", images=())
CHOSEN = replace(SEEN, id="1/classification/0", task="classification")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VIKER_PRIVACY_DIR", str(tmp_path))
    monkeypatch.setenv("VIKER_GUARD_KEY", Fernet.generate_key().decode())


def test_a_model_that_knows_the_fact_again_leaks_it():
    asked = []

    def knows(question: str, picture: bytes | None) -> str:
        asked.append((question, picture))
        return "She was born in OSLO."

    measured = measure(knows, [SEEN, TOLD, CHOSEN], {"h": PICTURE})
    assert asked == [(SEEN.question, PICTURE)]  # the other question says Oslo itself
    assert measured == {"questions": 1, "leaked": 1, "leakage_rate": 1}


def test_a_model_that_has_forgotten_it_does_not():
    assert measure(lambda question, picture: "In Riga.", [SEEN], {})["leaked"] == 0
    assert measure(lambda question, picture: "Oslo", [], {})["leakage_rate"] == 0


def test_a_guard_set_comes_back_as_it_was_and_holds_nothing_in_the_clear():
    write_guard("r1", [TOLD, SEEN], {"h": PICTURE}, guard_key())
    assert read_guard(guard_file("r1"), guard_key()) == ([SEEN, TOLD], {"h": PICTURE})
    assert b"Oslo" not in guard_file("r1").read_bytes()
    assert guard_file("r1").stat().st_mode & 0o777 == 0o600


def test_another_key_and_no_key_are_said(monkeypatch):
    write_guard("r1", [SEEN], {}, guard_key())
    with pytest.raises(UserError, match="not the key that it was encrypted under"):
        read_guard(guard_file("r1"), Fernet(Fernet.generate_key()))
    monkeypatch.setenv("VIKER_GUARD_KEY", "short")
    with pytest.raises(UserError, match="is no key of Fernet"):
        recheck()
    monkeypatch.delenv("VIKER_GUARD_KEY")
    with pytest.raises(UserError, match="VIKER_GUARD_KEY is not set"):
        recheck()
