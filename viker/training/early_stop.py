"""Early stopping: ends a run once the key tokens of the forget set are unlikely enough."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback

from viker.core.errors import UserError
from viker.data.samples import Sample
from viker.methods.base.tokens import chosen, log_probabilities
from viker.models.encoder import Encoder
from viker.models.logits import answer_logits
from viker.training.settings import UnlearnParams


class StopWhenForgotten(TrainerCallback):
    """After each epoch, ends the training once the key tokens of the forget set are at most ``bound`` likely."""

    def __init__(
        self, encoder: Encoder, samples: Sequence[Sample], keys: Sequence[Tensor], bound: float, params: UnlearnParams
    ) -> None:
        """Take the forget set, which of its answers' tokens are key, bool [T], and the bound; ``params``: for errors.

        Raises UserError: no token is key, so nothing could be measured.
        """
        self.encoder, self.samples, self.keys, self.bound = encoder, samples, keys, bound
        if not any(own.any() for own in keys):
            mark, threshold = params.key_token_mark, params.key_token_entropy
            raise UserError(
                f"unlearn.stop_when: no answer token of the forget set has a teacher's entropy above {threshold} "
                "nats, so there is nothing to measure. Lower unlearn.key_token_entropy, or set stop_when to null."
                if mark in ("fixed", "private_values")
                else f"unlearn.stop_when: the mark {mark} finds no key token in the forget set, so there is nothing to "
                "measure. Set unlearn.key_token_mark to fixed, or stop_when to null."
            )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure at an epoch's last step; a run that ends here saves no checkpoint to resume from."""
        steps_per_epoch = state.max_steps // int(args.num_train_epochs)
        if state.global_step % steps_per_epoch == 0 and self.measure(kwargs["model"]) <= self.bound:
            control.should_training_stop = True
            control.should_save = False

    @torch.no_grad()
    def measure(self, model: Any) -> float:
        """Return the mean probability of the true token over all key tokens, after the true prefix."""
        was_training = model.training
        model.eval()
        probabilities = []
        for sample, keys in zip(self.samples, self.keys, strict=True):
            if keys.any():
                batch = self.encoder.batch([sample])
                log_p = chosen(log_probabilities(answer_logits(model, batch), batch.answers), batch.answers)
                probabilities.append(log_p.cpu()[keys].exp())
        model.train(was_training)
        return torch.cat(probabilities).mean().item()
