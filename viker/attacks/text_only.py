"""Questions with the person's name and no picture: what unlearning by pictures may leave in the text."""

from dataclasses import replace

from viker.attacks.settings import AttackParams
from viker.attacks.subject import Subject
from viker.attacks.table import Attacked, Question, ask
from viker.attacks.targets import NotApplicable, Targets, open_records, spread
from viker.models.chat import sample_of


def run(subject: Subject, targets: Targets, settings: AttackParams, seed: int) -> Attacked:
    """Ask the data's own text-only questions, and those with a picture of people whose name the data give.

    Names come from the task recognition, whose answer is the name.

    Raises:
        NotApplicable: the data have neither.
    """
    records = open_records(targets.forget)
    names = {record.person_id: record.answer for record in records if record.task == "recognition"}
    questions = [Question(r, sample_of(r), "own") for r in records if not r.images]
    for record in records:
        name = names.get(record.person_id)
        if record.images and name and record.task != "recognition":
            asked = replace(record, question=f"This is about {name}. {record.question}")
            questions.append(Question(record, sample_of(asked, ""), "named"))
    if not questions:
        raise NotApplicable("the data have no text-only question with a private value, and no names to ask with")
    chosen = set(spread([q.record for q in questions], settings.questions, seed))
    return Attacked(ask(subject, [q for q in questions if q.record in chosen], "text only"))
