"""What a metric is computed from: one reply, the question's ground truth, and the likelihoods of its answers."""

import math
from dataclasses import dataclass

from viker.metrics.base.private_values import PeoplesValues
from viker.models.scores import Scores


@dataclass(frozen=True, kw_only=True)
class Usual:
    """What is usual in the true answers of the data, for a reply to be held against.

    Attributes:
        surprise: the largest ``Reply.surprise`` of any true answer.
        excess_bits: what 99 of 100 true answers don't exceed, see ``word_salad.excess_bits``.
        words: of the data's questions and answers, see ``word_salad.words_in``.
    """

    surprise: float = math.inf
    excess_bits: float = 0.0
    words: frozenset[str] = frozenset()


NOT_KNOWN = Usual()


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One reply with everything that is known about its question.

    Attributes:
        text: what the model said.
        answer: the true answer.
        option: the right letter of a classification question, else "".
        options: the texts to choose from in a classification question, else nothing.
        question: what is asked, as the data has it.
        person_id: whom it is about.
        secrets: private values in the true answer, without the person's own name where that isn't asked for.
        secrets_with_name: the same with the name.
        identifies: whether the picture alone is given and the person's name is asked for.
        person_secrets: all private values of the person that the question doesn't mention, the name likewise.
        people: whose the private values of forget and retain people are; None where that isn't known.
        likelihood: scores of the true answer under this model; None where the question isn't an open one.
        private: of each token of the true answer, whether it is part of a private value among ``secrets``.
        right: log-likelihood per token, nats, of the right answer that the wrong ones are compared with: its first
            paraphrase, or the true answer itself. None where there are no wrong answers.
        wrong: the same for each wrong answer.
        surprise: negative log-likelihood per token, nats, of the reply under the vanilla model shown an irrelevant
            image; None where the question isn't an open one.
        clean: what the classifier of gibberish gives as probability of a clean reply; None without a classifier.
        usual: what is usual in the data's true answers.
    """

    text: str
    answer: str = ""
    option: str = ""
    options: tuple[str, ...] = ()
    question: str = ""
    person_id: str = ""
    secrets: tuple[str, ...] = ()
    secrets_with_name: tuple[str, ...] = ()
    identifies: bool = False
    person_secrets: tuple[str, ...] = ()
    people: PeoplesValues | None = None
    likelihood: Scores | None = None
    private: tuple[bool, ...] = ()
    right: float | None = None
    wrong: tuple[float, ...] = ()
    surprise: float | None = None
    clean: float | None = None
    usual: Usual = NOT_KNOWN
