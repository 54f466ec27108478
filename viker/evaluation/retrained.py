"""The unlearned model beside the gold one: retrained without the people to forget."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel

from viker.core.errors import UserError
from viker.models.chat import Encoder, Sample, answer_logits
from viker.models.loading import load_model

WHERE = "evaluate.retrained"


def load_retrained(named: str, vocabulary: Any) -> Any:
    """Return the model that ``evaluate.retrained`` names: a model, or an adapter of the method retrain on its own base.

    Args:
        named: a folder, or a hub name.
        vocabulary: of the vanilla model's tokenizer, token to ID.

    Raises:
        UserError: it can't be loaded, or its tokens are others, so that likelihoods can't be compared.
    """
    if (Path(named) / "adapter_config.json").is_file():
        base = str(PeftConfig.from_pretrained(named).base_model_name_or_path)
        model, processor = load_model(base, f"{WHERE}: {named}: base_model_name_or_path")
        model = PeftModel.from_pretrained(model, named).eval()
    else:
        model, processor = load_model(named, WHERE)
    if processor.tokenizer.get_vocab() != vocabulary:
        raise UserError(
            f"{WHERE} is '{named}', whose tokenizer has other tokens than the vanilla model's: their likelihoods can't "
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
        gold = answer_logits(retrained, batch)[batch.mask].float().log_softmax(-1)
        ours = answer_logits(unlearned, batch)[batch.mask].float().log_softmax(-1)
        total += float((gold.exp() * (gold - ours)).sum())
        tokens += len(gold)
    return total / tokens if tokens else None
