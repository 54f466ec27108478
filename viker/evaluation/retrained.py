"""The unlearned model versus one that was retrained without the people to forget."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from viker.core.errors import UserError
from viker.data.samples import Sample
from viker.evaluation.depth import unlearning_depth
from viker.evaluation.predictions import answer_scores
from viker.evaluation.questions import Question
from viker.evaluation.rows import likelihoods
from viker.metrics.base.catalogue import metrics_of
from viker.metrics.clear_protocol import task_ratios
from viker.metrics.retrained_model import forget_quality
from viker.models.adapter import load_adapter
from viker.models.base_model import adapter_config
from viker.models.encoder import Encoder
from viker.models.loading import load_model
from viker.models.logits import answer_logits

WHERE = "evaluate.retrained"


def compare_with_retrained(
    name: str | None,
    adapted: Any,
    encoder: Encoder,
    questions: Sequence[Question],
    unlearned: pd.DataFrame,
    size: int,
    vanilla: Any = None,
) -> dict[str, float | None]:
    """Return the metrics of the block run: the unlearned model on the people to forget, versus a retrained one.

    Forget quality goes by captions alone where there are any, else by all open questions.

    ``name``: see ``load_retrained``; without one, all numbers are None. ``adapted``: with its adapter on.
    ``unlearned``: its predictions, for their truth ratios. ``vanilla``: a PEFT model that knows the people, in place of
    ``adapted`` with its adapter off.
    """
    if name is None:
        return {metric.name: None for metric in metrics_of("run")}
    retrained = load_retrained(name, encoder.tokenizer.get_vocab())
    open_questions = [question for question in questions if question.split == "forget" and question.spoken]
    scores = answer_scores(retrained, encoder, open_questions, size, "scoring retrained")
    of_questions = [
        {"task": question.record.task} | likelihoods(question, known)
        for question, known in zip(open_questions, scores, strict=True)
    ]
    samples = [question.sample for question in open_questions]
    secrets = [question.record.secrets or () for question in open_questions]
    return {
        **forget_qualities(unlearned[unlearned["split"] == "forget"], pd.DataFrame(of_questions)),
        "kl_to_retrained": kl_to_retrained(retrained, adapted, encoder, samples, size),
        "unlearning_depth": unlearning_depth(
            vanilla or adapted, retrained, encoder, samples, secrets, size, unlearned=adapted
        ),
    }


def forget_qualities(unlearned: pd.DataFrame, retrained: pd.DataFrame) -> dict[str, float | None]:
    """Return ``forget_quality`` and ``forget_quality_clear`` from two tables about the people to forget.

    Both have one row per question, with ``task`` and the columns of the likelihoods.
    """
    tables = [unlearned, retrained]
    has_captions = all("caption" in set(table.get("task", ())) for table in tables)
    if has_captions:
        tables = [table[table["task"] == "caption"] for table in tables]
    ratios = [table.get("truth_ratio", pd.Series()).dropna().astype(float).tolist() for table in tables]
    of_task = [task_ratios(table).dropna().tolist() for table in tables] if has_captions else [[], []]
    return {"forget_quality": forget_quality(*ratios), "forget_quality_clear": forget_quality(*of_task)}


def load_retrained(name: str, vocabulary: Any) -> Any:
    """Return the model that ``evaluate.retrained`` names: a model, or an adapter of the method retrain on its own base.

    ``vocabulary``: of the vanilla model's tokenizer, token to ID.

    Raises:
        UserError: it can't be loaded, or its tokenizer has another vocabulary, so that likelihoods can't be compared.
    """
    if (Path(name) / "adapter_config.json").is_file():
        base = str(adapter_config(Path(name), WHERE).get("base_model_name_or_path"))
        model, processor = load_model(base, f"{WHERE}: {name}: base_model_name_or_path")
        model = load_adapter(model, Path(name), WHERE)
    else:
        model, processor = load_model(name, WHERE)
    if processor.tokenizer.get_vocab() != vocabulary:
        raise UserError(
            f"{WHERE} is '{name}', whose tokenizer has other tokens than the vanilla model's: their likelihoods can't "
            "be compared. Name a model trained from the same base on the retain people alone, or null."
        )
    return model


@torch.no_grad()
def kl_to_retrained(
    retrained: Any, unlearned: Any, encoder: Encoder, samples: Sequence[Sample], batch_size: int
) -> float | None:
    """Return the mean of KL(retrained || unlearned) over the tokens of the samples' true answers, nats, at least 0.

    Each token is predicted after the true ones before it. 0 is best: nothing then tells the two models apart on the
    people to forget. None without samples.
    """
    total, tokens = 0.0, 0
    for start in range(0, len(samples), batch_size):
        batch = encoder.batch(samples[start : start + batch_size])
        log_p_retrained = answer_logits(retrained, batch)[batch.mask].float().log_softmax(-1)
        log_p_unlearned = answer_logits(unlearned, batch)[batch.mask].float().log_softmax(-1)
        total += float((log_p_retrained.exp() * (log_p_retrained - log_p_unlearned)).sum())
        tokens += len(log_p_retrained)
    return total / tokens if tokens else None
