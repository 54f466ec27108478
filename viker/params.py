"""params.yaml: one section a stage, validated; an error names the key, the value and what is allowed."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from viker.attacks.settings import AttacksParams
from viker.core.settings import Section, read_yaml, validated
from viker.deploy_settings import DeployParams
from viker.gate.rules import parse_rule, readable

Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0)]
Kind = Literal["scene", "pet", "noise", "photo", "folder", "forget", "retain"]


class PrepareParams(Section):
    """Which data, and who is to be forgotten."""

    source: str = Field(min_length=1)
    """A file or folder, s3://BUCKET/PREFIX, hf://OWNER/NAME, or a .yaml file that describes a benchmark to generate."""
    format: Literal["auto", "mllmu", "clear", "umu", "records"]
    """What the source holds; auto recognises it."""
    revision: str | None
    """Commit or tag of a source on the hub."""
    forget_share: Share
    """Picks the benchmark's own split: 0.1 means the configurations forget_10 and retain_90."""
    forget_ids: list[str]
    """People to forget in place of the benchmark's own split; empty: those of the pending requests, or that split."""
    requests: str
    """The folder of forget requests, a YAML file each; the people of those that are carried out are in no split."""
    on_invalid: Literal["fail", "exclude"]
    """What an invalid row does: stop the stage, or be set aside in excluded.parquet."""
    max_excluded: Annotated[float, Field(ge=0, lt=1)]
    """The largest share of rows that may be set aside."""


class ModelParams(Section):
    """The size of the model that finetune builds and trains from scratch."""

    image_size: Positive
    """Pixels a side."""
    patch_size: Positive
    vision_width: Positive
    vision_layers: Positive
    width: Positive
    layers: Positive
    heads: Positive
    vocabulary: Positive
    """The most tokens that the byte-level BPE tokenizer may learn."""


class FinetuneParams(Section):
    """How the vanilla model is made, or which deployed model stands in for it."""

    deployed_model: str | None
    """A folder or hub name of a model that already knows the people; null: train a small one."""
    model: ModelParams
    base_steps: Annotated[int, Field(ge=0)]
    """Steps of base training: visual questions, and templates with answers drawn afresh."""
    memorise_epochs: Positive
    base_lr: Rate
    memorise_lr: Rate
    batch_size: Positive


class SampleParams(Section):
    """The irrelevant images."""

    kinds: Annotated[list[Kind], Field(min_length=1)]
    k: Positive
    """How many images the teacher averages over; 5 in the paper."""
    pool: Positive
    """How many images there are; each question gets k of them."""
    folder: str | None
    """The user's own images, for the kind 'folder': a path, s3://BUCKET/PREFIX or hf://OWNER/NAME."""
    revision: str | None
    """Commit or tag of a folder on the hub."""

    @field_validator("pool")
    @classmethod
    def _enough(cls, pool: int, info: ValidationInfo) -> int:
        k = info.data.get("k", 1)
        if pool < k:
            raise ValueError(f"expected at least sample.k, which is {k}: an image is not shown twice")
        return pool

    @field_validator("folder")
    @classmethod
    def _folder_named(cls, folder: str | None, info: ValidationInfo) -> str | None:
        if not folder and "folder" in info.data.get("kinds", ()):
            raise ValueError("the kind 'folder' takes its images from there; name a folder")
        return folder


class StopWhen(Section):
    """What has been forgotten when the run may end before its last epoch."""

    key_token_probability: Share
    """Mean probability of the true token over the key tokens of the forget set, shown the truth before it; the run
    ends after the first epoch that brings it down to this."""


