"""What a whole run writes of people lies where the map says, and nowhere else; a purge leaves nothing of it."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from components.contract.params import load_params
from components.privacy.places import places
from components.privacy.search import Finder, Traces, files_below
from components.privacy.traces import gather
from pipelines.cli.promote import rollback
from pipelines.cli.purge import purge
from tests.components.privacy.canaries import CANARY, FORGOTTEN, word
from tests.test_demo import ENVIRONMENT
from viker.core.errors import UserError
from viker.core.pseudonyms import is_pseudonym, pseudonym
from viker.data.forget_list import read_forget_list
from viker.data.guard import guard_file, read_guard
from viker.data.guard import guard_key as cipher
from viker.data.records import read_records
from viker.data.requests import read_requests
from viker.storage.checksums import md5_of

pytestmark = pytest.mark.slow
FIRST, SECOND = FORGOTTEN
KILLED = """
import os, signal
from pathlib import Path
import components.privacy.purge as purge
from pipelines.cli.main import app
treat, left = purge.treat, [NUMBER]
def killing(*arguments):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return treat(*arguments)
purge.treat = killing
app(["purge", "first-request", "--yes"])
"""


def written(folder: Path) -> list[Path]:
    """Return the files that git does not know: what the run wrote."""
    command = ["git", "-C", str(folder), "ls-files", "-z"]
    known = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0"))
    inside = (path for path in files_below([folder]) if ".git" not in path.parts)
    return [path for path in inside if str(path.relative_to(folder)) not in known]


def canary_finder() -> Finder:
    """Find any value of anybody, and the IDs and records of those to forget."""
    finder = Finder(Traces(frozenset(FORGOTTEN.values())))
    finder._texts = re.compile(CANARY)
    return finder


def test_a_canary_is_only_where_the_map_says(finished, monkeypatch):
    monkeypatch.chdir(finished)
    finder = canary_finder()
    told = [place.path for place in places(load_params(Path("params.yaml"))) if place.personal.whose != "nobody"]
    personal = [finished / path for path in told]
    cache = finished / ".dvc/cache"
    allowed = set(files_below(path for path in personal if path != cache))
    copies = {md5_of(path) for path in allowed}
    found = [path for path in written(finished) if finder.in_file(path)]

    assert {"forget.parquet", "predictions.parquet", "key_tokens.parquet"} <= {path.name for path in found}
    for path in found:
        copied = cache in path.parents and path.parent.name + path.name.removesuffix(".dir") in copies
        assert path in allowed or copied, f"{path.relative_to(finished)} holds something of people"


def test_no_pseudonym_can_be_taken_for_a_canary():
    name = f"qz9{word(0)}fa"
    assert re.fullmatch(CANARY, name)
    assert not is_pseudonym(f"P-{name:a<16}") and is_pseudonym(f"P-{name.replace('9', ''):a<16}")


def test_pictures_of_people_are_nowhere_else_either(finished):
    records = read_records(finished / "data/prepared", "forget")
    finder = Finder(Traces(pictures=frozenset(image for record in records for image in record.images)))
    found = {path.relative_to(finished).parts[0] for path in written(finished) if finder.in_file(path)}
    assert found == {"data", "evaluation", "work", ".dvc"}  # in work/cache by their hashes, as in evaluation


def test_records_are_readable_by_their_owner_alone(finished):
    for place in places(load_params(finished / "params.yaml"))[:-1]:
        path = finished / place.path
        if place.personal.readable and path.exists() and place.made_by in ("prepare", "sample", "unlearn", "evaluate"):
            for part in (path, *path.rglob("*")):
                assert part.stat().st_mode & 0o077 == 0, part
    assert (finished / ".dvc/cache").stat().st_mode & 0o077 == 0
    assert (finished / "report/report.html").stat().st_mode & 0o044 == 0o044


def of_person(folder: Path, person: str) -> pd.DataFrame:
    return pd.read_parquet(folder / "data/prepared/forget.parquet").query("person_id == @person").reset_index(drop=True)


def left_of(folder: Path, traces: Traces) -> list[str]:
    """Return where something of a person is left, besides the source, the model, and what is encrypted."""
    skipped = ("models/vanilla", "privacy/guard")
    kept = {md5_of(path) for path in files_below([folder / "models"])}
    finder = Finder(traces)
    return [
        name
        for path in written(folder)
        if not (name := str(path.relative_to(folder))).startswith(skipped)
        and path.parent.name + path.name not in kept
        and finder.in_file(path)
    ]


def traces_of(folder: Path, person: str) -> Traces:
    traces = gather(files_below([folder / "data/prepared"]), [person]).traces
    assert sum(bool(re.search(CANARY, text.casefold())) for text in traces.texts) >= 10
    return traces


def test_a_purge_shows_first_what_it_would_do(project, capsys):
    before = {path: path.read_bytes() for path in written(project)}
    purge([FIRST])
    assert "data/prepared/forget.parquet" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in written(project)} == before


def test_of_two_requests_one_is_purged_and_the_other_is_untouched(project, capsys):
    first, second = (traces_of(project, person) for person in FORGOTTEN.values())
    others = of_person(project, FORGOTTEN[SECOND])
    assert left_of(project, first)

    purge([FIRST], yes=True)

    assert left_of(project, first) == []
    pd.testing.assert_frame_equal(of_person(project, FORGOTTEN[SECOND]), others)
    assert left_of(project, second)
    assert of_person(project, FORGOTTEN[FIRST]).empty
    requests = {request.id: request for request in read_requests(Path("requests")).values()}
    assert requests[FIRST].people == [pseudonym(FORGOTTEN[FIRST])] and requests[FIRST].purged
    assert requests[SECOND].people == [FORGOTTEN[SECOND]] and not requests[SECOND].purged
    receipt = json.loads(next(Path("privacy/receipts").glob("*.json")).read_text())
    assert receipt["searched"]["found"] == 0 < receipt["searched"]["files"]
    records, pictures = read_guard(guard_file(FIRST), cipher())
    assert {record.person_id for record in records} == {FORGOTTEN[FIRST]} and pictures

    state = {path: path.read_bytes() for path in written(project)}
    capsys.readouterr()
    purge([FIRST], yes=True)
    assert "already" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in written(project)} == state


def test_a_purged_person_stays_out_of_the_data_and_counts_for_a_rollback(project):
    purge([FIRST], yes=True)
    settings = load_params(Path("params.yaml"))
    forgotten = read_forget_list(settings.prepare, Path("data/sources"))
    assert pseudonym(FORGOTTEN[FIRST]) in forgotten.gone
    from components.prepare.run import run as prepare

    prepare(settings.prepare, settings.seed, Path("again/prepared"), Path("again/validation"))
    splits = pd.concat(pd.read_parquet(path) for path in Path("again/prepared").glob("[frt]*.parquet"))
    assert FORGOTTEN[FIRST] not in set(splits["person_id"])
    with pytest.raises(UserError, match="no version before the champion"):
        rollback()


@pytest.mark.parametrize("number", [1, 6, 20])
def test_a_killed_purge_goes_on_where_it_was(project, number):
    first = traces_of(project, FORGOTTEN[FIRST])
    program = KILLED.replace("NUMBER", str(number))
    environment = ENVIRONMENT | {"VIKER_GUARD_KEY": os.environ["VIKER_GUARD_KEY"]}
    killed = subprocess.run([sys.executable, "-c", program], cwd=project, env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert left_of(project, first)

    purge([FIRST], yes=True)

    assert left_of(project, first) == []
    receipt = json.loads(next(Path("privacy/receipts").glob("*.json")).read_text())
    assert len(receipt["done"]) >= 20
    assert not any(Path("privacy/purge").iterdir())
