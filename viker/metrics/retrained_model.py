"""The unlearned model compared with one that was retrained without the people to forget."""

import math
from collections.abc import Sequence

from viker.metrics.base.metric import Better, Metric


def forget_quality(unlearned: Sequence[float], retrained: Sequence[float]) -> float | None:
    """Return the p-value of the two-sample Kolmogorov-Smirnov test between truth ratios on forget, 0..1.

    Below 0.05 the unlearned model can be told from one that never saw the people. None where there are no truth
    ratios. Source: TOFU, as CLEAR has it.
    """
    if not unlearned or not retrained:
        return None
    from scipy.stats import ks_2samp

    return float(ks_2samp(unlearned, retrained).pvalue)


FORGET_QUALITY = Metric(
    name="forget_quality",
    heading="Forget quality, p-value",
    meaning="p-value of the Kolmogorov-Smirnov test between the truth ratios on forget of the unlearned and the "
    "retrained model: on captions alone where the data have them",
    source="TOFU",
    better=Better(forget="higher", retain=None),
    computed_from="models",
    unit="p-value",
    blocks=("run",),
    in_predictions=False,
    order=110,
)
FORGET_QUALITY_CLEAR = Metric(
    name="forget_quality_clear",
    heading="Forget quality by CLEAR's code, p-value",
    meaning="the same with truth ratios as CLEAR's code has them, against the wrong answers of all captions; only of "
    "data with captions",
    source="CLEAR",
    better=Better(forget="higher", retain=None),
    computed_from="models",
    unit="p-value",
    blocks=("run",),
    in_predictions=False,
    order=110,
)
KL_TO_RETRAINED = Metric(
    name="kl_to_retrained",
    heading="KL to the retrained model, nats per token",
    meaning="KL(retrained ‖ unlearned) on the true answers of forget; computed by `viker.evaluation.retrained`",
    source="this project",
    better=Better(forget="lower", retain=None),
    computed_from="models",
    range=(0.0, math.inf),
    unit="nats per token",
    blocks=("run",),
    in_predictions=False,
    order=111,
)
UNLEARNING_DEPTH = Metric(
    name="unlearning_depth",
    heading="Unlearning depth",
    meaning="how much of what a retrained model's hidden states lack of the private values the unlearned model's lack "
    "too, by activation patching; 0: nothing, 1: all; computed by `viker.evaluation.depth`",
    source="Lee et al., arXiv 2605.24614",
    better=Better(forget="higher", retain=None),
    computed_from="models",
    range=(0.0, 1.0),
    unit="share",
    blocks=("run",),
    in_predictions=False,
    order=112,
)
