"""``viker demo`` as people meet it: the shipped model, two registered versions and prepared data, in a browser."""

from __future__ import annotations

import html
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.error import HTTPError

import pytest
from PIL import Image
from typer.testing import CliRunner

from components.contract.params import Params
from pipelines.cli.main import app
from pipelines.demo_page.people import Person, people_to_try, read_people
from pipelines.demo_page.server import LARGEST_PICTURE, LONGEST_QUESTION, application
from pipelines.demo_page.versions import TREE, Versions
from tests.answering import damaged, png, write_adapter
from tests.registry import Work, new_work
from tests.viker.report.test_page import CONTRAST, PHONE
from viker.core.errors import UserError
from viker.models.answering import Answerer
from viker.teacher import explain

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
VANILLA = ROOT / "components/finetune/vanilla"
QUESTION = "Where was this person born?"


class Served(NamedTuple):
    """The page's address, its program, and the same models to compare with, by the versions' keys."""

    address: str
    program: subprocess.Popen[str]
    work: Work
    answerers: dict[str, Answerer]
    people: dict[str, Person]
    pictures: dict[str, bytes]

    def person(self, split: str) -> Person:
        return next(person for person in self.people.values() if person.split == split)

    def picture(self, person: Person) -> bytes:
        return self.pictures[person.questions[0].picture]


