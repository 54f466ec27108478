"""Nothing private is in a redacted report: not as it is, nor misspelt, cut short, or in another case."""

from __future__ import annotations

import base64
import html
import re
import unicodedata
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viker.data.records import SPLITS, Record, read_records
from viker.data.rephrased import BY_NAME, OWN_REPLY
from viker.report.answers import pieces
from viker.report.redact import PRIVATE, SHARED_BY, WITHHELD, Pseudonyms, Redactor
from viker.report.tokens import heat_map

if TYPE_CHECKING:
    from pathlib import Path

    from tests.viker.report.work_tree import Inputs

WORDS = st.text(st.characters(categories=["Ll", "Lu", "Lo"]), min_size=1, max_size=8)


def record(person: int, answer: str, secrets: tuple[str, ...], question: str = "Where was this person born?") -> Record:
    return Record(f"{person}/qa/0", str(person), "qa", "image_text", question, answer, secrets=secrets)


def people(values: list[str], answer: str = "This person was born in {}.") -> list[Record]:
    return [record(i, answer.format(value), (value,)) for i, value in enumerate(values)]


CITIES = ["Oslo", "Málaga", "New York", "Quito", "Riga", "Cairo"]


def plain(text: str) -> str:
    """What a reader who looks for a value would compare: no case, accents, invisible characters or markup."""
    text = unicodedata.normalize("NFKD", html.unescape(text)).casefold()
    return "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Mn"))


@pytest.mark.parametrize(
    ("reply", "kinds"),
    [
        ("This person was born in Oslo.", [PRIVATE]),
        ("This person was born in OSLO!", [PRIVATE]),
        ("This person was born in O\u200bslo.", [PRIVATE]),
        ("This person was born in Cairo.", [WITHHELD]),
        ("This person was born in Malaga.", [WITHHELD]),
        ("This person was born in Ma\u0301laga.", [WITHHELD]),
        ("This person was born in new-york.", [WITHHELD]),
        ("This person was born in York.", [WITHHELD]),
        ("This person was born in Osol.", [WITHHELD]),
        ("Anna Lind was born in Oslo.", [WITHHELD, PRIVATE]),
        ("I do not know.", []),
    ],
)
def test_what_may_tell_something_is_hidden(reply: str, kinds: list[str]) -> None:
    cut = pieces(reply, Redactor(people(CITIES), redact=True), ["Oslo"])
    assert [piece.kind for piece in cut if piece.kind] == kinds
    assert "".join(piece.text for piece in cut) == reply


@given(st.lists(WORDS, min_size=SHARED_BY, max_size=12, unique_by=plain), st.data())
def test_no_value_of_anybody_is_left_open(values: list[str], data: st.DataObject) -> None:
    redactor = Redactor(people(values), redact=True)
    said = " ".join(data.draw(st.lists(st.sampled_from([*values, "person", "born", "in"]), max_size=8)))
    left = plain(" ".join(piece.text for piece in pieces(said, redactor, values[:1]) if not piece.kind)).split()
    assert not set(left) & {plain(value) for value in values}


def test_a_word_that_few_people_share_is_hidden_and_one_that_enough_share_is_not() -> None:
    def hidden(sharing: int) -> bool:
        records = [record(i, f"They {'juggle' if i < sharing else 'sit'} there.", (), f"What {i}?") for i in range(9)]
        return bool(Redactor(records, redact=True).spans("juggle", ()))

    assert hidden(SHARED_BY - 1)
    assert not hidden(SHARED_BY)


def test_a_value_inside_a_text_without_spaces_is_hidden() -> None:
    records = people(["東京"] * SHARED_BY, "彼は{}で生まれた")
    assert Redactor(records, redact=True).spans("彼は東京で生まれた", ["東京"])


def test_a_question_that_two_people_are_asked_is_shown_but_for_values() -> None:
    asked = "Which landmark stands beside their house in Oslo?"
    redactor = Redactor([record(i, "x", ("Oslo",), asked) for i in range(2)], redact=True)
    assert [asked[a:b] for a, b, _ in redactor.spans(asked, ())] == ["Oslo"]


