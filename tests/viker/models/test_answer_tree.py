"""A tree of texts holds each shared beginning once."""

import pytest

from viker.models.answer_tree import build_tree
from viker.models.fast_path import NoFastPath


def test_a_tree_holds_each_beginning_once():
    tree = build_tree([([1, 2, 3, 9], 2), ([1, 2, 4, 9], 2), ([1, 5, 9], 1)])
    assert tree.ids.tolist() == [1, 2, 3, 4, 5]
    assert tree.depths.tolist() == [0, 1, 2, 2, 1]
    assert [row.nonzero()[:, 0].tolist() for row in tree.sees] == [[0], [0, 1], [0, 1, 2], [0, 1, 3], [0, 4]]
    assert [tree.predicting[answer].tolist() for answer in tree.answers] == [[1, 2], [1, 3], [4]]


def test_an_answer_right_after_the_picture_has_no_tree():
    with pytest.raises(NoFastPath):
        build_tree([([1, 2], 2)])
