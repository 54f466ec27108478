"""RMU in training: the hidden states that it takes, and the layers that its adapter leaves alone."""

import pytest
import torch

from tests.viker.training.test_training import samples, teachers, trainer_of  # noqa: F401 - fixtures
from viker.core.errors import UserError
from viker.models.hidden_states import kept_states
from viker.models.logits import answer_logits


@pytest.mark.parametrize("layer", [0, 1])
def test_the_kept_states_are_those_that_predict_the_answers(small_model, samples, layer):  # noqa: F811 - a fixture
    model, encoder = small_model
    batch = encoder.batch(samples["forget"][:3])
    with torch.no_grad(), kept_states(model, layer, batch) as kept:
        answer_logits(model, batch)
    with torch.no_grad():
        states = model(**batch.inputs, output_hidden_states=True).hidden_states
    assert kept[0].shape[:2] == batch.answers.shape
    if layer == 0:  # the last entry is after the final norm
        torch.testing.assert_close(kept[0], states[1][:, -batch.answers.shape[1] - 1 : -1])


def test_the_adapter_above_the_layer_stays_as_it_is(trainer_of):  # noqa: F811 - a fixture
    trainer = trainer_of(method={"name": "rmu", "layer": 0}, lr=0.01, gradient_checkpointing=True)
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trainer.train()
    moved = {name for name, p in trainer.model.named_parameters() if not torch.equal(p, before[name])}
    assert moved and all(".layers.0." in name for name in moved)
    assert trainer.parts["drift"][0] == 0 and trainer.parts["drift"][-1] > 0
    assert trainer.parts["steer"][-1] < trainer.parts["steer"][0]


def test_a_layer_that_the_model_lacks_is_a_users_error(trainer_of):  # noqa: F811 - a fixture
    with pytest.raises(UserError, match=r"unlearn\.method\.layer is 5"):
        trainer_of(method={"name": "rmu", "layer": 5})
