"""The certificate: one page in four languages, which says what was measured and holds nothing private."""

import hashlib
import re
import subprocess
import sys
from datetime import date
from typing import get_args

import pytest

from pipelines.cli.certificate import load_weasyprint, write_pdf
from viker.data.requests import CarriedOut, ForgetRequest
from viker.report.certificate import Language, certificate, upper_bound

PERSON, SALT = "Ana Quastel", "5a17"
DIGEST = hashlib.sha256((SALT + PERSON).encode()).hexdigest()
REQUEST = ForgetRequest(
    id="2026-11-02-1",
    date=date(2026, 11, 2),
    people=[PERSON],
    reason="erasure",
    deadline=date(2026, 12, 2),
    carried_out=CarriedOut(date=date(2026, 11, 24), version=7),
)
METRICS = {
    "vanilla": {"forget": {"leakage_rate": 0.925}},
    "unlearned": {
        "forget": {"leakage_rate": 0.0, "counts": {"leakage_rate": 40}},
        "attacks": {"prefix": {"above_chance": 0.031}, "sampling": {"above_chance": 0.012}},
    },
}
RECEIPT = {
    "at": "2026-11-25T10:00:00+00:00",
    "requests": [{"id": REQUEST.id, "people": [DIGEST], "guard_set": "0" * 64}],
    "done": {"a": "removed", "b": "removed", "c": "rewritten"},
    "searched": {"files": 250},
    "digest": "d" * 64,
}
TAGS, GATE = {"adapter_sha256": "a" * 64}, {"verdict": "pass", "digest": "e" * 64}


def page(language: Language = "en", **changes) -> str:
    values = {"receipt": RECEIPT, "salt": SALT, "gate": GATE, "metrics": METRICS} | changes
    return certificate(language, REQUEST, TAGS, **values)


@pytest.mark.parametrize("language", get_args(Language))
def test_it_says_what_was_done_and_holds_no_private_value(language):
    html = page(language)
    for text in (REQUEST.id, "2026", SALT, DIGEST, "a" * 64, "e" * 64, "d" * 64, "250", "92.5 %", "7.2 %", "3.1 %"):
        assert text in html or text.replace(".", ",") in html, text
    assert PERSON not in html
    assert not re.search(r"[{}]\w+[{}]", html.split("</style>")[1])
    assert not re.search(r"""(?:src|href)=|url\(|@import|<script""", html)


def test_the_languages_have_the_same_parts():
    counts = {language: (page(language).count("<p>"), page(language).count("<tr>")) for language in get_args(Language)}
    assert len(set(counts.values())) == 1


def test_without_a_purge_it_says_so_and_gives_no_salt():
    html = page(receipt=None, salt=None)
    assert "has not been removed yet" in html and SALT not in html


def test_a_failed_gate_is_not_hidden():
    assert "did not pass all of its checks" in page(gate=GATE | {"verdict": "fail"})


def test_no_leak_of_n_questions_leaves_the_exact_bound():
    assert upper_bound(METRICS) == pytest.approx(1 - 0.05 ** (1 / 40))


def test_a_leak_leaves_the_upper_end_of_its_interval():
    block = {"leakage_rate": 0.1, "counts": {"leakage_rate": 40}, "intervals": {"leakage_rate": [0.02, 0.25]}}
    assert upper_bound({"unlearned": {"forget": block}}) == 0.25


def test_it_is_one_page_of_pdf(tmp_path):
    for language in get_args(Language):
        assert len(load_weasyprint()(string=page(language)).render().pages) == 1
    (tmp_path / "page.html").write_text(page())
    assert write_pdf(tmp_path / "page.html", tmp_path / "page.pdf") == str(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


def test_a_cut_off_picture_is_refused_after_a_pdf_was_made():
    program = (
        "from PIL import ImageFile; from pipelines.cli.certificate import load_weasyprint;"
        "load_weasyprint(); print(ImageFile.LOAD_TRUNCATED_IMAGES)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False\n"


def test_chromium_prints_it_where_weasyprint_can_not_be_loaded(tmp_path, monkeypatch, browser):
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    (tmp_path / "page.html").write_text(page())
    said = write_pdf(tmp_path / "page.html", tmp_path / "page.pdf")
    assert "printed by Chromium: WeasyPrint can't be loaded" in said
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
