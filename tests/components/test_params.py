"""params.yaml: what is wrong, with which value, and what is allowed."""

from pathlib import Path

import pytest

from components.contract.params import load_params
from viker.core.errors import UserError

SHIPPED = Path(__file__).parents[2] / "params.yaml"
VIKER = SHIPPED.read_text()[SHIPPED.read_text().index("  method:") : SHIPPED.read_text().index("  text_questions:")]


def load_changed(tmp_path, old: str, new: str):
    text = SHIPPED.read_text()
    assert old in text
    (tmp_path / "params.yaml").write_text(text.replace(old, new, 1))
    return load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("forget_share: 0.1", "forget_share: 0", ["prepare.forget_share", "0", "greater than 0"]),
        ("forget_share: 0.1", "forget_share: 1", ["prepare.forget_share", "1", "less than 1"]),
        ("forget_share: 0.1", "forget_share: ten", ["prepare.forget_share", "ten", "valid number"]),
        ("  lambda: 2.0", "  lamda: 2.0", ["unlearn.method.lamda", "did you mean 'lambda'"]),
        ("name: viker", "name: vikr", ["unlearn.method", "no method 'vikr'", "graddiff", "did you mean 'viker'?"]),
        ("name: viker", "title: viker", ["missing key 'unlearn.method.name'"]),
        ("name: viker", "name: npo", ["unknown key 'unlearn.method.lambda'", "known here: beta, name, retain"]),
        ("kinds: [scene]", "kinds: [selfie]", ["sample.kinds.0", "selfie", "'scene'"]),
        ("patch_size: 12", "patch_size: 64", ["'finetune.model.patch_size' is 64", "a divisor of 48"]),
        ("image_size: 48", "image_size: 50", ["'finetune.model.patch_size' is 12", "a divisor of 50"]),
        ("heads: 4", "heads: 3", ["'finetune.model.heads' is 3", "a multiple of 6"]),
        ("heads: 4", "heads: 128", ["'finetune.model.heads' is 128", "a multiple of 256"]),
        ("    width: 128", "    width: 129", ["'finetune.model.heads' is 4", "a multiple of 8"]),
        ("vision_width: 96", "vision_width: 97", ["'finetune.model.vision_width' is 97", "a multiple of 4"]),
        ("seed: 7", "seed: -1", ["seed", "-1", "greater than or equal to 0"]),
        ("seed: 7", "# no seed", ["missing key 'seed'"]),
        ("  rules: []", "  rules: [leakage is low]", ["gate.rules", "leakage is low", "not a rule"]),
        ("  require: []", "  require: [a = 1]", ["gate.require", "a = 1", "not the path of a metric"]),
        ("policy: default", "policy: lax", ["gate.policy", "lax", "'default'", "'strict'"]),
        ("policy: default", "policy: null", ["gate.rules", "at least one rule"]),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(tmp_path, old, new, named):
    with pytest.raises(UserError) as caught:
        load_changed(tmp_path, old, new)
    for part in ["params.yaml", *named]:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("source: components/prepare/embedded.yaml", "source: 's3://AKIAZZ:SECRETZZ@bucket/p'"),
        ("source: components/prepare/embedded.yaml", "source: 'hf://SECRETZZ@owner/name'"),
        ("source: components/prepare/embedded.yaml", "source: 'dvc+https://u:SECRETZZ@host/r.git#data'"),
        ("requests: requests", "requests: 's3://AKIAZZ:SECRETZZ@bucket/requests'"),
        ("  folder: null", "  folder: 's3://bucket/p?X-Amz-Credential=a&token=SECRETZZ'"),
    ],
)
def test_credentials_in_an_address_are_refused_without_being_repeated(tmp_path, old, new):
    with pytest.raises(UserError, match="an address with credentials in it") as caught:
        load_changed(tmp_path, old, new)
    assert "SECRETZZ" not in str(caught.value) and "***" in str(caught.value)


def test_a_missing_file_and_broken_yaml_are_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.yaml: no such file"):
        load_params(tmp_path / "nowhere.yaml")
    (tmp_path / "params.yaml").write_text("seed: [1")
    with pytest.raises(UserError, match="not valid YAML"):
        load_params(tmp_path / "params.yaml")


def test_loaded_values_do_not_change():
    loaded = load_params(SHIPPED)
    with pytest.raises(ValueError, match="frozen"):
        loaded.unlearn.epochs = 3


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"name: viker": "name: retrain"}, ["unlearn.method.base_model", "before it learnt the people"]),
        ({"teacher: irrelevant": "teacher: none", "use_ga: true": "use_ga: false"}, ["unlearn.method.use_ga"]),
        ({"lambda: 2.0": "lambda: 0.0", "use_ga: true": "use_ga: false"}, ["unlearn.method.use_ga", "lambda above 0"]),
        ({"weighting: kl": "weighting: hard_mask", "use_ga: true": "use_ga: false"}, ["unlearn.method.use_ga"]),
        (
            {"weighting: kl": "weighting: hard_mask", "teacher: irrelevant": "teacher: none"},
            ["unlearn.method.weighting"],
        ),
        ({"stop_when: null": "stop_when: {answer: 0.1}"}, ["unlearn.stop_when.answer"]),
        (
            {
                VIKER: "  method: {name: retrain, base_model: base}\n",
                "start_from: null": "start_from: a",
            },
            ["unlearn.start_from", "unlearn.method.base_model alone"],
        ),
        (
            {
                VIKER: "  method: {name: retrain, base_model: base}\n",
                "stop_when: null": "stop_when: {key_token_probability: 0.1}",
            },
            ["unlearn.stop_when", "retrain forgets nothing"],
        ),
        ({"shard: false": "shard: true", "load_in_4bit: false": "load_in_4bit: true"}, ["unlearn.shard", "4 bits"]),
    ],
)
def test_settings_of_unlearn_that_contradict_each_other_are_named(tmp_path, changes, named):
    text = SHIPPED.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new, 1)
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        load_params(tmp_path / "params.yaml")
    for part in named:
        assert part in str(caught.value)
