"""Nights of a schedule: each carries out a request, from the champion's adapter, by the tasks' own programs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peft import PeftModel
from ruamel.yaml import YAML

from benchmarks.small_project import POLICY
from components.contract.params import Params, load_params
from components.evaluate.run import run as evaluate
from components.evaluate.stage import Arguments as Evaluate
from components.finetune.run import run as finetune
from components.gate.run import run as gate
from components.gate.stage import Arguments as Gate
from components.prepare.resolve import resolve
from components.prepare.run import run as prepare
from components.register.close import close
from components.register.collect import command as collect
from components.register.promote import command as promote
from components.register.run import run as register
from components.register.stage import Arguments as Register
from components.sample.run import run as sample
from components.unlearn.run import run as unlearn
from components.unlearn.stage import Arguments as Unlearn
from viker.core.files import read_json
from viker.core.mlflow_store import connect, tracking_uri
from viker.data.forget_list import with_requests
from viker.data.irrelevant.assignment import read_irrelevant
from viker.data.records import read_pictures, read_records
from viker.evaluation.predictions import predict
from viker.evaluation.questions import Question, build_questions
from viker.models.base_model import WEIGHTS
from viker.models.encoder import Encoder
from viker.models.loading import device, load_model, seed_everything
from viker.registry.versions import Registry

CHANGES: dict[str, dict[str, Any]] = {
    "unlearn": {"epochs": 40, "stop_when": {"key_token_probability": 0.02}},
    "evaluate": {"attacks": {}},
    "gate": {
        "policy": str(Path(__file__).parents[2] / POLICY),
        "rules": [
            "unlearned.forget.leakage_rate <= 0.2",
            "unlearned.retain.leakage_rate >= 0.8 * vanilla.retain.leakage_rate",
            "unlearned.fluency.gibberish_rate <= 0.05",
        ],
    },
}
"""Of the demo's parameters: trained until the person is forgotten, and measured without attacks, which take minutes."""


def nights(params: Path, vanilla: Path, work: Path, people: list[str]) -> Iterator[dict[str, Any]]:
    """Carry out a request for one of ``people`` each night; yield for each night who is known afterwards.

    The registry is that of MLFLOW_TRACKING_URI.

    Args:
        params: params.yaml, of which ``CHANGES`` are made.
        vanilla: the deployed model.
        work: what is made goes here.
        people: in the order of their requests.

    Yields ``night``, ``version`` (promoted, or None), ``started_from`` (version, or ""), and leakage rates, 0 to 1:
    ``forgotten`` of everyone whose request is carried out, asked about their pictures; ``asked_otherwise`` of the same
    people, without a picture and in other pictures and wordings; ``newest`` of tonight's person, asked all of that;
    ``retained`` of everyone else.
    """
    requests = work / "requests"
    requests.mkdir(parents=True)
    settings, file = _settings(params, vanilla, requests, work)
    uri = tracking_uri()
    registry = Registry(connect(uri), uri, settings.section("register").model_name)
    for night, person in enumerate(people, 1):
        text = f"id: r{night:02}\ndate: 2026-11-01\npeople: ['{person}']\nreason: erasure\ndeadline: 2026-12-01\n"
        (requests / f"r{night:02}.yaml").write_text(text, encoding="utf-8")
        folder = work / f"{night:02}"
        resolved = resolve(settings, only_requests=True, registry=registry)
        version = _carry_out(settings, file, resolved, folder)
        if version is not None:
            close(str(requests), [f"r{night:02}"], version, work / "cache")
        known = _known(settings, vanilla, folder, work, people[:night])
        yield {"night": night, "version": version, "started_from": resolved["champion"]} | known


