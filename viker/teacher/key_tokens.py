"""Key tokens: the tokens of an answer that the teacher can't guess without the picture."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from viker.data.samples import Sample
from viker.metrics.base.floors import spans_of_values
from viker.models.encoder import Encoder
from viker.models.entropy import entropy
from viker.teacher.distributions import TeacherDistributions, full
from viker.teacher.key_marks import Mark, key_tokens


def find_key_tokens(
    samples: Sequence[Sample],
    teachers: Sequence[TeacherDistributions],
    encoder: Encoder,
    threshold: float,
    mark: Mark = "fixed",
    values: Sequence[Sequence[str]] = (),
) -> list[Tensor]:
    """Return for each sample which of its answer's tokens are key by ``mark``, bool [T]; see ``key_marks.key_tokens``.

    ``teachers``: each sample's distributions [T, V]; ``threshold``: nats; ``values``: the private values in
    each answer.
    """
    private = []
    for sample, own in zip(samples, values or [()] * len(samples), strict=True):
        spans = spans_of_values(sample.answer, own)
        places = encoder.answer_places(sample)
        private.append(
            torch.tensor([any(a < end and b > start for start, end in spans) for a, b in places], dtype=torch.bool)
        )
    return key_tokens([entropy(full(p)) for p in teachers], mark, threshold, private)


def key_token_rows(
    samples: Sequence[Sample],
    teachers: Sequence[TeacherDistributions],
    encoder: Encoder,
    keys: Sequence[Tensor],
) -> pd.DataFrame:
    """Return one row per answer token: record_id, question, position, token, entropy (nats), key.

    ``probability`` is the teacher's for the true token; ``gradient_weight``, 1 - probability, is the pressure of
    ViKeR's loss on the true token at lambda = 1, between 0 and 1. Source: Cai et al., arXiv 2601.22020.

    ``teachers``: each sample's distributions [T, V]; ``keys``: of each sample, bool [T], see ``find_key_tokens``.
    """
    rows = []
    for sample, distributions, marked in zip(samples, teachers, keys, strict=True):
        p = full(distributions)
        ids, count = encoder.ids(sample.prompt, sample.answer, bool(sample.picture))
        answer = ids[-count:]
        tokens = encoder.tokenizer.convert_ids_to_tokens(answer)
        of_true = p.gather(-1, torch.tensor(answer).unsqueeze(-1)).squeeze(-1).tolist()
        columns = zip(tokens, entropy(p).tolist(), of_true, marked.tolist(), strict=True)
        for position, (token, nats, true, key) in enumerate(columns):
            weight = max(0.0, 1 - true)
            rows.append((sample.record_id, sample.prompt, position, token, nats, key, true, weight))
    names = ["record_id", "question", "position", "token", "entropy", "key", "probability", "gradient_weight"]
    return pd.DataFrame(rows, columns=names)


def entropy_histogram(tokens: pd.DataFrame, width: float = 0.1) -> pd.DataFrame:
    """Return one row per bin of ``width`` nats: entropy (left edge), tokens, gradient_weight (their mean, or NaN)."""
    bins = max(1, int(np.ceil((tokens["entropy"].max() + 1e-9) / width)))
    counts, edges = np.histogram(tokens["entropy"], bins=bins, range=(0.0, bins * width))
    sums, _ = np.histogram(tokens["entropy"], bins=bins, range=(0.0, bins * width), weights=tokens["gradient_weight"])
    means = np.divide(sums, counts, out=np.full(bins, np.nan), where=counts > 0)
    return pd.DataFrame({"entropy": np.round(edges[:-1], 6), "tokens": counts, "gradient_weight": np.round(means, 6)})
