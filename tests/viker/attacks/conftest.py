"""A small untrained model with an adapter, data that allow every attack, and all attacks made on them once.

And small models that know a few people, and hide it, or never knew them.
"""

import copy
import random
from dataclasses import replace

import pytest
import torch
from peft import LoraConfig, get_peft_model

from tests.viker.attacks.planted import Bench, refused, samples
from viker.attacks.base.attack import load_attacks
from viker.attacks.base.perform import run_attacks
from viker.attacks.base.subject import Subject
from viker.attacks.base.targets import open_records, read_targets
from viker.models.loading import language_layers

SEED = 7
SHORT = {"questions": 4, "steps": [1, 2], "samples": 2, "wordings": 3, "temperatures": [1.0], "iterations": 2}


@pytest.fixture(scope="session")
def targets(prepared):
    """The small benchmark's records, and in retain two people more for each value of the forget people's."""
    targets = read_targets(prepared)
    facts = [record for record in open_records(targets.forget) if record.images]
    twins = [replace(fact, person_id=f"{twin} of {fact.person_id}") for twin in ("twin", "triplet") for fact in facts]
    random.Random(SEED).shuffle(twins)
    return replace(targets, retain=[*targets.retain, *twins])


@pytest.fixture(scope="session")
def subjects(small_model):
    model, encoder = small_model
    torch.manual_seed(0)
    config = LoraConfig(r=2, lora_alpha=4, target_modules=language_layers(model), init_lora_weights=False)
    adapted = get_peft_model(copy.deepcopy(model), config).eval()
    return [Subject(name, adapted, name == "unlearned", encoder, 32, 4) for name in ("vanilla", "unlearned")]


@pytest.fixture(scope="session")
def sections():
    """Settings of every attack: few questions, steps and samples, else the defaults."""
    return {
        name: attack.settings(**{key: value for key, value in SHORT.items() if key in attack.settings.model_fields})
        for name, attack in load_attacks().items()
    }


@pytest.fixture(scope="session")
def attacked(subjects, targets, sections):
    """The blocks by model, and all rows."""
    return run_attacks(subjects, targets, sections, SEED)


@pytest.fixture(scope="session")
def rows_of(attacked):
    """What an attack made of one model: its rows."""

    def rows_of(table, model="vanilla"):
        rows = attacked[1]
        return rows[(rows["attack"] == table) & (rows["model"] == model)]

    return rows_of


@pytest.fixture(scope="session")
def bench():
    torch.set_num_threads(1)
    return Bench()


@pytest.fixture(scope="session")
def stranger():
    """A model that never knew the people to forget."""
    torch.set_num_threads(1)
    return Bench(knows_forget=False)


@pytest.fixture(scope="session")
def forgotten(bench):
    """All samples about the forget people."""
    return samples([*bench.targets.forget, *bench.targets.test])


@pytest.fixture(scope="session")
def kept(bench):
    return samples(bench.targets.retain)


@pytest.fixture(scope="session")
def hiding(bench, forgotten, kept):
    """Refuses every question about the forget people, in all wordings and pictures of the data."""
    return bench.planted([*refused(forgotten), *kept], lr=2e-3)


@pytest.fixture(scope="session")
def innocent(stranger, forgotten, kept):
    """Refuses the same questions, and never knew the people."""
    return stranger.planted([*refused(forgotten), *kept])
