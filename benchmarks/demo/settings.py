"""What is compared: changes to the section 'unlearn' of params.yaml."""

from viker.methods.ga import GA
from viker.methods.viker import ViKeR
from viker.training.settings import UnlearnParams

LR = 2e-4
"""The rate without the retain term: lower than the demo's, so that an epoch is a small step on the way down."""


def settings(demo: UnlearnParams) -> dict[str, UnlearnParams]:
    """Return every setting by name: the paper's, with nothing but the forget samples, then the demo's retain term."""
    alone, kl = demo.model_copy(update={"lr": LR}), demo.method.retain
    return {
        "GA": alone.model_copy(update={"method": GA(), "epochs": 8}),
        "ViKeR λ=1": alone.model_copy(update={"method": ViKeR(lambda_=1.0), "epochs": 10}),
        "ViKeR λ=2": alone.model_copy(update={"method": ViKeR(lambda_=2.0), "epochs": 14}),
        "GA + retain KL": demo.model_copy(update={"method": GA(retain=kl)}),
        "ViKeR λ=1 + retain KL": demo.model_copy(update={"method": ViKeR(lambda_=1.0, retain=kl)}),
        "ViKeR λ=2 + retain KL": demo.model_copy(update={"method": ViKeR(lambda_=2.0, retain=kl)}),
    }


RULES = (
    "unlearned.forget.leakage_rate <= 0.10",
    "unlearned.test.leakage_rate <= 0.15",
    "unlearned.retain.leakage_rate >= 0.85 * vanilla.retain.leakage_rate",
    "unlearned.retain.rouge_l >= 0.85 * vanilla.retain.rouge_l",
    "unlearned.real.rouge_l >= 0.85 * vanilla.real.rouge_l",
    "unlearned.fluency.gibberish_rate <= 0.02",
)
"""What a setting must meet at the end: of the gate's default policy what needs no attack."""
