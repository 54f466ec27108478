"""Protocols: the shipped ones, one of the user's own, and what is wrong with a file."""

import shutil
from pathlib import Path

import pytest

from components.contract.params import load_params
from viker.core.errors import UserError
from viker.data.protocols import FOLDER, load_protocol, shipped_protocols
from viker.metrics.accuracy import closest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return Path(shutil.copy(FOLDER / "viker.yaml", tmp_path / "own.yaml"))


def change(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")


def test_the_hash_is_that_of_the_values_not_of_the_layout(own: Path) -> None:
    digests = {name: load_protocol(name).sha256 for name in shipped_protocols()}
    assert len(set(digests.values())) == len(digests) == 4
    change(own, "about: This", "# a comment\nabout: That")
    assert load_protocol(str(own)).sha256 == digests["viker"]
    assert load_protocol("viker").shortened(4).sha256 != digests["viker"]
    assert load_protocol("viker").shortened(None) is load_protocol("viker")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('option: "{letter}: {text}"', 'option: "{letter}: {option}"', r"classification.option.*expected '\{text\}'"),
        ('option: "- {text}"', 'option: "-"', r"classification_from_list.option.*expected '\{text\}'"),
        ("people: 0", "people: -1", r"cloze.examples.people.*greater than or equal to 0"),
        ("recognition:", "recognise:", r"missing key 'recognition'.*unknown key 'recognise'"),
    ],
)
def test_a_wrong_file_is_refused_with_its_key(own: Path, before: str, after: str, message: str) -> None:
    change(own, before, after)
    with pytest.raises(UserError, match=rf"own\.yaml: .*{message}"):
        load_protocol(str(own))


def test_a_name_that_is_none_is_refused_when_the_parameters_are_read(tmp_path: Path) -> None:
    params = Path(shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml"))
    change(params, "protocol: viker", "protocol: mlmu")
    with pytest.raises(UserError, match=r"evaluate.protocol.*no such protocol. did you mean 'mllmu'\?"):
        load_params(params)


def test_a_file_that_is_missing_is_named() -> None:
    with pytest.raises(UserError, match=r"nowhere\.yaml: no such file. 'evaluate.protocol' names it"):
        load_protocol("nowhere.yaml")


@pytest.mark.parametrize(
    ("reply", "option"), [("In Oslo", "Oslo"), ("the town of Bergen", "Bergen"), ("Malmö, I think", "Malmö")]
)
def test_a_reply_counts_as_the_option_that_it_is_most_like(reply: str, option: str) -> None:
    assert closest(reply, ("Oslo", "Bergen", "Turku", "Malmö")) == option
