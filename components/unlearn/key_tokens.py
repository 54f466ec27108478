"""Which tokens of an answer carry the secret: those that the teacher can't guess without the picture."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from components.common.chat import Encoder, Sample
from components.unlearn.methods.tokens import entropy


def key_token_rows(
    samples: Sequence[Sample], teachers: Sequence[torch.Tensor], encoder: Encoder, threshold: float
) -> pd.DataFrame:
    """Return a row an answer token: record_id, question, position, token, entropy (nats), key (above threshold)."""
    rows = []
    for sample, teacher in zip(samples, teachers, strict=True):
        ids, count = encoder.ids(sample.prompt, sample.answer, bool(sample.picture))
        words = encoder.tokenizer.convert_ids_to_tokens(ids[-count:])
        for position, (token, value) in enumerate(zip(words, entropy(teacher).tolist(), strict=True)):
            rows.append((sample.record_id, sample.prompt, position, token, value, value > threshold))
    return pd.DataFrame(rows, columns=["record_id", "question", "position", "token", "entropy", "key"])


def entropy_histogram(tokens: pd.DataFrame, width: float = 0.1) -> pd.DataFrame:
    """Return how many tokens lie in each bin of ``width`` nats: entropy (left edge), tokens."""
    top = max(1, int(np.ceil((tokens["entropy"].max() + 1e-9) / width)))
    counts, edges = np.histogram(tokens["entropy"], bins=top, range=(0.0, top * width))
    return pd.DataFrame({"entropy": np.round(edges[:-1], 6), "tokens": counts})
