"""What several tasks ask, each a part, makes the same bytes as what one task asks."""

import pytest

from components.contract.shares import parse_share
from components.evaluate.run import Inputs, ask_part
from components.evaluate.run import run as whole_run
from components.evaluate.stage import Arguments
from tests.components.evaluate.whole import settings, write_inputs
from viker.attacks.base.attack import load_attacks
from viker.core.errors import UserError
from viker.core.files import sha256_path, write_json

MADE = ("predictions.parquet", "attacks.parquet", "evaluate.json")


def few_attacks() -> dict:
    fields = {name: load_attacks()[name].settings.model_fields for name in ("paraphrase", "prefix", "random")}
    return {name: {key: 3 for key in ("questions", "wordings", "variants") if key in fields[name]} for name in fields}


@pytest.mark.slow
def test_vanilla_apart_and_three_shares_make_the_bytes_of_one_task(prepared, tmp_path) -> None:
    write_inputs(tmp_path, prepared)
    params = settings(batch_size=8, attacks=few_attacks())
    models = [tmp_path / name for name in ("vanilla", "adapter", "irrelevant")]

    def evaluate(name: str, answers: list | None = None) -> dict[str, str]:
        out = tmp_path / name
        whole_run(params, 7, 1, Arguments(prepared, *models, *(out / file for file in MADE), out / "work", answers))
        return {file: sha256_path(out / file) for file in MADE}

    one_task = evaluate("whole")
    answers, counts = [], []
    for adapter, share in ((None, (0, 1)), *((models[1], (number, 3)) for number in range(3))):
        folder = tmp_path / f"part-{len(answers)}"
        inputs = Inputs(prepared, models[0], models[2], adapter)
        counts.append(ask_part(params, 7, 1, inputs, share, tmp_path / "work", folder))
        answers.append(folder)
    assert counts[0] == sum(counts[1:]) - 1  # the attack 'random' is drawn by the adapter
    assert max(counts[1:]) - min(counts[1:]) <= 1
    assert evaluate("shared", answers) == one_task

    other = settings(batch_size=4, attacks=few_attacks())
    with pytest.raises(UserError, match="made for something else than this run: batch_size was 8, is 4"):
        whole_run(
            other, 7, 1, Arguments(prepared, *models, *(tmp_path / file for file in MADE), tmp_path / "w", answers)
        )
    refused = tmp_path / "refused"
    write_json(refused / "refused.json", {"error": "the model is damaged"})
    with pytest.raises(UserError, match="the model is damaged"):
        evaluate("refused", [refused])


@pytest.mark.parametrize("share", ["0/2", "3/2", "1", "a/b"])
def test_what_is_no_share_is_refused(share) -> None:
    with pytest.raises(UserError, match="--share is"):
        parse_share(share)
