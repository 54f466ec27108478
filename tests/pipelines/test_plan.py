"""viker plan: each formula against a real model or by hand, and the whole against measured peaks."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from benchmarks.unlearn.model import SIZES as BENCH_SIZES
from benchmarks.unlearn.peak import peak
from components.contract.params import load_params
from pipelines.cli.main import app
from pipelines.cli.plan import GIB, estimate
from tests.viker.methods.checks import settings_of
from viker.core.errors import UserError
from viker.finetuning.settings import ModelParams
from viker.finetuning.small_llava import build_config
from viker.methods.base.method import RetainTerm, methods
from viker.methods.viker import ViKeR
from viker.models.fused_layers import fused_forwards
from viker.models.loading import empty_model, language_layers
from viker.training.adapter import put_adapter
from viker.training.memory import (
    Load,
    activation_bytes,
    adapter_bytes,
    batches,
    cast_bytes,
    feature_bytes,
    held_bytes,
    kept_per_token,
    number_bytes,
    sizes_of,
    teacher_bytes,
)

ROOT = Path(__file__).parents[2]
PARAMS = load_params(ROOT / "params.yaml")
SIZES = {
    "8M": {"width": 320, "layers": 6, "heads": 8, "vocabulary": 2000},
    "63M": {"width": 768, "layers": 8, "heads": 12, "vocabulary": 3000},
}
VISION = {"image_size": 168, "patch_size": 14, "vision_width": 64, "vision_layers": 2}
KL = RetainTerm(term="kl")
DEPLOYED = "llava-hf/llava-1.5-7b-hf"


def changed(section: str, **values: object):
    part = getattr(PARAMS, section)
    return PARAMS.model_copy(update={section: part.model_copy(update=values)})


def deployed(name: str = DEPLOYED, evaluate: dict | None = None, **unlearn: object):
    paper = {"precision": "bfloat16", "method": ViKeR()} | unlearn
    sections = {"unlearn": PARAMS.unlearn.model_copy(update=paper)}
    sections["evaluate"] = PARAMS.evaluate.model_copy(update=evaluate or {})
    return changed("finetune", deployed_model=name).model_copy(update=sections)


def part(estimated: dict, name: str) -> int:
    return next(row["bytes"] for row in estimated["device"] + estimated["host"] if row["part"] == name)


@pytest.fixture(scope="module")
def small():
    return empty_model(build_config(PARAMS.finetune.model, 500), "finetune.model")


def test_no_weights_are_loaded(small):
    assert {p.device.type for p in small.parameters()} == {"meta"}


def test_the_adapter_has_the_size_that_peft_gives_it(small):
    sizes = sizes_of(small)
    adapted = put_adapter(PARAMS.unlearn, empty_model(build_config(PARAMS.finetune.model, 500), "finetune.model"))
    trained = [p for p in adapted.parameters() if p.requires_grad]
    assert language_layers(small) and adapter_bytes(sizes, PARAMS.unlearn) == 4 * sum(p.numel() for p in trained)


@pytest.mark.parametrize(("name", "billions"), [(DEPLOYED, 7.06), ("llava-hf/llava-1.5-13b-hf", 13.35)])
def test_published_llavas_need_no_network_and_have_their_number_of_parameters(name, billions):
    assert part(estimate(deployed(name), 500, 40, 60), "weights") / 2e9 == pytest.approx(billions, abs=0.01)


def test_sharded_each_gpu_holds_its_part_and_the_head_and_what_sees(small):
    sizes = sizes_of(small)
    seeing = [part for name, part in small.model.named_children() if name != "language_model"]
    whole = sum(p.numel() for part in [*seeing, small.lm_head] for p in part.parameters())
    assert sizes.shared + whole == sizes.parameters and sizes.embedding == 0  # tied to the head
    params = PARAMS.unlearn.model_copy(update={"shard": True})
    assert held_bytes(sizes, params, 2) == 4 * (whole + sizes.shared // 2)
    assert held_bytes(sizes, PARAMS.unlearn, 2) == held_bytes(sizes, params, 1) == 4 * sizes.parameters
    alone, four = (estimate(deployed(shard=True), 500, 40, 60, processes=n) for n in (1, 4))
    assert part(four, "weights") / part(alone, "weights") == pytest.approx(0.30, abs=0.01)
    layer, last_norm = 202_383_360, 4096  # the norm is counted as a part of the layers
    assert part(four, "gathered") == 2 * (32064 * 4096 + 2 * (32 * layer + last_norm) // 32)
    saved = part(alone, "weights") - part(four, "weights") - part(four, "gathered")
    assert alone["peaks"]["training"] - four["peaks"]["training"] == saved


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kernels", ["plain", "auto"])
def test_a_layer_keeps_what_autograd_saves(kernels, precision, attention):
    from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRMSNorm, LlamaRotaryEmbedding

    config = build_config(ModelParams(**VISION, **SIZES["8M"]), 500)
    unlearn = PARAMS.unlearn.model_copy(update={"precision": precision, "attention": attention, "kernels": kernels})
    dtype = getattr(torch, precision)
    frozen = empty_model(config, "finetune.model").to_empty(device="cpu").to(dtype)
    frozen.set_attn_implementation(attention)
    sizes = sizes_of(frozen)
    model = put_adapter(unlearn, frozen)
    layer = next(m for m in model.modules() if isinstance(m, LlamaDecoderLayer))
    shown = torch.randn(1, 64, 320, dtype=dtype, requires_grad=True)
    around = LlamaRotaryEmbedding(config.text_config)(shown, torch.arange(64)[None])
    own = {p.untyped_storage().data_ptr() for p in model.parameters()} | {
        t.untyped_storage().data_ptr() for t in around
    }
    kept: dict[int, torch.Tensor] = {}
    planned = 64 * kept_per_token(sizes, unlearn, 64) + cast_bytes(sizes, unlearn) // sizes.layers
    if kernels == "auto":
        forwards = fused_forwards(model)
        fused = {module: forward for module, forward in forwards.items() if not isinstance(module, LlamaRMSNorm)}
        assert len(forwards) - len(fused) == 2 * 6 + 1
        for module, forward in fused.items():
            vars(module)["forward"] = forward
        planned += 64 * 2 * (4 * 320 - (number_bytes(unlearn) * 320 + 4))  # only a GPU has norms of one kernel

    def keep(tensor):
        kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        layer(shown, position_embeddings=around)
    measured = sum(t.untyped_storage().nbytes() for place, t in kept.items() if place not in own)
    assert planned == pytest.approx(measured, rel=0.02)


def test_activations_grow_with_the_samples_and_shrink_with_checkpointing(small):
    sizes, load = sizes_of(small), Load(10, 16, 20, 30)
    plain = PARAMS.unlearn.model_copy(update={"method": ViKeR()})
    both = plain.model_copy(update={"method": ViKeR(retain=KL), "retain_batch_size": plain.batch_size})
    again = plain.model_copy(update={"gradient_checkpointing": True})
    assert batches(both) == [2 * plain.batch_size]
    assert batches(both.model_copy(update={"kernels": "plain"})) == [plain.batch_size] * 2
    cast = cast_bytes(sizes, plain)  # once, for one pass
    assert activation_bytes(sizes, both, load) == 2 * activation_bytes(sizes, plain, load) - cast
    held = plain.model_copy(update={"start_from": "adapter", "retain_batch_size": plain.batch_size})
    assert activation_bytes(sizes, held, load) == 2 * activation_bytes(sizes, plain, load)
    assert activation_bytes(sizes, again, load) < activation_bytes(sizes, plain, load)


def test_the_teacher_is_kept_in_float32_and_the_features_up_to_their_limit(small):
    sizes = sizes_of(small)
    assert teacher_bytes(sizes, Load(10, 16, 20, 30)) == 10 * 30 * 500 * 4
    plain = PARAMS.unlearn.model_copy(update={"method": ViKeR()})
    assert feature_bytes(sizes, plain, Load(10, 16, 20, 30)) == 10 * 16 * 128 * number_bytes(plain)
    assert feature_bytes(sizes, plain, Load(10**7, 16, 20, 30)) == 2 * GIB


@pytest.mark.parametrize("stage", ["unlearn", "evaluate"])
def test_a_gpu_fits_a_stage_only_with_a_tenth_in_reserve(stage):
    estimated = estimate(deployed(evaluate={"processes": 1}), 500, 40, 60)
    least, fits = estimated["least"][stage], estimated["fits"][stage]
    assert fits == {gpu: least <= 0.9 * int(gpu) * GIB for gpu in ("16", "24", "40", "48", "80")}
    assert fits["80"] and not fits["16"]
    assert estimated["peak"] == max(estimated["least"].values())


def test_passes_are_as_large_as_the_gpu_holds_and_count_in_what_fits_with_one_sample():
    estimated = estimate(deployed(evaluate={"attacks": {}, "processes": 1}), 500, 40, 60)
    passes, peaks = estimated["passes"], estimated["peaks"]
    assert {name: one["most"] for name, one in passes.items()} == {"teacher": 32, "replies": 256, "likelihoods": 64}
    for name, one in passes.items():
        assert one["alone"] < peaks[name] and sorted(one["samples"].values()) == list(one["samples"].values())
    assert passes["replies"]["samples"]["24"] == 16 and passes["replies"]["samples"]["80"] == 128
    assert estimated["least"]["evaluate"] == max(passes[name]["alone"] for name in ("replies", "likelihoods"))
    assert estimated["least"]["unlearn"] == peaks["training"] > passes["teacher"]["alone"]


def test_two_processes_evaluate_in_twice_the_memory():
    one, two = (estimate(deployed(evaluate={"processes": n}), 500, 40, 60)["peaks"] for n in (1, 2))
    evaluated = [name for name in one if name not in ("loading", "training", "teacher")]
    assert len(evaluated) > 3 and all(two[name] == 2 * one[name] for name in evaluated)
    assert two["teacher"] == one["teacher"]


def test_attacks_that_train_are_planned_at_their_own_batch_sizes():
    attacks = PARAMS.evaluate.attacks
    trained = ("soft_prompt", "universal_perturbation", "relearn_forget", "relearn_retain")

    def peaks(batch_size: int) -> dict:
        changed = {n: attacks[n].model_copy(update={"enabled": True, "batch_size": batch_size}) for n in trained}
        return estimate(deployed(evaluate={"attacks": attacks | changed}), 500, 40, 60)["peaks"]

    few, many = peaks(2), peaks(4)
    assert all(few[name] < many[name] for name in trained)
    assert few["universal_perturbation"] > few["soft_prompt"], "the gradient goes through the vision tower"
    off = {name: attacks[name].model_copy(update={"enabled": False}) for name in trained}
    assert not set(trained) & set(estimate(deployed(evaluate={"attacks": attacks | off}), 500, 40, 60)["peaks"])


def test_an_unknown_model_is_a_users_error_that_names_the_parameter(tmp_path):
    with pytest.raises(UserError, match=r"finetune\.deployed_model: can't load the model .*no such folder"):
        estimate(deployed(str(tmp_path / "none")), 500, 40, 60)


def test_a_family_without_a_fixed_number_of_image_tokens_needs_to_be_told(tmp_path):
    from transformers import Qwen2VLConfig

    text = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    Qwen2VLConfig(text_config=text | {"num_key_value_heads": 1, "vocab_size": 100}).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="--image-tokens"):
        estimate(deployed(str(tmp_path)), 500, 40, 60)
    assert "676 tokens" in str(estimate(deployed(str(tmp_path)), 500, 40, 60, image_tokens=576)["device"])


@pytest.mark.parametrize("method", [m for m in methods().values() if m.unlearns], ids=lambda method: method.name)
def test_a_step_of_any_method_takes_more_with_a_retain_term(method):
    both = (settings_of(method), settings_of(method, retain=KL))
    bare, with_term = (estimate(deployed(method=settings), 9, 40, 60)["peaks"]["training"] for settings in both)
    has_retain_batch = "retain_answers" in method.needs
    assert with_term >= bare if has_retain_batch else with_term > bare


def test_json_and_table_say_the_same():
    run = CliRunner().invoke
    shown = run(app, ["plan", "--params", str(ROOT / "params.yaml")], env={"COLUMNS": "100"})
    told = json.loads(run(app, ["plan", "--params", str(ROOT / "params.yaml"), "--json"]).stdout)
    assert shown.exit_code == 0 and told["model"] == "components/finetune/vanilla"
    assert all(f"{row['bytes'] / GIB:.2f}" in shown.stdout for row in told["device"] + told["host"])
    assert all(f"peak, {phase}" in shown.stdout for phase in told["peaks"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "changes"),
    [
        ("8M", {"method": ViKeR()}),
        ("63M", {"method": ViKeR()}),
        ("8M", {}),
        ("8M", {"gradient_checkpointing": True}),
        ("8M", {"precision": "bfloat16", "method": ViKeR()}),
        ("8M", {"attention": "eager", "method": ViKeR()}),
    ],
)
def test_the_plan_is_within_15_percent_of_the_measured_peak(monkeypatch, size, changes):
    small = {"epochs": 1, "batch_size": 2, "retain_batch_size": 3, "kernels": "plain"}  # as a CPU computes
    unlearn = PARAMS.unlearn.model_copy(update=small | changes)
    sizes = VISION | SIZES[size]
    monkeypatch.setitem(BENCH_SIZES, "measured", ModelParams(**sizes))  # peak leaves it there
    measured = peak(ModelParams(**sizes), unlearn)

    model = ModelParams(**sizes | {"vocabulary": measured["vocabulary"]})
    params = changed("finetune", deployed_model=None, model=model).model_copy(update={"unlearn": unlearn})
    planned = estimate(params, 2 * unlearn.batch_size, measured["sequence"] - 144 - 30, 30)["peaks"]["training"]

    assert planned == pytest.approx(measured["peak"], rel=0.15)
    weights = measured["weights"]
    assert planned - weights == pytest.approx(measured["peak"] - weights, rel=0.15), "besides the weights"
