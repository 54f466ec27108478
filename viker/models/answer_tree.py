"""Texts that begin alike as one tree: each shared token is computed once, and no text sees another's."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from viker.models.fast_path import NoFastPath

Tail = tuple[list[int], int]
"""The token ids of a text after the picture, and how many at their end are the answer's, end token included."""


@dataclass(frozen=True)
class Tree:
    """Several texts, each token once where they begin alike: N nodes, of which M predict an answer token.

    ``ids``, ``depths`` [N], the depth of a first token is 0; ``sees`` [N, N], bool: whether a node (row) has another
    (column) among its ancestors or is it; ``predicting`` [M]: the predicting nodes, ascending; ``answers``: for each
    text the places in ``predicting`` [T] that predict its T answer tokens.
    """

    ids: Tensor
    depths: Tensor
    sees: Tensor
    predicting: Tensor
    answers: list[Tensor]


def build_tree(tails: Sequence[Tail]) -> Tree:
    """Return the tree of ``tails``; the last token of each predicts nothing and is left out.

    Raises NoFastPath: a text has no token before its answer.
    """
    nodes: dict[tuple[int, int], int] = {}
    depths: list[int] = []
    lineages: list[list[int]] = []
    paths = []
    for ids, count in tails:
        if len(ids) <= count:
            raise NoFastPath("an answer follows the picture with no text between")
        parent = -1
        path: list[int] = []
        for depth, token in enumerate(ids[:-1]):
            node = nodes.setdefault((parent, token), len(nodes))
            if node == len(depths):
                depths.append(depth)
                lineages.append([*path, node])
            path.append(node)
            parent = node
        paths.append(path[len(ids) - count - 1 :])
    sees = np.zeros((len(depths), len(depths)), dtype=bool)
    for node, ancestors in enumerate(lineages):
        sees[node, ancestors] = True
    predicting = sorted({node for path in paths for node in path})
    place = {node: index for index, node in enumerate(predicting)}
    answers = [torch.tensor([place[node] for node in path]) for path in paths]
    tokens = torch.tensor([token for _, token in nodes])
    return Tree(tokens, torch.tensor(depths), torch.from_numpy(sees), torch.tensor(predicting), answers)
