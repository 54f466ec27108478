"""A run goes on from the champion; what could not be promoted is said before anything is trained."""

import json

import pytest

from viker.core.errors import UserError
from viker.core.files import sha256_path
from viker.registry.start import Start, champion_start, check_promotable
from viker.registry.stored import Coverage, fetch_adapter


@pytest.fixture
def start(history) -> Start:
    found = champion_start(history.registry)
    assert found is not None
    return found


def check(history, start, model: str | None = "", people: tuple = ("005",), **unlearn) -> bool:
    base = str(history.folder / "models/vanilla") if model == "" else model
    sizes = {"lora_r": 8, "lora_alpha": start.sizes["lora_alpha"]}
    settings = history.params.unlearn.model_copy(update=sizes | unlearn)
    return check_promotable(history.registry, start, settings, base, ["r5"], set(people))


def test_the_champion_is_what_a_run_starts_from(history, start, tmp_path) -> None:
    assert start.version == 2
    assert start.coverage == Coverage(frozenset({"r1", "r2"}), frozenset({"001", "002"}))
    adapter = fetch_adapter(history.registry, 2, tmp_path)
    assert sha256_path(adapter) == history.registry.tags(2)["adapter_sha256"]
    assert check(history, start)


def test_without_a_champion_or_one_that_forgot_on_request_a_run_starts_from_nothing(work) -> None:
    assert champion_start(work.registry) is None
    work.register()
    assert work.aliases()["champion"] == 1
    assert champion_start(work.registry) is None


def test_a_model_trained_anew_each_night_is_refused(history, start) -> None:
    with pytest.raises(UserError, match=r"finetune\.deployed_model is null, so each run trains another model"):
        check(history, start, model=None)


def test_another_model_than_the_champions_is_refused(history, start, tmp_path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="Its adapter doesn't fit"):
        check(history, start, model=str(tmp_path))


def test_other_sizes_than_the_champions_are_refused(history, start) -> None:
    with pytest.raises(UserError, match=r"unlearn\.lora_r is 4, but the adapter of .* version 2, the champion, has 8"):
        check(history, start, lora_r=4)


def test_an_adapter_that_forgets_less_than_the_champion_is_refused(history, start, tmp_path) -> None:
    first = fetch_adapter(history.registry, 1, tmp_path)
    with pytest.raises(UserError, match=r"does not forget 002 of the requests r2.*Set unlearn.start_from to null"):
        check(history, start, start_from=str(first))
    assert not check(history, start, start_from=str(fetch_adapter(history.registry, 2, tmp_path / "two")))
    assert json.dumps(start.sizes) == json.dumps({"lora_r": 8, "lora_alpha": start.sizes["lora_alpha"]})