@pytest.mark.parametrize("record_id", ["1/qa/0", f"1/qa/0{BY_NAME}", f"1/qa/0{OWN_REPLY}"])
def test_tokens_of_a_value_become_one_that_does_not_tell_how_many_they_were(record_id) -> None:
    said = [("This", 0.0), (" person", 0.1), (" was", 0.0), (" born", 0.0), (" in", 0.0)]
    value = [(" Má", 2.5), ("lag", 1.0), ("a", 0.2), (".", 0.0), ("</s>", 0.0)]
    rows = [
        {"record_id": record_id, "question": "Where was this person born?", "position": i, "token": t}
        | {"entropy": e, "key": e > 0.5}
        for i, (t, e) in enumerate([*said, *value])
    ]
    redactor = Redactor(people(CITIES), redact=True)
    (answer,), _ = heat_map(rows, 1, {"1/qa/0": ["Málaga"]}, redactor, Pseudonyms(b"k", redact=True), redact=True)
    assert [(t.hidden or t.text, t.key) for t in answer.tokens[4:]] == [
        (" in", False),
        (PRIVATE, True),
        (".", False),
        ("⟨end⟩", False),
    ]
    assert answer.tokens[5].entropy == 2.5


def test_pseudonyms_are_stable_differ_and_need_the_data() -> None:
    names = Pseudonyms(b"manifest", redact=True)
    assert names.person("001") == Pseudonyms(b"manifest", redact=True).person("001")
    assert re.fullmatch(r"P-[a-z2-7]{8}", names.person("001"))
    assert len({names.person(str(i)) for i in range(2000)}) == 2000
    assert names.person("001") != Pseudonyms(b"other", redact=True).person("001")
    assert names.person("x")[2:] != names.request("x")[2:]
    assert Pseudonyms(b"manifest", redact=False).person("001") == "001"


def everything(inputs: Inputs) -> str:
    """All text of the report and the bundle, with what is packed into data URIs unpacked."""
    page = (inputs.folder / "report/report.html").read_text()
    packed = [base64.b64decode(code) for code in re.findall(r"base64,([A-Za-z0-9+/=]+)", page)]
    with zipfile.ZipFile(inputs.bundle) as archive:
        files = [archive.read(name) for name in archive.namelist()]
    return "\n".join(part.decode("utf-8", "replace") for part in (page.encode(), *packed, *files))


def private(folder: Path) -> set[str]:
    records = [record for split in SPLITS for record in read_records(folder, split)]
    return {plain(secret) for record in records for secret in record.secrets}


def leak(inputs: Inputs) -> None:
    """Replies, questions and answers as bad as they may come."""
    rows = inputs.predictions()
    hard = ["OSLO", "Ma\u0301laga", "Malaga", "co\u200brvane", "Blue-Fern", "pollen", "soy", "Anna Lind", "dust"]
    for row in rows:
        row["reply"] = f"{row['reply']} {', '.join(hard)} <b title='Quito'>Oslo</b>"
        row["question"] = f"Is Anna Lind from Oslo? {row['question']}"
    inputs.predict(rows)


def test_no_private_value_no_id_and_no_picture_is_in_a_redacted_report(inputs: Inputs) -> None:
    leak(inputs)
    inputs.set("forget_ids: []", "forget_ids: ['001', '002']")
    inputs.render()
    found = plain(everything(inputs))
    values = private(inputs.folder / "data/prepared") | {"anna", "lind"}
    assert len(values) > 9
    assert [value for value in values if re.search(rf"(?<!\w){re.escape(value)}(?!\w)", found)] == []
    assert [value for value in values if len(value) > 3 and value in found] == []
    assert not re.search(r"(?<![\w.])00[1-5](?![\w.])|001/|anna-lind", found)
    assert "data:image" not in found


def test_without_redaction_values_pictures_and_ids_are_there(inputs: Inputs) -> None:
    inputs.set("redact: true", "redact: false")
    inputs.render()
    found = plain(everything(inputs))
    assert "malaga" in found and "person <bdi>001</bdi>" in found and "data:image/png" in found and "anna-lind" in found
    assert "Internal: this file quotes the private answers" in (inputs.folder / "report/report.html").read_text()
