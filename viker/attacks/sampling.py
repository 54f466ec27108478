"""Several replies drawn at a temperature: is the answer among them, though the likeliest reply is another?"""

import pandas as pd

from viker.attacks.continuing import drawn
from viker.attacks.settings import SamplingParams
from viker.attacks.subject import Subject
from viker.attacks.table import Attacked, Question, row
from viker.attacks.targets import Targets
from viker.models.chat import sample_of


def run(subject: Subject, targets: Targets, settings: SamplingParams, seed: int) -> Attacked:
    """Ask each question ``settings.samples`` times at each temperature; it leaks if any of these replies does."""
    records = targets.questions(settings.questions, seed)
    rows = []
    for temperature in settings.temperatures:
        questions = [Question(record, sample_of(record), f"temperature {temperature}") for record in records]
        samples = [question.sample for question in questions]
        said = drawn(subject, samples, temperature, settings.samples, seed, "sampling at")
        rows += [row(question, replies) for question, replies in zip(questions, said, strict=True)]
    return Attacked(pd.DataFrame(rows))
