"""Models and adapters that are damaged or don't fit are errors in one sentence: never a guess, never half loaded."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from viker.core.errors import UserError
from viker.models import fast_path
from viker.models.adapter import load_adapter
from viker.models.chat_template import ChatTemplate
from viker.models.loading import empty_model, load_model
from viker.training.adapter import check_start, put_adapter

TEXT_ONLY = "{% for m in messages %}{{ '[INST] ' if m['role']=='user' else '' }}{{ m['content'] }}</s>{% endfor %}"
TEMPLATE, WEIGHTS = "chat_template.jinja", "model.safetensors"


@pytest.fixture(scope="module")
def saved(small_model, params, tmp_path_factory):
    """The small model and an adapter of it with random weights, on disk."""
    folder = tmp_path_factory.mktemp("saved")
    model, encoder = small_model
    model.save_pretrained(folder / "model")
    encoder.processor.save_pretrained(folder / "model")
    adapted = put_adapter(params.unlearn, model)
    torch.manual_seed(3)
    for name, weight in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.1)
    adapted.save_pretrained(folder / "adapter")
    adapted.unload()
    return folder


@pytest.fixture
def model(saved, tmp_path):
    return shutil.copytree(saved / "model", tmp_path / "model")


@pytest.fixture
def adapter(saved, tmp_path):
    return shutil.copytree(saved / "adapter", tmp_path / "adapter")


def change(path, **values):
    content = json.loads(path.read_text())
    for key, value in values.items():
        inner, _, last = key.rpartition("__")
        (content[inner] if inner else content)[last] = value
    path.write_text(json.dumps(content))


def change_weights(path, alter):
    weights = load_file(path)
    save_file(alter(weights), path, {"format": "pt"})


def without(weights):
    return {name: weight for name, weight in weights.items() if "layers.0.mlp.up_proj" not in name}


def with_nan(weights):
    next(iter(weights.values())).view(-1)[0] = float("nan")
    return weights


def renamed(weights):
    return {name.replace("model.language_model.", "model."): weight for name, weight in weights.items()}


def more(weights):
    return weights | {"base_model.model.model.extra.lora_A.weight": torch.zeros(8, 32)}


MODEL_DAMAGE = {
    "weights cut off": (lambda m: (m / WEIGHTS).write_bytes((m / WEIGHTS).read_bytes()[:1000]), "SafetensorError"),
    "no weights": (lambda m: (m / WEIGHTS).unlink(), "no file named model.safetensors"),
    "empty weights": (lambda m: (m / WEIGHTS).write_bytes(b""), "header"),
    "a weight missing": (lambda m: change_weights(m / WEIGHTS, without), r"1 of its weights are not in its files"),
    "NaN": (lambda m: change_weights(m / WEIGHTS, with_nan), r"1 of its weights aren't finite"),
    "config is no JSON": (lambda m: (m / "config.json").write_text("{"), "JSON"),
    "config is a list": (lambda m: (m / "config.json").write_text("[]"), "TypeError|AttributeError"),
    "heads don't divide": (lambda m: change(m / "config.json", text_config__hidden_size=33), "not a multiple|multiple"),
    "another shape": (lambda m: change(m / "config.json", text_config__intermediate_size=64), "another shape"),
    "tokenizer of another shape": (lambda m: (m / "tokenizer.json").write_text('{"a": 1}'), "KeyError"),
    "no processor": (lambda m: [p.unlink() for p in m.glob("*processor*")], "processor|tokenizer"),
}


@pytest.mark.parametrize("damage", MODEL_DAMAGE)
def test_a_damaged_model_is_one_sentence(model, damage):
    spoil, said = MODEL_DAMAGE[damage]
    spoil(model)
    with pytest.raises(UserError, match=rf"^models/vanilla: can't load the model '.*model': .*({said})") as problem:
        load_model(str(model), "models/vanilla")
    assert "\n" not in str(problem.value)


STORED, SETTINGS = "adapter_model.safetensors", "adapter_config.json"
ADAPTER_DAMAGE = {
    "no config": (lambda a: (a / SETTINGS).unlink(), "no adapter here: no adapter_config.json"),
    "config is no JSON": (lambda a: (a / SETTINGS).write_text("{"), "damaged: expected JSON"),
    "config is a list": (lambda a: (a / SETTINGS).write_text("[1]"), "expected a JSON object, found"),
    "config is empty": (lambda a: (a / SETTINGS).write_text("{}"), "no adapter of this model.*KeyError"),
    "unknown type": (lambda a: change(a / SETTINGS, peft_type="NEWTUNER"), "NEWTUNER"),
    "another rank": (lambda a: change(a / SETTINGS, r=4), "size mismatch"),
    "rank of another type": (lambda a: change(a / SETTINGS, r="eight"), "no adapter of this model"),
    "layers elsewhere": (lambda a: change(a / SETTINGS, target_modules="x.*"), "not found in the base"),
    "other layers": (lambda a: change(a / SETTINGS, target_modules=["lm_head"]), "28 of 28 have no place"),
    "fewer layers": (lambda a: change(a / SETTINGS, target_modules=["q_proj"]), "have no place"),
    "keys of a text model": (lambda a: change_weights(a / STORED, renamed), "28 of 28 have no place"),
    "a layer missing": (lambda a: change_weights(a / STORED, without), "2 of 28 that .* are missing"),
    "a tensor more": (lambda a: change_weights(a / STORED, more), "1 of 29 have no place"),
    "NaN": (lambda a: change_weights(a / STORED, with_nan), "1 of the adapter's 28 .* aren't finite"),
    "cut off": (lambda a: (a / STORED).write_bytes(b"\0" * 9), "no whole adapter"),
    "empty": (lambda a: (a / STORED).write_bytes(b""), "no whole adapter"),
}  # fmt: skip


@pytest.mark.parametrize("damage", ADAPTER_DAMAGE)
def test_an_adapter_that_is_damaged_or_does_not_fit_is_one_sentence(saved, adapter, params, damage):
    spoil, said = ADAPTER_DAMAGE[damage]
    spoil(adapter)
    with pytest.raises(UserError, match=rf"^{adapter}: .*{said}"):
        load_adapter(load_model(str(saved / "model"), "here")[0], adapter)
    settings = params.unlearn.model_copy(update={"start_from": str(adapter)})
    with pytest.raises(UserError, match=r"unlearn\.(start_from|lora_r)"):  # before anything large is loaded
        check_start(settings, str(saved / "model"))


def test_a_whole_adapter_is_loaded_to_the_last_tensor(saved):
    adapted = load_adapter(load_model(str(saved / "model"), "here")[0], saved / "adapter")
    stored = load_file(saved / "adapter/adapter_model.safetensors")
    loaded = {n.replace(".default.", "."): p for n, p in adapted.named_parameters() if "lora_" in n}
    assert loaded.keys() == stored.keys()
    assert all(torch.equal(loaded[name], weight) for name, weight in stored.items())
    assert not adapted.training
    load_adapter(empty_model(str(saved / "model"), "here"), saved / "adapter")


def test_a_model_without_a_template_is_not_asked_in_another_models_form(model):
    (model / TEMPLATE).unlink()
    with pytest.raises(UserError, match=r"neither its processor nor its tokenizer has a chat template"):
        load_model(str(model), "finetune.deployed_model")


@pytest.mark.parametrize("named", [False, True])
def test_the_tokenizers_template_is_used_where_the_processor_has_none(small_model, model, named):
    text = (model / TEMPLATE).read_text()
    (model / TEMPLATE).unlink()
    template = [{"name": "default", "template": text}, {"name": "tool_use", "template": "x"}] if named else text
    change(model / "tokenizer_config.json", chat_template=template)
    _, processor = load_model(str(model), "here")
    expected = small_model[1].template.prompt("Which?", with_picture=True)
    assert ChatTemplate(processor).prompt("Which?", with_picture=True) == expected
    if processor.chat_template is None:
        assert fast_path.fallbacks() == [{"what": "chat template", "reason": "the processor has none"}]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (TEXT_ONLY, r"puts no picture \(<image>\) into the prompt of a question about one"),
        ("{{ '<image><image>' + messages[0]['content'][-1]['text'] }}", "puts 2 pictures"),
        ("{{ '<image>' + messages[0]['content'][-1]['text'] }}", "puts 1 picture.* of a question without one"),
        ("{% if messages[0]['content'] | length > 1 %}<image>{% endif %}", "doesn't put the question"),
        ("{{ raise_exception('roles must alternate') }}", "can't be rendered .*roles must alternate"),
        ("{{ '[INST] ' + messages[0]['content'] }}", "can't be rendered .*TypeError"),
        ("{% for m in %}", "can't be rendered .*TemplateSyntaxError"),
    ],
)  # fmt: skip
def test_a_template_that_leaves_out_the_picture_or_the_question_is_refused(model, template, said):
    (model / TEMPLATE).write_text(template)
    with pytest.raises(UserError, match=rf"here: the model '.*': the chat template of its processor {said}"):
        load_model(str(model), "here")
