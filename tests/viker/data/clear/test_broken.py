"""Every way in which CLEAR's rows, shards and configurations are broken, and what is said."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.prepare.run import run
from tests.conftest import prepare_params
from tests.viker.data.clear_data import FORGET, edit, image
from tests.viker.data.damage import PNG, put
from viker.core.errors import UserError
from viker.data.formats import clear
from viker.data.formats.base.clear_people import BLOCK
from viker.data.formats.base.intake import Intake

JOSE, ANA = FORGET


def nothing(row):
    row.update(image=None, caption=None, question=None, answer=None)


DAMAGE = [
    ("forget10+tofu", put("image", "bytes", PNG[:70]), "image", "cut off; fetch it again"),
    ("forget10+tofu", put("image", "bytes", b"<html>"), "image", "not a picture; expected one of"),
    ("forget10+tofu", put("image", {"bytes": None, "path": "../../etc/passwd"}), "image", "no picture bytes"),
    ("forget10+tofu", put("caption", " "), "caption", "an empty caption; complete or remove it"),
    ("forget10+tofu", put("caption", "A <image> of her"), "caption", "spells '<image>'"),
    ("forget10+tofu", put("caption", "Somebody smiles."), "caption", "its caption names nobody who has rows of TOFU"),
    ("forget10+tofu", put("caption", f"{JOSE} and {ANA} smile."), "caption", f"could be about '{ANA}' and '{JOSE}'"),
    ("forget10+tofu", nothing, "image, caption, question, answer", "a row of nothing"),
    ("forget10_perturbed", put("name", "Unn Strange"), "name", "in no picture of the forget and retain"),
    ("forget10_perturbed", put("perturbed_captions", ["", "x"]), "perturbed_captions", "an empty text"),
    ("real_faces", put("answer", None), "answer", "an empty answer; complete or remove it"),
    ("real_faces", put("question", "Wh\0o"), "question", "a NUL character; remove it"),
    ("real_faces", put("options", None), "options", "no wrong answer; expected a list"),
]


@pytest.mark.parametrize(("configuration", "damage", "column", "remedy"), DAMAGE)
def test_a_broken_row_is_named_with_its_column_and_the_remedy(source, load, configuration, damage, column, remedy):
    edit(source / configuration, lambda rows: damage(rows[0]))
    with pytest.raises(UserError) as error:
        load(source)
    for part in (f"{configuration}/train-00000-of-", "row 0", f"column {column}:", remedy):
        assert part in str(error.value)


def test_a_broken_tofu_row_is_named_and_set_aside_where_asked(source, tmp_path):
    edit(source / "forget10+tofu", lambda rows: rows[-1].update(answer=""))
    with pytest.raises(
        UserError, match=r"forget10\+tofu/train-00000-of-00001\.parquet, row 77, column answer: an empty"
    ):
        clear.load(source, 0.1, [], [], Intake(tmp_path, "fail", 0.0))
    intake = Intake(tmp_path, "exclude", 0.1)
    loaded = clear.load(source, 0.1, [], [], intake)
    assert [row["person_id"] for row in intake.excluded] == [ANA]
    assert sum(r.task == "generation" for r in loaded.splits["forget"]) == 2 * BLOCK - 1


def test_a_person_in_both_configurations_or_with_two_spellings_is_named(source, load):
    edit(source / "retain90", lambda rows: rows[0].update(name=JOSE))
    with pytest.raises(UserError, match=rf"retain90\+tofu.*row 0: ID '{JOSE}' is also at .*forget10\+tofu.*row 0"):
        load(source)
    edit(source / "retain90", lambda rows: rows[0].update(name="ana  roy"))
    with pytest.raises(UserError, match="only in case, width or white space"):
        load(source)


@pytest.mark.parametrize(
    ("configuration", "column"),
    [("forget10+tofu", "question"), ("retain_perturbed", "perturbed_captions"), ("real_world", "options")],
)
def test_a_missing_column_or_one_of_another_type_is_named(source, load, configuration, column):
    path = min((source / configuration).glob("*.parquet"))
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.schema.get_field_index(column), column, pa.array(range(len(table)))), path)
    with pytest.raises(UserError, match=f"{configuration.replace('+', '.')}.*column '{column}' is int64, expected"):
        load(source)
    pq.write_table(table.drop_columns(column), path)
    with pytest.raises(UserError, match=f"{configuration.replace('+', '.')}.*no column '{column}'; found image"):
        load(source)


@pytest.mark.parametrize("configuration", ["forget10_perturbed", "retain_perturbed", "real_faces", "real_world"])
def test_a_missing_configuration_is_named(source, load, configuration):
    shutil.rmtree(source / configuration)
    with pytest.raises(UserError, match=f"{configuration}: .*fetch this configuration"):
        load(source)


def test_a_picture_of_the_forgotten_among_those_kept_fails_validation(source, tmp_path):
    edit(source / "retain90+tofu", lambda rows: rows[0].update(image=image(f"{JOSE}/0")))
    with pytest.raises(UserError, match=r"split retain, record .*rule picture_elsewhere"):
        run(prepare_params(source=str(source)), 1, tmp_path / "out", tmp_path / "validation")
    assert not (tmp_path / "out").exists()


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    pq.write_table(pq.read_table(path).slice(0, 0), path)


@pytest.mark.parametrize("configuration", ["retain90", "retain90+tofu"])
@pytest.mark.parametrize(
    ("damage", "remedy"),
    [
        (halve, r"not a readable Parquet file .*cut off, damaged"),
        (empty, "an empty shard; fetch it again"),
        (Path.unlink, "shard 1 of .* is missing; fetch it again"),
    ],
)
def test_a_damaged_empty_or_missing_shard_is_named(source, load, configuration, damage, remedy):
    damage(sorted((source / configuration).glob("*.parquet"))[1])
    with pytest.raises(UserError, match=f"{configuration.replace('+', '.')}.*{remedy}"):
        load(source)
