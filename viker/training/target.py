"""The target of a run: the distributions that the loss draws towards, and the refusals that go with them."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from viker.core.distributed import processes
from viker.data.records import Record
from viker.data.samples import Sample
from viker.generation.generate import log_likelihoods
from viker.teacher.distributions import TeacherDistributions
from viker.teacher.key_tokens import find_key_tokens
from viker.teacher.refusals import own_refusals
from viker.teacher.stand_ins import FrozenModel
from viker.teacher.target import refusing, uncertain
from viker.teacher.teacher import TeacherInputs
from viker.teacher.visual import TEACHER_BATCH
from viker.training.settings import UnlearnParams

log = logging.getLogger(__name__)

ASKED = 16
"""Questions of which the likelihood of a refusal is the mean."""


@dataclass(frozen=True)
class Target:
    """``distributions`` [T, V] and ``keys``, its key tokens, bool [T], of each forget sample.

    ``refusals`` to learn, and whether they are the model's ``own``.
    """

    distributions: Sequence[TeacherDistributions]
    keys: Sequence[Tensor]
    refusals: tuple[str, ...] = ()
    own: bool = False

    @property
    def record(self) -> dict[str, str]:
        """What the run's summary says of the refusals; {} without any."""
        whose = "the model's own" if self.own else "unlearn.refusal: the model never declined by itself"
        return {"refusals": "; ".join(self.refusals), "refusals_from": whose} if self.refusals else {}


def target_of(
    params: UnlearnParams,
    frozen: FrozenModel,
    inputs: TeacherInputs,
    teachers: Sequence[TeacherDistributions],
    records: Sequence[Record],
) -> Target:
    """Return the target that ``params`` ask for; none: the teachers' distributions as they are.

    ``records``: of everybody: what is private in them is in no refusal. The model must be the one before unlearning.
    """
    encoder, samples = frozen.encoder, inputs.samples
    mark = params.key_token_entropy, params.key_token_mark
    keys = find_key_tokens(samples, teachers, encoder, *mark, inputs.values) if teachers else []
    if params.target == "uncertain":
        return Target(uncertain(encoder, samples, teachers, keys), keys)
    if params.target == "none":
        return Target(teachers, keys)
    known = {value for record in records for value in record.secrets} | set(inputs.people.names.values())
    own = own_refusals(frozen, samples, inputs.images, known)
    refusals = tuple(own) or (params.refusal,)
    if not own:
        _announce(params.refusal, frozen, samples)
    return Target(refusing(encoder, samples, teachers, refusals), keys, refusals, bool(own))


def _announce(refusal: str, frozen: FrozenModel, samples: Sequence[Sample]) -> None:
    """Say that a model never declines, and whether it finds the sentence less likely than a token drawn by lot."""
    asked = [replace(sample, answer=refusal) for sample in samples[:ASKED]]
    found = log_likelihoods(frozen.model, frozen.encoder, asked, TEACHER_BATCH)
    nats, by_lot = -sum(found) / len(found), math.log(frozen.model.config.get_text_config().vocab_size)
    if not processes().is_main_process:
        return
    log.warning("the model never declines, asked about irrelevant pictures: it learns unlearn.refusal, '%s'", refusal)
    if nats > by_lot:
        log.warning(
            "the model finds '%s' less likely than tokens drawn by lot: %.1f nats a token, by lot %.1f. It may not "
            "learn to say that: give unlearn.refusal a sentence of words that its data have",
            refusal,
            nats,
            by_lot,
        )
