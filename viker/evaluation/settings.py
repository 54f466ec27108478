"""Settings of the evaluation."""

from viker.attacks.base.sections import AttackSections
from viker.core.settings import Positive, Section


class EvaluateParams(Section):
    """How the models are questioned."""

    batch_size: Positive
    max_new_tokens: Positive
    one_sentence: bool
    """Whether questions of the task generation ask for one sentence, as MLLMU-Bench's evaluation does."""
    retrained: str | None
    """A folder or hub name of a model trained on retain alone, or the folder of such an adapter (method retrain)."""
    gibberish_classifier: str | None = None
    """A folder or hub name of a classifier with a class ``clean``, asked about every open reply; None: none is."""
    attacks: AttackSections
