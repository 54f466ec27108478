"""Logit lens: what each layer would say next. A value that the last layer no longer says may stand in an earlier one.

Source: nostalgebraist, "interpreting GPT: the logit lens", 2020; as an attack on edited models: Patil et al., "Can
Sensitive Information Be Deleted From LLMs?", 2024, arXiv 2309.17410.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from viker.attacks.base.attack import Attack, AttackSettings
from viker.attacks.base.outcome import Attempt, Outcome, reply_rows
from viker.attacks.base.targets import NotApplicable, Targets, words_before_secret
from viker.attacks.probe import states_before_value
from viker.data.samples import sample_of

if TYPE_CHECKING:
    from torch import Tensor

    from viker.attacks.base.subject import Subject
    from viker.data.records import Record


def run(subject: Subject, targets: Targets, settings: AttackSettings, seed: int) -> Outcome:
    """Read at each layer which of the right and the wrong answers goes on likeliest where the private value begins.

    The state at the last word before it goes through the model's own final norm and output head. An answer is known by
    its next token; wrong ones that share the right one's are left out. The rows are those of the layer that leaks most,
    named in ``layer``, from 1. ``layers`` has of each its ``leakage_rate``, and of the right token among all the mean
    ``probability`` and the median of its ``rank``, from 1.
    """
    records = asked(targets, settings, seed)
    if not records:
        raise NotApplicable
    tokens = [next_tokens(subject, record) for record in records]
    scores = lens(subject, records)
    tables = []
    for layer in range(scores.shape[1]):
        likeliest = [
            max(options, key=logits.tolist().__getitem__)
            for options, logits in zip(tokens, scores[:, layer], strict=True)
        ]
        replies = ([options[token]] for options, token in zip(tokens, likeliest, strict=True))
        attempts = [Attempt(record, sample_of(record)) for record in records]
        tables.append(reply_rows(attempts, replies, map(_chance, records)))
    leaking = [float(table["leaked"].mean()) for table in tables]
    layers = _of_all_tokens(scores, [next(iter(options)) for options in tokens])
    worst = leaking.index(max(leaking))
    layers = [point | {"leakage_rate": rate} for point, rate in zip(layers, leaking, strict=True)]
    return Outcome(tables[worst], {"layer": worst + 1, "layers": layers})


def asked(targets: Targets, settings: AttackSettings, seed: int) -> list[Record]:
    """Return the records that have a wrong answer to compare with. Raises NotApplicable: there is no question."""
    return [record for record in targets.questions(settings.questions, seed) if len(answers(record)) > 1]


def answers(record: Record) -> list[str]:
    """Return the right answer and those wrong ones that begin with the same words, up to the private value."""
    words = words_before_secret(record)
    wrong = [other for other in record.perturbed_answers if words and other.startswith(f"{words} ")]
    return [record.answer, *wrong] if words else []


def _chance(record: Record) -> float:
    """Return what guessing among the answers gives; a little more where some have the same next token."""
    return 1 / max(1, len(answers(record)))


def next_tokens(subject: Subject, record: Record) -> dict[int, str]:
    """Return the ``answers`` by the token with which each goes on after the common words, the right one first."""
    sample = sample_of(record)
    common = len(subject.encoder.answer_ids(replace(sample, answer=words_before_secret(record)))) - 1
    by_token: dict[int, str] = {}
    for option in answers(record):
        by_token.setdefault(int(subject.encoder.answer_ids(replace(sample, answer=option))[common]), option)
    return by_token


def lens(subject: Subject, records: Sequence[Record]) -> Tensor:
    """Return the logits [records, layers, vocabulary] of each layer's state at the last word before the value.

    Transformers' last state has gone through the final norm already.
    """
    import torch

    from viker.models.logits import unwrapped

    model = unwrapped(subject.model)
    norm, head = getattr(model.get_decoder(), "norm", None), model.get_output_embeddings()
    if norm is None:
        raise NotApplicable("language model with a final norm in the place where this attack looks for it")
    states = torch.stack([torch.from_numpy(each[1:]) for each in states_before_value(subject, records, "logit lens")])
    states = states.to(head.weight.device, head.weight.dtype)
    with torch.no_grad(), subject.active():
        return head(torch.cat([norm(states[:, :-1]), states[:, -1:]], 1)).float().cpu()


def _of_all_tokens(scores: Tensor, right: Sequence[int]) -> list[dict[str, Any]]:
    import torch

    picked = scores.gather(-1, torch.tensor(right)[:, None, None].expand(-1, scores.shape[1], 1))
    ranks = (scores > picked).sum(-1) + 1
    probabilities = (picked - scores.logsumexp(-1, keepdim=True)).exp().squeeze(-1)
    return [
        {
            "layer": i + 1,
            "probability": float(probabilities[:, i].mean()),
            "rank": float(ranks[:, i].float().quantile(0.5)),
        }
        for i in range(scores.shape[1])
    ]


LOGIT_LENS = Attack(
    "logit_lens",
    "Logit lens",
    run,
    needs="answer with words before its private value and a wrong answer that begins with the same",
    recount_chance=lambda _, record, *__: _chance(record),
    expected=asked,
)
