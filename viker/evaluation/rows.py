"""Everything that is measured on one reply, as a row of the predictions."""

from typing import Any

from viker.evaluation.questions import Question
from viker.metrics import text
from viker.metrics.fuzzy import fuzzy_leaks
from viker.metrics.likelihood import Scores, extraction_strength, normalised_probability, probability
from viker.metrics.membership import SIGNS, signs
from viker.metrics.refusal import refuses

COLUMNS = [
    *("model", "split", "record_id", "person_id", "task", "modality", "picture", "question", "answer", "reply"),
    *("correct", "leaked", "fuzzy_leaked", "refused", "gibberish", "rouge_l", "rouge_l_recall", "bleu"),
    *("probability", "truth_ratio", "extraction_strength"),
]
"""What is written of a row; leaked and fuzzy_leaked are missing where nothing private is in the answer."""
FLAGS = ("correct", "leaked", "fuzzy_leaked", "refused", "gibberish")
SCORES = ("rouge_1", "rouge_2", "rouge_l", "rouge_1_recall", "rouge_l_recall", "bleu", "repetition", "distinct_2")
LIKELIHOODS = ("probability", "normalised_probability", "truth_ratio", "extraction_strength", "log_likelihood", *SIGNS)


def row(
    model: str, question: Question, reply: str, known: list[Scores], surprise: float | None, usual: float
) -> dict[str, Any]:
    """Return everything measured on one reply.

    Args:
        model: vanilla or unlearned.
        question: what was asked.
        reply: what the model said.
        known: the scores of ``answers(question)``, in their order; empty where the question isn't an open one.
        surprise: nats a token, of the reply, to the vanilla model that is shown an irrelevant image.
        usual: the largest surprise of any true answer of the data. A reply to an open question is gibberish where it is
            degenerate (see ``text.is_degenerate``) or more surprising than that.
    """
    record, sample = question.record, question.sample
    found: dict[str, Any] = {
        "model": model,
        "split": question.split,
        "record_id": record.id,
        "person_id": record.person_id,
        "task": record.task,
        "modality": record.modality,
        "picture": sample.picture,
        "question": record.question,
        "answer": record.answer,
        "reply": reply,
        **dict.fromkeys((*FLAGS, *SCORES, *LIKELIHOODS)),
        "surprise": surprise,
    }
    if record.task == "classification":
        found["correct"] = text.classification_correct(reply, record.correct)
    if record.task == "cloze":
        found["correct"] = text.cloze_correct(reply, record.answer)
    if not question.spoken:
        return found
    return found | {
        "leaked": text.leaks(reply, record.secrets),
        "fuzzy_leaked": fuzzy_leaks(reply, question.known),
        "refused": refuses(reply),
        "gibberish": text.is_degenerate(reply) or (surprise or 0.0) > usual,
        **text.rouge(reply, record.answer),
        "bleu": text.bleu(reply, record.answer),
        "repetition": text.repetition(reply),
        "distinct_2": text.distinct_2(reply),
        **likelihoods(question, known),
    }


def answers(question: Question) -> list[str]:
    """Return the answers to an open question whose likelihoods are needed.

    They are the true one; and where there are wrong ones, the right one to hold against them, the first paraphrase or
    else the true one, and those.
    """
    record = question.record
    right = next(iter(record.paraphrases), record.answer)
    return [record.answer, *((right, *record.perturbed_answers) if record.perturbed_answers else ())]


def likelihoods(question: Question, known: list[Scores]) -> dict[str, float | None]:
    """Return what the likelihoods of ``answers(question)`` tell, see ``likelihood`` and ``text.truth_ratio``."""
    true, *compared = known
    found: dict[str, float | None] = {
        "log_likelihood": true.log_likelihood,
        "probability": probability(true.log_likelihood),
        "extraction_strength": extraction_strength(true.hit[:-1]),
        **signs(true, question.record.answer),
    }
    if compared:
        right, *wrong = (scores.log_likelihood for scores in compared)
        found["truth_ratio"] = text.truth_ratio(right, wrong)
        found["normalised_probability"] = normalised_probability(true.log_likelihood, wrong)
    return found
