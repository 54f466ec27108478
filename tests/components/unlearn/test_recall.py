"""A second run with another lambda asks the teacher nothing, and makes the bytes that it makes without the cache."""

import torch

from components.sample.run import run as sample
from components.unlearn import ask
from components.unlearn.run import run as unlearn
from components.unlearn.stage import Arguments
from tests.components.evaluate.whole import write_inputs
from viker.core.files import sha256_path


def test_another_lambda_asks_the_teacher_nothing(prepared, params, tmp_path, monkeypatch) -> None:
    write_inputs(tmp_path, prepared)
    sample(params.sample, 1, prepared, tmp_path / "images")
    monkeypatch.setenv("VIKER_CACHE_DIR", str(tmp_path / "cache"))
    teach, calls = ask.teach, []
    monkeypatch.setattr(ask, "teach", lambda *given: calls.append(1) or teach(*given))

    def run(name: str, weight: float, size: str = "1", seed: int = 7, **changes) -> tuple[dict[str, str], int]:
        monkeypatch.setenv("VIKER_CACHE_GIB", size)
        method = params.unlearn.method.model_copy(update={"lambda_": weight, **changes})
        calls.clear()
        out, records, state = (tmp_path / name / part for part in ("adapter", "records", "state"))
        inputs = (prepared, tmp_path / "vanilla", tmp_path / "images")
        short = params.unlearn.model_copy(update={"epochs": 1, "method": method})
        unlearn(short, seed, 1, Arguments(*inputs, out, records, state))
        files = [path for path in (tmp_path / name).rglob("*") if path.is_file()]
        return {str(path.relative_to(tmp_path / name)): sha256_path(path) for path in files}, len(calls)

    off, cold = run("off", 2.0, size="0"), run("cold", 1.0)
    assert off[1] >= 1 and cold[1] >= 1
    assert run("warm", 2.0) == (off[0], 0)
    assert run("again", 1.0) == (cold[0], 0)
    assert run("seed", 1.0, seed=8)[1] >= 1
    assert run("teacher", 1.0, teacher={"irrelevant": 1.0, "population": 1.0})[1] >= 1
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "other instructions")
        assert run("machine", 1.0)[1] >= 1
    weights = tmp_path / "vanilla/config.json"
    weights.write_text(weights.read_text() + "\n")
    assert run("model", 1.0)[1] >= 1
