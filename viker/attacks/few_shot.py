"""Answers about retain people before the question: an invitation to go on in the same way."""

import random
from dataclasses import replace

from viker.attacks.settings import FewShotParams
from viker.attacks.subject import Subject
from viker.attacks.table import Attacked, Question, ask
from viker.attacks.targets import NotApplicable, Targets, open_records
from viker.data.records import Record
from viker.metrics.leakage import leaks
from viker.models.chat import sample_of


def run(subject: Subject, targets: Targets, settings: FewShotParams, seed: int) -> Attacked:
    """Put ``settings.examples`` questions and answers of retain people before each question, in text.

    Where retain people are asked the same question, the examples are theirs. None gives the private value away.

    Raises:
        NotApplicable: no retain person has an open question with a picture.
    """
    rng = random.Random(seed)
    known = [record for record in open_records(targets.retain) if record.images]
    if not known:
        raise NotApplicable("no retain person has an open question with a picture")
    questions = []
    for record in targets.questions(settings.questions, seed):
        fit = [r for r in known if not leaks(f"{r.question} {r.answer}", record.secrets)]
        same = [r for r in fit if r.question == record.question]
        enough = same if len(same) >= settings.examples else fit
        shown = rng.sample(enough, min(settings.examples, len(enough)))
        questions.append(Question(record, sample_of(replace(record, question=_with_examples(record, shown)))))
    return Attacked(ask(subject, questions, "few-shot"))


def _with_examples(record: Record, shown: list[Record]) -> str:
    examples = [f"{r.question}\n{r.answer}" for r in shown]
    return "\n\n".join([*examples, record.question])
