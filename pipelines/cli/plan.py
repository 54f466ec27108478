"""``viker plan``: the memory that a run will need, from the model's configuration; no weights are loaded."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table

from components.contract.params import Params, load_params
from viker.core.console import ParamsOption
from viker.core.errors import UserError
from viker.models.fitting import RESERVE

GPUS = (16, 24, 40, 48, 80)
"""Common sizes, GiB."""
GIB = 2**30
LLAVA = {  # published: width, width of the MLP, layers, heads
    "llava-hf/llava-1.5-7b-hf": (4096, 11008, 32, 32),
    "llava-hf/llava-1.5-13b-hf": (5120, 13824, 40, 40),
}


def plan(
    params: ParamsOption = Path("params.yaml"),
    samples: Annotated[int, typer.Option(min=1, help="Questions to forget.")] = 500,
    prompt_tokens: Annotated[int, typer.Option(min=1, help="Tokens of a prompt, besides the picture's.")] = 40,
    answer_tokens: Annotated[int, typer.Option(min=1, help="Tokens of the longest answer.")] = 60,
    image_tokens: Annotated[
        int | None, typer.Option(min=0, help="Tokens of a picture; needed where a family has no fixed number.")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="GPUs; with unlearn.shard they share the language model.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, in bytes.")] = False,
) -> None:
    """Estimate the memory that unlearning and evaluation need of each GPU, and which GPUs they fit.

    Reads *params.yaml* and the model's configuration; loads no weights. Teacher, replies and likelihoods begin with
    as many samples per pass as the GPU holds.
    """
    estimated = estimate(load_params(params), samples, prompt_tokens, answer_tokens, image_tokens, processes)
    if as_json:
        typer.echo(json.dumps(estimated, indent=2))
    else:
        Console(highlight=False).print(table(estimated))


def estimate(
    params: Params,
    samples: int,
    prompt_tokens: int,
    answer_tokens: int,
    image_tokens: int | None = None,
    processes: int = 1,
) -> dict[str, Any]:
    """Return the parts of training in bytes, the peak of each phase, and what fits.

    ``peaks``: of ``loading`` (the weights as they are stored), ``training`` (all parts on the device), and, with the
    most samples per pass, of ``teacher``, ``replies``, ``likelihoods`` and each attack that optimises or trains. Of
    these ``passes`` has the peak with one sample ``alone``, and by GPU how many ``samples`` of a pass it holds.
    ``least``: what each stage needs, the largest of its peaks where passes have one sample; ``peak``: the larger of
    both. ``host`` is kept in the CPU's memory; without a GPU it adds up. A GPU fits a stage if ``least`` leaves
    ``RESERVE`` of it.

    Raises UserError: the model is unknown, or the number of tokens per picture is not fixed and not given.
    """
    from pipelines.cli.plan_passes import passes
    from viker.training import memory

    name, model = planned_model(params)
    unlearn = params.unlearn
    sizes = memory.sizes_of(model)
    image = _image_tokens(model.config, name) if image_tokens is None else image_tokens
    load = memory.Load(samples, image, prompt_tokens, answer_tokens)
    weights = memory.held_bytes(sizes, unlearn, processes)
    gathered = memory.gathered_bytes(sizes, unlearn, processes)
    precision = unlearn.precision + (", the language model in 4 bits" if unlearn.load_in_4bit else "")
    if gathered:
        precision += f", the language model in {processes} parts"
    adapter = memory.adapter_bytes(sizes, unlearn)
    rows = "+".join(map(str, memory.batches(unlearn)))
    each = f"{load.sequence} tokens x {sizes.layers} layers"
    again = ", computed again" if unlearn.gradient_checkpointing else ""
    device = [
        ("weights", weights, f"{sizes.parameters / 1e6:,.1f} M, {precision}"),
        *([("gathered", gathered, "embedding and two layers of the other parts")] if gathered else []),
        ("adapter", adapter, f"LoRA, r {unlearn.lora_r}: {adapter / 4e6:,.1f} M, float32"),
        ("gradients", adapter, "as the adapter"),
        ("optimiser", 2 * adapter, "AdamW: two moments, float32"),
        ("activations", memory.activation_bytes(sizes, unlearn, load), f"{rows} samples x {each}{again}"),
        ("working memory", memory.working_bytes(sizes, unlearn, load), "a layer's gradients, or the loss"),
    ]
    host = [
        ("teacher", memory.teacher_bytes(sizes, load), f"{samples} x {answer_tokens} x {sizes.vocabulary}"),
        ("pictures", memory.pixel_bytes(sizes, load), "pixels, a picture a sample, float32"),
        ("features", memory.feature_bytes(sizes, unlearn, load), "of the pictures, kept; 2 GiB at most"),
    ]
    dtype = getattr(model.config, "dtype", None)
    stored = 4 if dtype is None else dtype.itemsize
    teacher, *evaluation = adaptive = passes(params, model.config, sizes, load, weights + gathered, stored)
    unlearning = {
        "loading": weights if unlearn.load_in_4bit or gathered else max(weights, stored * sizes.parameters),
        "training": sum(size for _, size, _ in device),
    }
    least = {
        "unlearn": max(*unlearning.values(), teacher.peak(1)),
        "evaluate": max(one.peak(1) for one in evaluation),
    }
    return {
        "model": name,
        "device": [{"part": part, "bytes": size, "how": how} for part, size, how in device],
        "host": [{"part": part, "bytes": size, "how": how} for part, size, how in host],
        "peaks": unlearning | {one.name: one.peak(one.most) for one in adaptive},
        "passes": {
            one.name: {
                "most": one.most,
                "alone": one.peak(1),
                "samples": {str(gpu): one.samples(gpu * GIB) for gpu in GPUS if _fits(one.peak(1), gpu)},
            }
            for one in adaptive
        },
        "least": least,
        "peak": max(least.values()),
        "fits": {stage: {str(gpu): _fits(size, gpu) for gpu in GPUS} for stage, size in least.items()},
    }


def _fits(size: int, gpu: int) -> bool:
    return size <= (1 - RESERVE) * gpu * GIB


def table(estimated: dict[str, Any]) -> RenderableType:
    """Return the estimate as a table of parts, for a console of 80 columns or more."""
    parts = Table(title=f"Unlearning {estimated['model']}", title_justify="left")
    parts.add_column("part")
    parts.add_column("GiB", justify="right")
    parts.add_column("how it is computed", overflow="fold")
    for row in estimated["device"]:
        parts.add_row(row["part"], f"{row['bytes'] / GIB:.2f}", row["how"])
    parts.add_section()
    for phase, size in estimated["peaks"].items():
        parts.add_row(f"peak, {phase}", f"{size / GIB:.2f}", _remark(estimated, phase, size))
    parts.add_section()
    for row in estimated["host"]:
        parts.add_row(f"CPU: {row['part']}", f"{row['bytes'] / GIB:.2f}", row["how"])
    lines = [f"fits a GPU with a tenth in reserve, {stage}:{_marks(of)}" for stage, of in estimated["fits"].items()]
    return Group(parts, *lines)


def _marks(fits: dict[str, bool]) -> str:
    return "".join(f"  {gpu} GB {'✓' if fit else '✗'}" for gpu, fit in fits.items())


def _remark(estimated: dict[str, Any], phase: str, size: int) -> str:
    """Return what stands behind a peak: whether it decides which GPUs fit, or how passes shrink to fit smaller ones."""
    passes = estimated["passes"].get(phase)
    if passes is None:
        return "the largest" if size == estimated["peak"] else ""
    fewer = [f"{n} on {gpu} GB" for gpu, n in passes["samples"].items() if n < passes["most"]]
    sizes = ", ".join([f"{passes['most']} samples in a pass", *fewer])
    return f"{sizes}; {passes['alone'] / GIB:.2f} with 1"


def planned_model(params: Params) -> tuple[str, Any]:
    """Return the name of the model to unlearn from, and the model without weights."""
    from viker.finetuning.small_llava import build_config
    from viker.models.loading import empty_model

    if params.unlearn.method.start_model is not None:
        name, where = params.unlearn.method.start_model, "unlearn.method.base_model"
    elif params.finetune.deployed_model is not None:
        name, where = params.finetune.deployed_model, "finetune.deployed_model"
    else:
        small = params.finetune.model
        return "finetune.model", empty_model(build_config(small, small.vocabulary), "finetune.model")
    return name, empty_model(_llava(name) if name in LLAVA else name, where)


def _llava(name: str) -> Any:
    """Return the configuration of a published LLaVA-1.5, so that no network is needed."""
    from transformers import LlamaConfig, LlavaConfig

    width, mlp, layers, heads = LLAVA[name]
    text = LlamaConfig(
        vocab_size=32064, hidden_size=width, intermediate_size=mlp, num_hidden_layers=layers, num_attention_heads=heads
    )
    return LlavaConfig(text_config=text, dtype="float16")  # the vision tower is the default, CLIP ViT-L at 336 pixels


def _image_tokens(config: Any, name: str) -> int:
    if hasattr(config, "mm_tokens_per_image"):
        return int(config.mm_tokens_per_image)
    if config.model_type in ("llava", "paligemma"):
        patches = (config.vision_config.image_size // config.vision_config.patch_size) ** 2
        return int(patches + (getattr(config, "vision_feature_select_strategy", "") == "full"))
    raise UserError(
        f"{name}: models of type {config.model_type} cut a picture into a number of tokens that depends on its size. "
        "Say how many with --image-tokens."
    )