def _settings(params: Path, vanilla: Path, requests: Path, work: Path) -> tuple[Params, Path]:
    values = YAML(typ="safe", pure=True).load(params)
    values["prepare"] |= {"requests": str(requests), "source": str(params.parent / values["prepare"]["source"])}
    values["finetune"]["deployed_model"] = str(vanilla)
    for section, changes in CHANGES.items():
        values[section] |= changes
    file = work / "params.yaml"
    YAML(typ="safe", pure=True).dump(values, file)
    return load_params(file), file


def _carry_out(settings: Params, file: Path, resolved: dict[str, Any], folder: Path) -> int | None:
    """Run the tasks of a night in ``folder``; return the version that was promoted, None if the gate failed."""
    seed, threads = settings.seed, settings.threads
    names = ("prepared", "validation", "vanilla", "irrelevant", "adapter", "unlearning", "start", "pending.json")
    prepared, validation, vanilla, irrelevant, adapter, records, start, pending = (folder / name for name in names)
    collect(
        resolved["folder"], resolved["requests_sha256"], pending, start, resolved["champion"], resolved["model_name"]
    )
    with with_requests(settings.prepare, pending) as section:
        prepare(section, seed, prepared, validation)
    finetune(settings.finetune, seed, threads, prepared, vanilla)
    sample(settings.sample, seed, prepared, irrelevant)
    begin = str(start) if (start / WEIGHTS).is_file() else None
    training = settings.unlearn.model_copy(update={"start_from": begin})
    unlearn(training, seed, threads, Unlearn(prepared, vanilla, irrelevant, adapter, records, folder / "state"))
    replies, attacks, metrics = folder / "predictions.parquet", folder / "attacks.parquet", folder / "evaluate.json"
    inputs = (prepared, vanilla, adapter)
    evaluate(
        settings.evaluate, seed, threads, Evaluate(*inputs, irrelevant, replies, attacks, metrics, folder / "asked")
    )
    judged, registered = folder / "gate.json", folder / "register.json"
    verdict = gate(settings, Gate(*inputs, records, replies, attacks, metrics, judged, enforce=False))
    register(settings, file, Register(adapter, vanilla, prepared, records, metrics, judged, registered, promote=False))
    if verdict["verdict"] != "pass":
        return None
    promote(folder / "promoted.json", file, registered)
    return int(read_json(folder / "promoted.json", "register")["version"])


def _known(settings: Params, vanilla: Path, folder: Path, work: Path, people: list[str]) -> dict[str, float]:
    """Return who is known to the adapter of a night; see ``nights``."""
    questions: list[Question] = []
    pictures: dict[str, bytes] = {}
    for night in range(1, len(people) + 1):
        prepared = work / f"{night:02}" / "prepared"
        records = {split: read_records(prepared, split) for split in ("forget", "test", "retain")}
        asked = [q for q in build_questions(records, settings.evaluate.in_force()) if q.record.task == "generation"]
        questions += [q for q in asked if q.split in ("forget", "test")]
        if night == len(people):  # a third of the many who did not ask
            questions += [q for q in asked if q.split == "retain" and q.sample.picture][::3]
        pictures |= read_pictures(prepared)
    images, _ = read_irrelevant(folder / "irrelevant")
    seed_everything(settings.seed, settings.threads)
    model, processor = load_model(str(vanilla), "the benchmark's model")
    encoder = Encoder(processor, pictures | images, device())
    adapted = PeftModel.from_pretrained(model, folder / "adapter").eval()
    rows = predict(adapted, encoder, questions, next(iter(images)), settings.evaluate)["unlearned"]
    leaked, split, person = rows["leaked"].astype(float), rows["split"], rows["person_id"]
    gone = split.isin(("forget", "test"))
    return {
        "forgotten": float(leaked[(split == "forget") & (rows["modality"] != "text")].mean()),
        "asked_otherwise": float(leaked[gone & ((split == "test") | (rows["modality"] == "text"))].mean()),
        "newest": float(leaked[gone & (person == people[-1])].mean()),
        "retained": float(leaked[split == "retain"].mean()),
    }
