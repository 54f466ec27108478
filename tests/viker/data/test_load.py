"""The loader of MLLMU-Bench, on whole and damaged data."""

import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.viker.data.damage import portrait
from tests.viker.data.mllmu_data import write_baselines, write_mllmu
from viker.core.errors import UserError
from viker.data.formats import mllmu
from viker.data.formats.base.intake import Intake
from viker.data.formats.base.shards import rows
from viker.data.validation.data_docs import validate


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_mllmu(tmp_path_factory.mktemp("benchmark") / "data")


@pytest.fixture
def intake(tmp_path):
    return Intake(tmp_path, "fail", 0.0)


@pytest.fixture
def load(intake):
    return lambda source, share, ids: mllmu.load(source, share, ids, [], intake)


@pytest.fixture
def damaged(source, tmp_path):
    shutil.copytree(source, tmp_path / "data")
    return tmp_path / "data"


def test_forget_and_retain_are_everybody_and_share_nobody(source, load):
    splits = load(source, 0.1, []).splits
    forget, retain = ({r.person_id for r in splits[name]} for name in ("forget", "retain"))
    assert (len(forget), len(retain)) == (1, 9)
    assert not forget & retain
    assert {r.person_id for r in splits["test"]} == forget


def test_test_records_have_all_their_pictures_and_other_wordings(source, load):
    splits = load(source, 0.1, []).splits
    seen = [r for r in splits["test"] if r.modality == "image_text"]
    assert {len(r.images) for r in seen} == {3}
    trained = {r.question for r in splits["forget"] if r.task == "qa"}
    assert not trained & {r.question for r in seen if r.task == "generation"}


def test_a_secret_is_a_value_of_the_person_in_the_answer(source, load):
    for record in load(source, 0.1, []).splits["forget"]:
        if record.task == "qa":
            assert len(record.secrets) == 1
            assert record.secrets[0] in record.answer
            assert len(record.perturbed_answers) == 3


def test_named_people_are_forgotten_in_place_of_the_benchmarks_own(source, load):
    assert {r.person_id for r in load(source, 0.1, ["001", "002"]).splits["forget"]} == {"001", "002"}


def test_an_unknown_id_is_named(source, load):
    with pytest.raises(UserError, match=r"prepare\.forget_ids or a request names '0011'.*'001'"):
        load(source, 0.1, ["0011"])


def test_the_questions_of_the_baselines_training_set_go_to_those_with_the_same_picture(damaged, load):
    usual = load(damaged, 0.1, []).splits
    write_baselines(damaged)
    loaded = load(damaged, 0.1, [])
    assert loaded.notes == ["baseline_train_split: its questions are trained on, in place of those of ft_Data"]
    for split, records in loaded.splits.items():
        reworded = [replace(r, question=f"Tell me: {r.question}") if r.task == "qa" else r for r in usual[split]]
        assert records == reworded


def test_a_training_row_without_id_whose_picture_nobody_has_is_named(damaged, load):
    shard = write_baselines(damaged) / "retain_90/train-00000-of-00001.parquet"
    table = pq.read_table(shard).to_pylist()
    table[3]["image"]["bytes"] = portrait(999)
    pq.write_table(pa.Table.from_pylist(table, schema=pq.read_schema(shard)), shard)
    with pytest.raises(UserError, match=r"baseline_train_split/retain_90/.*row 3, column image: no ID, and nobody"):
        load(damaged, 0.1, [])


def test_a_person_to_forget_with_nothing_to_train_on_is_named(damaged, load):
    shard = damaged / "ft_Data/train-00000-of-00001.parquet"
    pq.write_table(pq.read_table(shard).slice(1), shard)
    with pytest.raises(
        UserError, match="ft_Data: no row of '000', who is to be forgotten: there is nothing to unlearn"
    ):
        load(damaged, 0.1, [])


def test_everybody_has_a_row_in_the_test_set(source, load):
    for person in ("000", "004", "009"):
        assert {r.person_id for r in load(source, 0.1, [person]).splits["test"]} == {person}


def test_a_truncated_shard_is_named(damaged, load):
    shard = next((damaged / "ft_Data").glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:200])
    with pytest.raises(UserError, match=r"ft_Data.*not a readable Parquet file"):
        load(damaged, 0.1, [])


def test_a_missing_shard_is_named(damaged, load):
    (damaged / "Test_Set" / "train-00000-of-00002.parquet").unlink()
    with pytest.raises(UserError, match="Test_Set: shard 0 of 2 is missing"):
        load(damaged, 0.1, [])


def test_a_forget_share_that_is_not_there_names_those_that_are(source, load):
    with pytest.raises(UserError, match="forget_10"):
        load(source, 0.2, [])


def test_a_picture_in_forget_and_retain_fails_validation(source, tmp_path, intake, load):
    loaded = load(source, 0.1, [])
    retained = loaded.splits["retain"][0]
    loaded.splits["retain"][0] = replace(retained, images=loaded.splits["forget"][0].images)
    with pytest.raises(UserError, match="picture_elsewhere"):
        validate(loaded, intake, tmp_path / "validation")
    assert (tmp_path / "validation" / "index.html").exists()


@given(st.binary(max_size=400), st.integers(0, 400))
@settings(max_examples=60)
def test_random_bytes_as_parquet_are_rows_or_a_users_error(tmp_path_factory, noise, at):
    path = tmp_path_factory.mktemp("noise") / "train-00000-of-00001.parquet"
    pq.write_table(pa.table({"ID": ["1", "2"], "metadata": ["[]", "[]"]}), path)
    content = bytearray(path.read_bytes())
    content[at : at + len(noise)] = noise
    path.write_bytes(content)
    try:
        list(rows([path], {"ID": pa.string(), "metadata": pa.string()}))
    except UserError as error:
        assert str(path) in str(error)