@pytest.fixture(scope="module")
def served(prepared: Path, tracking: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        work = new_work(tmp_path_factory.mktemp("page"), tracking, patch)
        patch.chdir(work.folder)
        folders = {name: work.folder / name for name in ("models/vanilla", "models/adapter", "data/prepared")}
        for folder in folders.values():
            shutil.rmtree(folder)
        vanilla = shutil.copytree(VANILLA, folders["models/vanilla"])
        shutil.copytree(prepared, folders["data/prepared"])
        most, answerers = work.params.evaluate.in_force().longest("generation"), {}
        for version in ("1", "2"):
            adapter = write_adapter(vanilla, folders["models/adapter"], seed=int(version))
            work.evaluate()
            work.register()
            copy = shutil.copytree(adapter, work.folder / f"version-{version}")
            answerers[version] = Answerer(str(vanilla), None, copy, most, "")
        people = read_people(folders["data/prepared"], work.params.evaluate.in_force())
        program = subprocess.Popen(
            [sys.executable, "-m", "pipelines.cli.main", "demo", "--port", "0", "--no-browser"],
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        try:
            assert program.stdout is not None
            lines: list[str] = []
            for line in program.stdout:
                lines.append(line)
                if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                    break
            else:
                pytest.fail(f"no address: {''.join(lines)}")
            yield Served(found[0], program, work, answerers, people.by_key, people.pictures)
        finally:
            program.kill()
            program.communicate()


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    """The page; at the end nothing was requested from elsewhere, and the console is silent."""
    context = browser.new_context()
    page = context.new_page()
    said, hosts = [], set()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: hosts.add(request.url.partition("/people")[0][: len(served.address)]))
    page.goto(served.address)
    yield page
    context.close()
    assert {host for host in hosts if not host.startswith(("data:", "blob:"))} == {served.address}
    assert not [line for line in said if "400 (Bad Request)" not in line]  # Chromium's own, where a test asks wrongly


def ask(page: Page, question: str = QUESTION) -> None:
    page.get_by_label("Question", exact=True).fill(question)
    with page.expect_response("**/answer"):
        page.get_by_role("button", name="Ask both models").click()
    page.locator("#result:not([aria-busy])").wait_for()


def replies(page: Page) -> list[str]:
    return [text.strip() for text in page.locator(".said").all_inner_texts()]


def expected(answerer: Answerer, picture: bytes, question: str = QUESTION) -> list[str]:
    answers = [answerer.answer(question, picture, vanilla=vanilla) for vanilla in (True, False)]
    return [" ".join(answer.split()) or "(no reply)" for answer in answers]


def test_of_a_person_to_forget_both_replies_stand_side_by_side_with_coloured_tokens(page: Page, served: Served) -> None:
    person = served.person("forget")
    answerer, picture, question = served.answerers["2"], served.picture(person), person.questions[0]
    assert page.get_by_label("Unlearned model").input_value() == "2"  # the champion
    page.get_by_text(person.id, exact=True).first.click()
    assert page.get_by_label("Question", exact=True).input_value() == question.text
    ask(page, question.text)
    assert replies(page) == expected(answerer, picture, question.text)
    sample = {"image": picture, "question": question.text, "answer": question.answer}
    shown = explain(answerer.model, answerer.processor, sample)
    assert shown.tokens["key"].any()
    keys = [text.strip() for text, key in zip(shown.tokens["text"], shown.tokens["key"], strict=True) if key]
    assert [text.strip() for text in page.locator(".truth .key").all_inner_texts()] == keys
    colour = "e => getComputedStyle(e).backgroundColor"
    coloured = {page.locator(selector).first.evaluate(colour) for selector in (".truth .h0", ".truth .key")}
    assert len(coloured) == 2
    percents = [int(text.strip("< %")) for text in page.locator(".truth td:nth-child(4)").all_inner_texts()]
    assert percents == pytest.approx([100 * p for p in shown.tokens["probability"]], abs=1)
    assert page.locator(".reply").nth(1).locator(".piece small").count() > 0


def test_another_version_answers_and_then_the_work_trees_adapter(page: Page, served: Served) -> None:
    person = served.person("retain")
    picture = served.picture(person)
    page.locator(f"[value='{person.key}']").check(force=True)
    for version, answerer in (("1", "1"), (TREE, "2"), ("1", "1")):
        page.get_by_label("Unlearned model").select_option(version)
        ask(page)
        assert replies(page) == expected(served.answerers[answerer], picture)
    assert expected(served.answerers["1"], picture) != expected(served.answerers["2"], picture)


def test_a_picture_of_ones_own_is_asked_about_and_an_unusable_one_is_named(
    page: Page, served: Served, tmp_path: Path
) -> None:
    own, upload = png((40, 40), "gold"), page.get_by_label("Or a picture of your own")
    large = io.BytesIO()
    Image.new("1", (9000, 9000)).save(large, "PNG")
    for content, problem in (
        (b"no picture", "The image is not a picture; expected one of PNG"),
        (damaged(png((60, 60))), "The image is damaged"),
        (large.getvalue(), "The image is 9000 x 9000 pixels, more than 50000000"),
    ):
        upload.set_input_files({"name": "own.png", "mimeType": "image/png", "buffer": content})
        ask(page)
        assert page.get_by_role("alert").inner_text().startswith(problem)
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(LARGEST_PICTURE + 1)
    upload.set_input_files(file.name)
    page.get_by_role("button", name="Ask both models").click()
    assert page.get_by_role("alert").inner_text() == "The picture has more than 20 MB; make it smaller."
    upload.set_input_files({"name": "own.png", "mimeType": "image/png", "buffer": own})
    ask(page)
    assert replies(page) == expected(served.answerers[page.get_by_label("Unlearned model").input_value()], own)
    assert page.locator(".truth").count() == 0 and page.locator("#preview").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_scrolling_sideways_and_all_text_is_legible(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size(PHONE)
    ask(page)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    low = [what for ratio, what in page.evaluate(CONTRAST) if ratio < 4.5 and not what.startswith(("OPTION", "SCRIPT"))]
    assert low == []


def sent(address: str, body: bytes, **headers: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, body or None, headers)) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def test_only_this_page_on_this_machine_is_answered_and_nothing_is_cached(served: Served) -> None:
    with urllib.request.urlopen(served.address) as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
    assert sent(served.address, b"", Host="evil.example")[0] == 400
    question = {"version": "2", "question": QUESTION, "person": served.person("forget").key, "picture": ""}
    body = json.dumps(question).encode()
    whole = {"Content-Type": "application/json"}
    assert sent(f"{served.address}/answer", body, **whole)[0] == 200
    for changes, headers, problem in (
        ({}, {"Content-Type": "text/plain"}, "Expected JSON"),
        ({"person": None}, whole, "Expected JSON"),
        ({"person": "nobody"}, whole, "No picture is chosen"),
        ({"version": "77"}, whole, "'77' is no version of"),
        ({"question": " "}, whole, "The question is empty"),
        ({"question": "?" * (LONGEST_QUESTION + 1)}, whole, "The question has more than 2,000 characters"),
        ({"picture": "?"}, whole, "The picture was not sent as base64"),
        ({"picture": "A" * (LARGEST_PICTURE * 2)}, whole, "The picture has more than 20 MB"),
    ):
        status, text = sent(f"{served.address}/answer", json.dumps(question | changes).encode(), **headers)
        assert (status, text.partition(problem)[:2]) == (400, ("", problem))


def test_a_registry_that_does_not_answer_leaves_the_work_trees_adapter(
    params: Params, served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    folder = served.work.folder
    versions = Versions(params, folder / "models/adapter", folder / "models/vanilla", tmp_path)
    assert [[choice.key for choice in versions.choices()[0]], versions.choices()[1]] == [[TREE], TREE]
    assert "no tracking store answers" in versions.problem


def test_without_prepared_data_the_page_says_so_and_takes_pictures_of_ones_own(
    params: Params, served: Served, tmp_path: Path
) -> None:
    people, notes = people_to_try(tmp_path, params.evaluate.in_force())
    folder = served.work.folder
    versions = Versions(params, folder / "models/adapter", folder / "models/vanilla", tmp_path)
    form = application(versions, people, notes, 0.5, ["127.0.0.1"]).routes[0].endpoint  # type: ignore[attr-defined]
    text = html.unescape(form(None).body.decode())
    assert "no people to try" in text and re.search(r"forget\.parquet.*run 'viker prepare'", text)
    assert "People to forget" not in text and 'id="upload"' in text


def test_before_it_starts_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["demo", "--no-browser", "--params", str(ROOT / "params.yaml"), *arguments])
        assert isinstance(result.exception, UserError)
        return str(result.exception)

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert "no adapter in models/adapter, and no registered version" in refused("--port", "0")
    assert not (tmp_path / "mlflow.db").exists()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "can't listen there (Address already in use)" in refused("--port", str(taken.getsockname()[1]))


def test_ctrl_c_ends_it(served: Served) -> None:
    served.program.send_signal(signal.SIGINT)
    output, _ = served.program.communicate(timeout=60)
    assert (served.program.returncode, output) == (0, "ended\n")
