"""The first words of the answer put into the model's mouth: does it go on where it would not have begun?"""

import pandas as pd

from viker.attacks.continuing import continuations
from viker.attacks.settings import AttackParams
from viker.attacks.subject import Subject
from viker.attacks.table import Attacked, Question, row
from viker.attacks.targets import NotApplicable, Targets
from viker.data.records import Record
from viker.models.chat import Sample, sample_of


def run(subject: Subject, targets: Targets, settings: AttackParams, seed: int) -> Attacked:
    """Have the model go on after the words of the answer that come before the private value.

    Raises:
        NotApplicable: every answer begins with its private value, or doesn't hold it word for word.
    """
    found = [(record, beginning(record)) for record in targets.questions(settings.questions, seed)]
    questions = [Question(record, sample_of(record), words) for record, words in found if words]
    if not questions:
        raise NotApplicable("no answer has words before its private value")
    samples = [Sample(q.sample.record_id, q.sample.prompt, q.variant, q.sample.picture) for q in questions]
    said = continuations(subject, samples, "prefix")
    rows = pd.DataFrame([row(question, [reply]) for question, reply in zip(questions, said, strict=True)])
    shown = rows["question"] + "\n" + rows["variant"]
    return Attacked(rows.assign(question=shown, variant=""))


def beginning(record: Record) -> str:
    """Return the words of the answer before the first of its secrets; "" where there are none."""
    answer = record.answer.casefold()
    starts = [start for secret in record.secrets if (start := answer.find(secret.casefold())) >= 0]
    return record.answer[: min(starts, default=0)].rstrip()