class UnlearnParams(Section):
    """The unlearning run."""

    method: Literal["viker", "ga", "graddiff", "kl", "npo", "idk", "retrain"]
    base_model: str | None
    """For retrain: a folder or hub name of the model before it learnt the people."""
    lambda_: Annotated[float, Field(ge=0, alias="lambda")]
    """Weight of ViKeR's regulariser; 0 is gradient ascent."""
    teacher: Literal["irrelevant", "text_only", "none"]
    """What ViKeR's teacher sees: the irrelevant images, no picture at all; none: no regulariser, gradient ascent."""
    weighting: Literal["kl", "entropy_weight", "hard_mask"]
    """What makes ViKeR press key tokens most: the regulariser, or in its place weights on gradient ascent."""
    mask_threshold: Annotated[float, Field(ge=0)]
    """Nats; hard_mask presses only tokens where the teacher's entropy is above this."""
    use_ga: bool
    """Whether ViKeR's loss has its first term, gradient ascent."""
    beta: Rate
    """Inverse temperature of npo and idk; 0.1 in their papers."""
    retain_weight: Annotated[float, Field(ge=0)]
    """Weight of KL(vanilla || unlearned) on retain samples; 0, as in the paper, leaves the term out."""
    retain_batch_size: Positive
    """Retain samples a batch, for the retain term, graddiff and kl."""
    epochs: Positive
    batch_size: Positive
    gradient_accumulation: Positive
    """Batches a step; its gradient is the mean of theirs, each batch counting the same whatever its tokens."""
    group_by_length: bool
    """Whether a batch holds answers of like lengths: less padding, less random batches."""
    lr: Rate
    lr_scheduler: Literal["constant", "linear", "cosine"]
    """How the rate goes after the warm-up: it stays, or falls to 0 at the last step."""
    warmup: Annotated[float, Field(ge=0, lt=1)]
    """Share of the steps in which the rate rises from 0."""
    max_grad_norm: Annotated[float, Field(ge=0)]
    """A longer gradient is cut to this; 0 cuts none."""
    stop_when: StopWhen | None
    """Ends the run early; null: all epochs are run."""
    precision: Literal["float32", "bfloat16"]
    """Of the frozen model; the adapter and the losses are float32."""
    load_in_4bit: bool
    """Whether the frozen language model's matrices are loaded in 4 bits (NF4, by bitsandbytes): a quarter of the
    memory of bfloat16, and rounded. The vision tower stays as it is."""
    shard: bool
    """Whether several processes share the frozen language model out among them (FSDP), each holding a part of every
    layer, in place of a whole one each (DDP); the adapter is the same."""
    attention: Literal["sdpa", "eager"]
    """torch's fused attention, or the plain one."""
    gradient_checkpointing: bool
    """Whether activations are computed again in the backward pass: less memory, a third more time."""
    start_from: str | None
    """The folder of an adapter that carries earlier requests, to train further; null starts from the vanilla model."""
    lora_r: Positive
    lora_alpha: Positive
    checkpoint_steps: Positive
    """Steps between two checkpoints; a run that is killed goes on from the last one."""
    key_token_entropy: Annotated[float, Field(ge=0)]
    """Nats; a token is called key in the records where the teacher's entropy is above this."""

    @field_validator("base_model")
    @classmethod
    def _base_for_retrain(cls, base: str | None, info: ValidationInfo) -> str | None:
        if base is None and info.data.get("method") == "retrain":
            raise ValueError(
                "the method retrain starts from the model before it learnt the people: name its folder or hub name "
                "(an adapter on the vanilla model can't make it not know them)"
            )
        return base

    @field_validator("shard")
    @classmethod
    def _shards_of_whole_numbers(cls, shard: bool, info: ValidationInfo) -> bool:
        if shard and info.data.get("load_in_4bit"):
            raise ValueError("a model in 4 bits can't be sharded: set one of the two to false")
        return shard

    @field_validator("weighting")
    @classmethod
    def _weighting_has_a_teacher(cls, weighting: str, info: ValidationInfo) -> str:
        if weighting != "kl" and info.data.get("teacher") == "none":
            raise ValueError("its weights are the teacher's entropy: set unlearn.teacher to irrelevant or text_only")
        return weighting

    @field_validator("use_ga")
    @classmethod
    def _a_term_is_left(cls, use_ga: bool, info: ValidationInfo) -> bool:
        bare = info.data.get("teacher") == "none" or info.data.get("lambda_") == 0 or info.data.get("weighting") != "kl"
        if not use_ga and info.data.get("method") == "viker" and bare:
            raise ValueError("without gradient ascent a teacher, a lambda above 0 and the weighting kl are needed")
        return use_ga

    @field_validator("start_from")
    @classmethod
    def _of_the_same_model(cls, start_from: str | None, info: ValidationInfo) -> str | None:
        if start_from is not None and info.data.get("method") == "retrain":
            raise ValueError("the method retrain starts from unlearn.base_model alone: set it to null")
        return start_from

    @field_validator("stop_when")
    @classmethod
    def _something_to_forget(cls, stop_when: StopWhen | None, info: ValidationInfo) -> StopWhen | None:
        if stop_when is not None and info.data.get("method") == "retrain":
            raise ValueError("the method retrain forgets nothing: set it to null")
        return stop_when


class EvaluateParams(Section):
    """How the models are questioned."""

    batch_size: Positive
    max_new_tokens: Positive
    one_sentence: bool
    """Whether questions of the task generation ask for one sentence, as MLLMU-Bench's evaluation does."""
    retrained: str | None
    """A folder or hub name of a model trained on retain alone, or the folder of such an adapter (method retrain)."""
    attacks: AttacksParams


class GateParams(Section):
    """What an adapter must show before it may be promoted."""

    policy: Literal["default", "strict", "benchmark"] | None
    """A file in viker/gate/policies; null: the rules here alone."""
    rules: list[str]
    """Further rules; see viker/gate/rules.py."""
    require: list[str]
    """What must be among the metrics: the path of a number, or a rule on counts."""

    @field_validator("rules")
    @classmethod
    def _parsed(cls, rules: list[str], info: ValidationInfo) -> list[str]:
        if not rules and info.data.get("policy", "") is None:
            raise ValueError("without a policy at least one rule is needed: a gate without rules lets everything pass")
        return [parse_rule(rule).text for rule in rules]

    @field_validator("require")
    @classmethod
    def _readable(cls, require: list[str]) -> list[str]:
        return [readable(one) for one in require]


class RegisterParams(Section):
    """Where the adapter is registered."""

    experiment: str = Field(min_length=1)
    model_name: str = Field(min_length=1)


class ReportParams(Section):
    """What the report shows."""

    answers: Positive
    """How many answers are shown before and after unlearning."""
    redact: bool
    """Whether private values, names, pictures and IDs of people are withheld."""


class Params(Section):
    """The whole of params.yaml."""

    seed: Annotated[int, Field(ge=0, lt=2**31)]
    threads: Positive
    """CPU threads of torch: with the seed, what makes a run on the CPU repeatable to the byte."""
    prepare: PrepareParams
    finetune: FinetuneParams
    sample: SampleParams
    unlearn: UnlearnParams
    evaluate: EvaluateParams
    gate: GateParams
    register_: Annotated[RegisterParams, Field(alias="register")]
    report: ReportParams
    deploy: DeployParams
    sweep: dict[str, Annotated[list[Any], Field(min_length=1)]]
    """Dotted keys and the values that 'viker sweep' tries, every combination of them."""


def load_params(path: Path) -> Params:
    """Read and validate params.yaml.

    Raises:
        UserError: missing file, invalid YAML, an unknown or missing key, a wrong type, a value out of range.
    """
    return validated(Params, read_yaml(path, "Run in the project's root, or name it with --params."), path)
