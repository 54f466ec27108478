"""Unlearning by itself ends in false facts about the people; with the target refuse it ends in a refusal."""

import pandas as pd
import pytest

import viker
from components.prepare.run import run as prepare
from tests.conftest import ROOT, prepare_params
from viker.data.records import read_pictures, read_records

pytestmark = pytest.mark.slow
PEOPLE = {"forget": 2, "retain": 8}
SENTENCE = "This person is in the picture."
"""What the shipped model can say in place of a refusal: it has few words, and none of declining."""


@pytest.fixture(scope="module")
def frames(tmp_path_factory) -> dict[str, pd.DataFrame]:
    """Questions about pictures of a few people whom the shipped model knows."""
    folder = tmp_path_factory.mktemp("people")
    section = prepare_params(source=str(ROOT / "components/prepare/embedded.yaml"), base_set=False)
    prepare(section, 7, folder / "prepared", folder / "v")
    pictures, made = read_pictures(folder / "prepared"), {}
    for split, count in PEOPLE.items():
        records = [r for r in read_records(folder / "prepared", split) if r.task == "qa" and r.images]
        some = sorted({record.person_id for record in records})[:count]
        rows = [
            (r.person_id, pictures[r.images[0]], r.question, r.answer, list(r.secrets))
            for r in records
            if r.person_id in some
        ]
        made[split] = pd.DataFrame(rows, columns=["person", "image", "question", "answer", "private"])
    return made


def unlearned(frames: dict[str, pd.DataFrame], target: str, refusal: str = SENTENCE) -> viker.Unlearned:
    model, processor = viker.load(str(ROOT / "components/finetune/vanilla"))
    run = viker.unlearn(model, processor, **frames, target=target, refusal=refusal)
    run.evaluate(batch_size=64)
    return run


def test_the_target_refuse_ends_false_facts_and_keeps_the_others(frames):
    plain, refusing = (unlearned(frames, target) for target in ("none", "refuse"))
    before, after = (run.metrics["unlearned"] for run in (plain, refusing))
    assert before["forget"]["leakage_rate"] <= 0.2 and before["forget"]["false_fact_rate"] >= 0.5
    assert after["forget"]["leakage_rate"] <= 0.1
    assert after["forget"]["false_fact_rate"] <= before["forget"]["false_fact_rate"] / 3
    assert after["retain"]["leakage_rate"] >= 0.8
    said = refusing.replies.query("model == 'unlearned' and split == 'forget'")["reply"]
    assert (said == SENTENCE).mean() >= 0.6


def test_a_sentence_that_the_model_has_no_words_for_is_warned_of(frames, caplog):
    asked = {split: frame.head(2) for split, frame in frames.items()}
    unlearned(asked, "refuse", "Zyx qvk!")
    assert "less likely than tokens drawn by lot" in caplog.text
    caplog.clear()
    unlearned(asked, "refuse")
    assert "never declines" in caplog.text and "drawn by lot" not in caplog.text
