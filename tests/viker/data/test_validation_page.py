"""The page on the validation: what holds and what fails, without a value of the data, and from this machine alone."""

import json
import re

import pytest

from components.prepare.run import run as prepare
from tests.conftest import prepare_params
from viker.core.errors import UserError
from viker.data.validation.page import page


@pytest.fixture(scope="module")
def validated(small_description, tmp_path_factory):
    folder = tmp_path_factory.mktemp("validated")
    prepare(prepare_params(source=str(small_description)), 1, folder / "prepared", folder / "validation")
    return folder / "validation"


def test_the_page_says_that_all_holds(validated):
    text = (validated / "index.html").read_text()
    count = len(json.loads((validated / "summary.json").read_text())["expectations"])
    assert f"All {count} expectations hold" in text and text.count('class="good">holds') == count
    assert not (validated / "data_docs").exists()


def test_it_asks_no_host(validated, browser):
    asked = []
    tab = browser.new_page()
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto((validated / "index.html").as_uri())
    assert tab.inner_text("h1") == "Validation of the data"
    assert [url for url in asked if not url.startswith("file:")] == []


def test_a_failure_says_which_rule_and_how_many_rows_and_quotes_nothing():
    outcome = {"split": "retain", "name": "<rule>(repeated)", "column": "repeated", "success": False}
    text = page([outcome | {"observed": None, "unexpected": 3}], {"retain": 40}, data_docs=True)
    assert "1 of 1 expectations failed" in text and "3 rows" in text and "an earlier row says the same" in text
    assert "&lt;rule&gt;" in text and "<rule>" not in text and 'href="data_docs/index.html"' in text


def test_great_expectations_own_pages_are_an_option(small_description, tmp_path):
    params = prepare_params(source=str(small_description), data_docs=True)
    prepare(params, 1, tmp_path / "prepared", tmp_path / "validation")
    assert "Data Docs" in (tmp_path / "validation/index.html").read_text()
    assert (tmp_path / "validation/data_docs/index.html").is_file()


def test_no_value_of_a_broken_row_is_written(small_description, tmp_path):
    text = small_description.read_text()
    broken = tmp_path / "broken.yaml"
    broken.write_text(re.sub(r"values: \[peanuts", f"values: [{'Quastel' * 700}", text))
    with pytest.raises(UserError, match="answer_length"):
        prepare(prepare_params(source=str(broken)), 1, tmp_path / "prepared", tmp_path / "validation")
    for path in (tmp_path / "validation").iterdir():
        assert "Quastel" not in path.read_text()
