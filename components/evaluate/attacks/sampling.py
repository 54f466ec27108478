"""Several replies drawn at a temperature: is the answer among them, though the likeliest reply is another?"""

import pandas as pd

from components.common.attack_params import SamplingParams
from components.common.chat import sample_of
from components.evaluate.attacks.continuing import drawn
from components.evaluate.attacks.subject import Subject
from components.evaluate.attacks.table import Attacked, Question, row
from components.evaluate.attacks.targets import Targets


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
