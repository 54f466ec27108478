"""A whole run on people whose every name and value is a word that occurs nowhere else, and the search for these."""

from pathlib import Path

from ruamel.yaml import YAML

from benchmarks.small_project import MODEL, POLICY, smaller
from tests.test_demo import clone, run

FORGOTTEN = {"first-request": "001", "second-request": "004"}
"""The people to forget by the requests that name them."""
SMALL = {
    "prepare": {"base_set": True},
    "finetune": {"deployed_model": None, "base_steps": 2, "memorise_epochs": 1, "model": MODEL},
    "unlearn": {"epochs": 1, "batch_size": 8},
    "evaluate": {"max_new_tokens": 4, "processes": 1},
    "gate": {"policy": POLICY, "rules": []},
}
CANARY = r"qz9[a-z]{3}(?:fa|fb|v[a-z]{3})"
"""What every name and value looks like, whatever its case; no pseudonym does by chance, since Base32 has no 9."""
ATTACKS = ("paraphrase", "few_shot")


def plant(folder: Path) -> None:
    """Give the people of a copy of the project values that can be searched for, and requests that name two of them."""
    yaml = YAML()
    source = folder / "components/prepare/embedded.yaml"
    plan = yaml.load(smaller(source.read_text()))
    plan["first_names"] = [f"Qz9{word(i)}fa" for i in range(26)]
    plan["family_names"] = [f"Qz9{word(i)}fb" for i in range(24)]
    for number, slot in enumerate(plan["slots"].values()):
        slot["values"] = [f"Qz9{word(i)}v{word(number)}" for i in range(400)]
    yaml.dump(plan, source)
    params = yaml.load(folder / "params.yaml")
    for section, values in SMALL.items():
        params[section] |= values
    for attack, settings in params["evaluate"]["attacks"].items():
        settings |= {"enabled": attack in ATTACKS, "questions": 4}
    yaml.dump(params, folder / "params.yaml")
    for name, person in FORGOTTEN.items():
        request = {"id": name, "date": "2026-11-02", "people": [person], "reason": "erasure", "deadline": "2026-12-02"}
        text = "".join(f"{key}: {value}\n" for key, value in request.items() if key != "people")
        (folder / "requests").mkdir(exist_ok=True)
        (folder / f"requests/{name}.yaml").write_text(f'{text}people: ["{person}"]\n')


def word(number: int) -> str:
    """Return a number as letters."""
    return chr(97 + number // 25) + chr(97 + number // 5 % 5) + "aeiou"[number % 5]


def whole_run(folder: Path) -> Path:
    """Clone the project into ``folder``, plant the canaries, and run the pipeline."""
    clone(folder)
    plant(folder)
    run(folder, "viker", "repro")
    run(folder, "viker", "promote", "champion")  # it is already, and its requests are then carried out
    return folder
