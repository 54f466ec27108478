"""What a metric is computed from: one reply, the question's ground truth, and the likelihoods of its answers."""

import math
from dataclasses import dataclass

from viker.models.scores import Scores


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One reply with everything that is known about its question.

    Attributes:
        text: what the model said.
        answer: the true answer.
        option: the right letter of a classification question, else "".
        options: the texts to choose from in a classification question, else nothing.
        secrets: private values in the true answer.
        person_secrets: all private values of the person that the question doesn't mention.
        likelihood: scores of the true answer under this model; None where the question isn't an open one.
        right: log-likelihood per token, nats, of the right answer that the wrong ones are compared with: its first
            paraphrase, or the true answer itself. None where there are no wrong answers.
        wrong: the same for each wrong answer.
        surprise: negative log-likelihood per token, nats, of the reply under the vanilla model shown an irrelevant
            image; None where the question isn't an open one.
        usual_surprise: the largest surprise of any true answer of the data.
    """

    text: str
    answer: str = ""
    option: str = ""
    options: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    person_secrets: tuple[str, ...] = ()
    likelihood: Scores | None = None
    right: float | None = None
    wrong: tuple[float, ...] = ()
    surprise: float | None = None
    usual_surprise: float = math.inf
