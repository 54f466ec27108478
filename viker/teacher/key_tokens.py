"""Which tokens of an answer carry the secret: those that the teacher can't guess without the picture."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from viker.data.samples import Sample
from viker.methods.tokens import entropy
from viker.models.encoder import Encoder
from viker.teacher.compact import Kept, whole


def key_token_rows(
    samples: Sequence[Sample], teachers: Sequence[Kept], encoder: Encoder, threshold: float
) -> pd.DataFrame:
    """Return a row an answer token: record_id, question, position, token, entropy (nats), key (above threshold).

    And ``probability``, the teacher's of the true token, and ``gradient_weight``, 1 - probability: the pressure of
    ViKeR's loss on the true token at lambda = 1, between 0 and 1. Source: Cai et al., arXiv 2601.22020.
    """
    rows = []
    for sample, kept in zip(samples, teachers, strict=True):
        teacher = whole(kept)
        ids, count = encoder.ids(sample.prompt, sample.answer, bool(sample.picture))
        answer = ids[-count:]
        words = encoder.tokenizer.convert_ids_to_tokens(answer)
        true = teacher.gather(-1, torch.tensor(answer).unsqueeze(-1)).squeeze(-1).tolist()
        for position, (token, nats, p) in enumerate(zip(words, entropy(teacher).tolist(), true, strict=True)):
            rows.append((sample.record_id, sample.prompt, position, token, nats, nats > threshold, p, max(0.0, 1 - p)))
    names = ["record_id", "question", "position", "token", "entropy", "key", "probability", "gradient_weight"]
    return pd.DataFrame(rows, columns=names)


def entropy_histogram(tokens: pd.DataFrame, width: float = 0.1) -> pd.DataFrame:
    """Return a row a bin of ``width`` nats: entropy (left edge), tokens, gradient_weight (their mean, NaN of none)."""
    top = max(1, int(np.ceil((tokens["entropy"].max() + 1e-9) / width)))
    counts, edges = np.histogram(tokens["entropy"], bins=top, range=(0.0, top * width))
    sums, _ = np.histogram(tokens["entropy"], bins=top, range=(0.0, top * width), weights=tokens["gradient_weight"])
    means = np.divide(sums, counts, out=np.full(top, np.nan), where=counts > 0)
    return pd.DataFrame({"entropy": np.round(edges[:-1], 6), "tokens": counts, "gradient_weight": np.round(means, 6)})
