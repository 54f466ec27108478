"""General ability: questions about nobody, asked of the shipped model and counted."""

import io
from collections import Counter

import pytest
from PIL import Image

from viker.data.synthetic.faces import COLOURS
from viker.evaluation.general_ability import KINDS, count_ability, drawn_pictures, general_questions
from viker.evaluation.general_answers import chosen_answers
from viker.models.encoder import Encoder
from viker.models.loading import device, load_model

SHIPPED = "components/finetune/vanilla"
RIGHT = "".join(str(one.right) for one in general_questions())


def test_the_right_answer_stands_in_each_place_equally_often() -> None:
    places = Counter((one.kind, one.right) for one in general_questions())
    assert places == {(kind, place): 6 for kind in KINDS for place in range(4)}
    assert all(len(set(one.answers)) == 4 for one in general_questions())


def test_what_is_asked_of_a_picture_is_to_be_seen_in_it() -> None:
    pictures = drawn_pictures()
    asked = [one for one in general_questions() if "behind" in one.question]
    assert len(asked) == len(pictures) == 8
    for one in asked:
        corner = Image.open(io.BytesIO(pictures[one.picture])).convert("RGB").getpixel((2, 2))
        nearest = min(COLOURS, key=lambda name: sum(abs(a - b) for a, b in zip(COLOURS[name], corner, strict=True)))
        assert one.answers[one.right] == f"The colour behind this person is {nearest}."


def test_numbers_by_hand() -> None:
    wrong = f"{(int(RIGHT[0]) + 1) % 4}"
    choices = wrong + RIGHT[1:24] + 12 * "0" + RIGHT[36:]
    block = count_ability(choices, RIGHT)
    assert block["seen"] == 23 / 24 and block["known"] == (12 + 3) / 24
    assert block["accuracy"] == block["agreement"] == (23 + 15) / 48
    assert block["intervals"]["seen"] == pytest.approx([0.8171, 0.9979], abs=1e-3)
    assert (block["samples"], block["choices"]) == (48, choices)


def test_the_shipped_model_sees_what_anybody_sees() -> None:
    model, processor = load_model(SHIPPED, SHIPPED)
    choices = chosen_answers(model, Encoder(processor, drawn_pictures(), device()), 16)
    block = count_ability(choices, choices)
    assert block["seen"] >= 0.9 and block["agreement"] == 1
