"""The classifier of gibberish: one with random weights, built from a configuration; none is downloaded."""

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import DistilBertConfig, DistilBertForSequenceClassification, PreTrainedTokenizerFast

from viker.core.errors import UserError
from viker.evaluation.classifier import clean_probabilities


def save(folder, labels):
    torch.manual_seed(3)
    words = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "he", "was", "born", "in", "oslo"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        model_max_length=16,
    ).save_pretrained(folder)
    config = DistilBertConfig(
        vocab_size=len(words),
        dim=16,
        hidden_dim=32,
        n_layers=1,
        n_heads=2,
        max_position_embeddings=16,
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
    )
    model = DistilBertForSequenceClassification(config).eval()
    model.save_pretrained(folder)
    return model


def test_a_reply_has_the_probability_of_the_class_clean(tmp_path):
    model = save(tmp_path, ["noise", "Clean", "word salad"])
    texts = ["he was born in oslo", "born", "was was was " * 9]
    together = clean_probabilities(str(tmp_path), texts, 2)
    assert together == pytest.approx([clean_probabilities(str(tmp_path), [text], 1)[0] for text in texts], abs=1e-6)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[2, 3, 4, 5, 6]])).logits[0]
    assert together[0] == pytest.approx(logits.softmax(-1)[1].item(), abs=1e-6)


def test_a_classifier_without_that_class_is_an_error(tmp_path):
    save(tmp_path, ["good", "bad"])
    with pytest.raises(UserError, match=r"gibberish_classifier.*classes good, bad, none of them called 'clean'"):
        clean_probabilities(str(tmp_path), ["he"], 1)


def test_a_classifier_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(UserError, match="can't be loaded as a sequence classifier"):
        clean_probabilities(str(tmp_path / "none"), ["he"], 1)
