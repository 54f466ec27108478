"""What several tasks ask the teacher, each a share, makes the same adapter as what unlearn asks by itself."""

import pytest

from components.sample.run import run as sample
from components.unlearn.ask import Sources, ask_part
from components.unlearn.run import run as unlearn
from components.unlearn.stage import Arguments
from tests.components.evaluate.whole import write_inputs
from viker.core.errors import UserError
from viker.core.files import read_json, sha256_path, write_json
from viker.training import teacher_store


@pytest.mark.parametrize("teacher", ["irrelevant", {"irrelevant": 1.0, "population": 1.0}])
def test_shares_of_the_teacher_make_the_bytes_of_one_task(prepared, params, tmp_path, monkeypatch, teacher) -> None:
    monkeypatch.setattr(teacher_store, "CHUNK", 3)
    write_inputs(tmp_path, prepared)
    sample(params.sample, 1, prepared, tmp_path / "images")
    method = params.unlearn.method.model_copy(update={"teacher": teacher})
    short = params.unlearn.model_copy(update={"epochs": 1, "method": method})
    sources = Sources(prepared, tmp_path / "vanilla", tmp_path / "images")

    def run(name: str, parts: list | None = None) -> dict[str, str]:
        out, records, state = (tmp_path / name / part for part in ("adapter", "records", "state"))
        inputs = (sources.prepared, sources.vanilla, sources.irrelevant)
        unlearn(short, 7, 1, Arguments(*inputs, out, records, state, teachers=parts))
        files = [path for path in (tmp_path / name).rglob("*") if path.is_file()]
        return {str(path.relative_to(tmp_path / name)): sha256_path(path) for path in files}

    alone = run("alone")
    parts = [tmp_path / f"part-{number}" for number in range(3)]
    counts = [ask_part(short, 7, 1, sources, (n, 3), tmp_path / "work", part) for n, part in enumerate(parts)]
    assert min(counts) >= 1
    monkeypatch.setattr("components.unlearn.ask.teach", None)  # nothing is left to ask
    assert run("shared", parts) == alone
    assert "adapter/adapter_model.safetensors" in alone

    with pytest.raises(UserError, match=r"--teachers: .*part-0 was made for something else than this run: seed was 8"):
        write_json(parts[0] / "part.json", {"deciding": _with_seed(parts[0], 8), "fallbacks": []})
        run("other", parts)
    write_json(parts[0] / "refused.json", {"error": "the model is damaged"})
    with pytest.raises(UserError, match="the model is damaged"):
        run("refused", parts)


def _with_seed(folder, seed: int) -> dict:
    return read_json(folder / "part.json", "unlearn")["deciding"] | {"seed": seed}
