"""The vanilla model is asked nothing when a second adapter is evaluated, and the metrics keep their bytes."""

import shutil

from safetensors.torch import load_file, save_file

from components.evaluate import vanilla
from tests.components.evaluate.test_part import few_attacks
from tests.components.evaluate.whole import evaluate, settings, write_inputs
from viker.core.files import read_json, sha256_path
from viker.models.fallback import record

MADE = ("predictions.parquet", "attacks.parquet", "evaluate.json")


def test_another_adapter_asks_the_vanilla_model_nothing(prepared, tmp_path, monkeypatch) -> None:
    write_inputs(tmp_path, prepared)
    monkeypatch.setenv("VIKER_CACHE_DIR", str(tmp_path / "cache"))
    other = shutil.copytree(tmp_path / "adapter", tmp_path / "other")
    weights = other / "adapter_model.safetensors"
    save_file({name: 2 * tensor for name, tensor in load_file(weights).items()}, weights)
    answer, calls = vanilla.answer, []
    monkeypatch.setattr(vanilla, "answer", lambda *given: calls.append(1) or answer(*given))

    def run(adapter: str, size: str = "1", **changes) -> tuple[list[str], int]:
        monkeypatch.setenv("VIKER_CACHE_GIB", size)
        calls.clear()
        params = settings(batch_size=8, attacks=few_attacks(), **changes)
        evaluate(tmp_path, prepared, params, adapter=tmp_path / adapter)
        return [sha256_path(tmp_path / name) for name in MADE], len(calls)

    off = run("other", size="0")
    assert run("adapter")[1] == 1
    assert run("other") == (off[0], 0)
    assert run("other", max_new_tokens=5)[1] == 1

    # what the answers were computed without is recorded again with them
    monkeypatch.setattr(vanilla, "answer", lambda *given: record("a way", "a reason", "slower") or answer(*given))
    cold, warm = (run("other", max_new_tokens=4)[0] for _ in range(2))
    assert cold == warm
    recorded = read_json(tmp_path / "evaluate.json", "evaluate")["engine"]["fallbacks"]
    assert [one["what"] for one in recorded] == ["a way"]
