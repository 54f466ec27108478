"""Both models' replies, and the probabilities of their tokens, held against plain forward passes and the heat map."""

import math

import pytest
import torch

from tests.viker.models.test_answering import adapters, base, png  # noqa: F401 - fixtures
from viker.data.samples import Sample
from viker.models.answering import PICTURE, Answerer
from viker.models.encoder import Encoder
from viker.teacher import explain
from viker.teacher.side_by_side import MODELS, side_by_side

QUESTION, TRUTH = "Where was this person born?", "This person was born in Oslo."


@pytest.fixture(scope="module")
def answerer(base, adapters) -> Answerer:  # noqa: F811 - a fixture
    return Answerer(str(base), None, adapters[0], 8, "")


def plain(answerer: Answerer, answer: str, vanilla: bool) -> list[float]:
    """The probabilities of an answer's tokens, from one forward pass."""
    encoder = Encoder(answerer.processor, {PICTURE: png()}, torch.device("cpu"))
    batch = encoder.batch([Sample("one", QUESTION, answer, PICTURE)])
    answerer.model.base_model.disable_adapter_layers() if vanilla else None
    with torch.no_grad():
        log_p = answerer.model(**batch.inputs).logits[0].log_softmax(-1)
    answerer.model.base_model.enable_adapter_layers()
    ids = batch.answers[0]
    before = range(len(log_p) - len(ids) - 1, len(log_p) - 1)
    return [math.exp(log_p[place, token]) for place, token in zip(before, ids.tolist(), strict=True)]


def test_each_token_has_both_models_probabilities_and_the_teachers(answerer):
    result = side_by_side(answerer, QUESTION, png(), TRUTH, 0.5)

    assert result.replies == {name: answerer.answer(QUESTION, png(), vanilla=name == "vanilla") for name in MODELS}
    assert set(result.tokens) == {*MODELS, "truth"}
    for name, answer in (result.replies | {"truth": TRUTH}).items():
        tokens = result.tokens[name]
        assert "".join(tokens["text"][:-1]).split() == answer.split() and tokens["text"].iloc[-1] == "⟨end⟩"
        for model in MODELS:
            assert tokens[model].tolist() == pytest.approx(plain(answerer, answer, model == "vanilla"), rel=1e-3)
        shown = explain(answerer.model, answerer.processor, {"image": png(), "question": QUESTION, "answer": answer})
        assert tokens[["text", "key"]].equals(shown.tokens[["text", "key"]])
        for here, there in (("entropy", "entropy"), ("teacher", "probability")):
            assert tokens[here].tolist() == pytest.approx(shown.tokens[there].tolist(), rel=1e-3, abs=1e-6)


def test_without_a_true_answer_only_the_replies_are_looked_at(answerer):
    assert set(side_by_side(answerer, QUESTION, png(), "", 0.5).tokens) == set(MODELS)
